"""Services that run each by itself, as in containers: kept one by one, or only looked at."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from lab.adapters.stack.shop_services import SeparateKeepers, WatchedServices, at
from lab.errors import LeaseError, PartFailed, StackNotReady
from lab.shop import topology
from tests.services.running_shop import clean_environment, eventually
from tests.support.warden_parts import stub_keeper


@pytest.fixture(scope="module")
def bank_alone(offset: int) -> Iterator[str]:
    """The bank's keeper as a container starts it; its control URL. It calls nobody."""
    shifted = offset + 300
    command = [sys.executable, "-m", "lab.shop", "parent", "--port-offset", str(shifted)]
    process = subprocess.Popen([*command, "--only", "bank"], env=clean_environment())
    control = topology.url("shop_control", shifted)
    health = topology.url("bank", shifted) + "/healthz"
    try:
        eventually(lambda: _status(health) == 200)
        yield control
    finally:
        process.terminate()
        process.wait(8)


def _status(url: str, **headers: str) -> int:
    try:
        return httpx.get(url, headers=headers, trust_env=False).status_code
    except httpx.HTTPError:
        return 0


def test_a_keeper_of_one_service_knows_no_other(bank_alone: str) -> None:
    """It restarts its own with other settings, and says that another is not its business."""
    services = httpx.get(f"{bank_alone}/services", trust_env=False).json()["services"]
    assert set(services) == {"bank"}
    wish = {"environment": {"SHOP_KEEP_ALIVE": "2s"}}
    changed = httpx.put(f"{bank_alone}/services/bank", json=wish, trust_env=False, timeout=15)
    assert changed.json()["environment"] == wish["environment"]
    assert changed.json()["pid"] != services["bank"]["pid"]
    assert httpx.put(f"{bank_alone}/services/auth", json=wish, trust_env=False).status_code == 404


@pytest.mark.parametrize(("host", "status"), [("shop-bank:18121", 200), ("evil.example", 403)])
def test_a_keeper_answers_to_its_own_name_only(bank_alone: str, host: str, status: int) -> None:
    """In a network of containers it is called by the name of its host; no page has business."""
    assert _status(f"{bank_alone}/services", Host=host) == status


def test_all_keepers_together_are_the_shop() -> None:
    """States of all, and a wish goes to the one keeper of its service."""
    with stub_keeper(topology.SERVICES) as keeper:
        services = SeparateKeepers(f"http://127.0.0.1:{keeper.port}")

        async def story() -> None:
            await services.configure("auth", {"SHOP_POOL_SIZE": "2"})
            states = await services.states()
            assert set(states) == set(topology.SERVICES)
            assert states["auth"].overlay == {"SHOP_POOL_SIZE": "2"}
            with pytest.raises(LeaseError, match="'nobody'"):
                await services.configure("nobody", {})

        asyncio.run(story())
    assert services.can_configure


def test_services_that_are_only_watched_cannot_be_configured(bank_alone: str) -> None:
    """Their health and span counts are read; other settings are refused with the reason."""
    port = httpx.URL(bank_alone).port
    assert port is not None
    health = bank_alone.replace(str(port), str(port - topology.PORTS["shop_control"] + 18105))
    watched = WatchedServices(f"{health}/healthz")

    async def story() -> None:
        states = await watched.states()
        assert set(states) == set(topology.SERVICES)
        assert all(state.healthy and state.spans_ended == 0 for state in states.values())
        await watched.configure("bank", {})
        with pytest.raises(LeaseError, match="another system keeps the shop"):
            await watched.configure("bank", {"SHOP_KEEP_ALIVE": "2s"})
        with pytest.raises(StackNotReady, match="to answer at http"):
            await WatchedServices("http://127.0.0.1:9/healthz").states()
        with pytest.raises(PartFailed, match="health"):
            await WatchedServices(f"{bank_alone}/services").states()

    asyncio.run(story())
    assert not watched.can_configure


def test_an_address_has_the_services_name_and_port_in_it() -> None:
    """One setting speaks of all seven."""
    assert at("http://shop-{service}:{port}/healthz", "auth") == "http://shop-auth:18101/healthz"
