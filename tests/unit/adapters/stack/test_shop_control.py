"""Deployment settings of a lease: what they mean, and how the shop's keeper is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import httpx
import pytest

from lab.adapters.stack.shop_control import ShopControl
from lab.errors import LeaseError, PartFailed, StackNotReady
from lab.ports.services import ServiceState
from lab.warden.applying import overlays

AUTH = {
    "pid": 7,
    "healthy": None,
    "restarts_unasked": 1,
    "environment": {"SHOP_POOL_SIZE": "2"},
    "spans_ended": 12,
}


def test_conditions_become_an_environment_for_each_service() -> None:
    """Names in upper case stay, others are the service's own settings."""
    assert overlays(
        {"checkout.pool_size": 2, "checkout.retries": 1, "payments.OTEL_PROPAGATORS": "none"}
    ) == {
        "checkout": {"SHOP_POOL_SIZE": "2", "SHOP_RETRIES": "1"},
        "payments": {"OTEL_PROPAGATORS": "none"},
    }


def test_the_collector_has_a_setting_beside_the_services() -> None:
    """Off is what it is anyway, so that there is nothing to change and nothing to restore."""
    assert overlays({"collector.sampling": "tail"}) == {"collector": {"SHOP_SAMPLING": "tail"}}
    assert overlays({"collector.sampling": "off"}) == {}
    with pytest.raises(LeaseError, match=r"collector\.pool_size: expected a setting of"):
        overlays({"collector.pool_size": 2})


def test_all_conditions_that_mean_nothing_are_named_at_once() -> None:
    """Neither a service nor a setting is guessed."""
    with pytest.raises(LeaseError) as caught:
        overlays({"nobody.pool_size": 1, "auth.nonsense": 2, "checkout.pool_size": 2, "bare": 1})
    for name in ("nobody.pool_size", "auth.nonsense", "bare"):
        assert name in str(caught.value)
    assert "checkout.pool_size:" not in str(caught.value)


def control(answer: Callable[[httpx.Request], httpx.Response]) -> ShopControl:
    return ShopControl("http://keeper", transport=httpx.MockTransport(answer))


def test_the_keepers_answer_becomes_states() -> None:
    """A service whose health is unknown yet is not healthy."""
    shop = control(lambda _: httpx.Response(200, json={"services": {"auth": AUTH}}))
    assert asyncio.run(shop.states()) == {
        "auth": ServiceState("auth", 7, False, 1, 12, {"SHOP_POOL_SIZE": "2"})
    }


def test_a_configuration_is_put_whole() -> None:
    """The overlay replaces the former one; that is also how it is undone."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=AUTH)

    asyncio.run(control(answer).configure("auth", {}))
    assert (asked[0].method, asked[0].url.path) == ("PUT", "/services/auth")
    assert json.loads(asked[0].content) == {"environment": {}}


def test_a_service_that_will_not_start_is_quoted() -> None:
    """The refusal carries its last words."""
    shop = control(lambda _: httpx.Response(504, json={"error": "not healthy", "log": ["boom"]}))
    with pytest.raises(LeaseError, match="boom"):
        asyncio.run(shop.configure("auth", {"SHOP_POOL_SIZE": "0"}))


def test_a_keeper_that_does_not_answer_is_a_stack_that_is_not_ready() -> None:
    """Told apart from one that refuses."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(StackNotReady, match="lab up"):
        asyncio.run(control(refuse).states())


@pytest.mark.parametrize(
    "answer", ["", "[]", "{}", '{"services": 1}', '{"services": {"auth": {"pid": "x"}}}']
)
def test_an_answer_out_of_the_ordinary_is_an_error_of_ours(answer: str) -> None:
    """Whatever the keeper says, no foreign error comes out."""
    with pytest.raises(PartFailed, match="services by name"):
        asyncio.run(control(lambda _: httpx.Response(200, text=answer)).states())
