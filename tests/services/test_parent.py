"""How the shop's parent starts, restarts, counts and ends its services."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.otlp_sink import OtlpSink
from tests.services.running_shop import Customer, RunningShop, eventually, is_alive
from tests.services.wires import Wires


def pids(shop: RunningShop) -> dict[str, int]:
    return {name: state["pid"] for name, state in shop.services().items()}


def test_a_service_that_dies_is_started_again_and_counted(shop: RunningShop) -> None:
    """After `kill -9` of one service it comes back by itself; the others never notice."""
    before = pids(shop)
    counted = shop.services()["bank"]["restarts_unasked"]
    os.kill(before["bank"], signal.SIGKILL)
    eventually(lambda: shop.services()["bank"]["restarts_unasked"] == counted + 1)
    eventually(lambda: shop.is_healthy("bank"))
    after = pids(shop)
    assert after.pop("bank") != before.pop("bank")
    assert after == before


def test_an_overlay_restarts_its_service_alone_and_takes_effect(
    shop: RunningShop, customer: Customer, sink: OtlpSink
) -> None:
    """`PUT` answers when the service is healthy anew; an equal environment changes nothing."""
    before = pids(shop)
    counted = shop.services()["catalog"]["restarts_unasked"]
    overlay = {"SHOP_POOL_SIZE": "2", "SHOP_POOL_MIN": "1"}
    began_s = time.monotonic()
    answer = shop.configure("catalog", environment=overlay)
    assert answer.status_code == 200, answer.text
    assert time.monotonic() - began_s < 6, "expected less than one, in peace"
    assert answer.json()["environment"] == overlay
    assert shop.is_healthy("catalog")
    after = pids(shop)
    assert {name for name in before if before[name] != after[name]} == {"catalog"}
    product = customer.ask("GET", "/products/5")
    assert product.response.status_code == 200

    def sizes() -> list[object]:
        spans = [span for span in sink.trace(product.trace_id) if span.service == "catalog"]
        return [span.attributes["pool.size"] for span in spans if span.name == "pool.acquire"]

    eventually(lambda: sizes() == [2])
    assert shop.configure("catalog", environment=overlay).json()["pid"] == after["catalog"]
    assert shop.configure("catalog", environment={}).json()["pid"] != after["catalog"]
    assert shop.services()["catalog"]["restarts_unasked"] == counted


def test_a_restart_can_be_asked_for_without_a_change(shop: RunningShop) -> None:
    """`"restart": true` gives the service a new process with the environment it had."""
    before = pids(shop)["bank"]
    answer = shop.configure("bank", environment={}, restart=True)
    assert answer.status_code == 200
    assert answer.json()["pid"] != before


def test_the_count_of_spans_goes_on_after_a_restart(shop: RunningShop, customer: Customer) -> None:
    """What a service's earlier process ended is still counted, and can be read at any time."""
    assert customer.buy().response.status_code == 201
    before = shop.services()["bank"]["spans_ended"]
    assert before > 0
    shop.configure("bank", environment={}, restart=True)
    assert shop.services()["bank"]["spans_ended"] >= before


def test_an_environment_that_cannot_work_is_answered_with_the_last_words(
    shop: RunningShop,
) -> None:
    """A service that does not start is a 504 that carries what it said; the old way back works."""
    overlay = {"SHOP_CONNECT_TIMEOUT": "2s"}
    answer = shop.configure("catalog", environment=overlay)
    assert answer.status_code == 504
    assert any(
        "expected connect_timeout below acquire_timeout" in line for line in answer.json()["log"]
    )
    assert shop.configure("catalog", environment={}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("GET", "/", None, {}, 404),
        ("PUT", "/services/nobody", {"environment": {}}, {}, 404),
        ("PUT", "/services/bank", {"environment": {"A": 1}}, {}, 400),
        ("PUT", "/services/bank", [], {}, 400),
        ("GET", "/services", None, {"Host": "shop.example.com"}, 403),
        ("PUT", "/services/bank", {"environment": {}}, {"Host": "shop.example.com"}, 403),
        ("PUT", "/services/bank", {"environment": {}}, {"Origin": "http://example.com"}, 403),
        ("PUT", "/services/bank", {"environment": {"A": "x" * 65_536}}, {}, 413),
    ],
)
def test_control_says_what_it_expected(
    shop: RunningShop, method: str, path: str, body: object, headers: dict[str, str], status: int
) -> None:
    """A wrong path, service, body, Host or Origin is refused with a reason; nothing restarts."""
    before = pids(shop)
    url = shop.url("shop_control") + path
    answer = shop.http.request(method, url, json=body, headers=headers)
    assert answer.status_code == status
    assert answer.json()["error"].startswith("expected")
    assert pids(shop) == before


@pytest.fixture
def other_shop(offset: int, tmp_path: Path, wires: Wires) -> Iterator[RunningShop]:
    """A shop that a test may end, without wires: its services wait for their databases."""
    running = RunningShop(offset + 200, tmp_path)
    eventually(lambda: running.is_healthy("bank"), within_s=20)
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.process.wait()


def test_services_that_wait_for_their_databases_say_so_and_end_when_asked(
    other_shop: RunningShop,
) -> None:
    """Without a database a service answers 503 and is not restarted; SIGTERM ends it as well."""
    eventually(lambda: other_shop.health("auth") == "starting")
    assert other_shop.services()["auth"]["restarts_unasked"] == 0
    children = list(pids(other_shop).values())
    assert other_shop.stop() == 0
    assert not any(map(is_alive, children))


def test_no_service_outlives_a_parent_that_is_killed(other_shop: RunningShop) -> None:
    """After `kill -9` of the parent every service leaves by itself."""
    children = list(pids(other_shop).values())
    other_shop.process.kill()
    other_shop.process.wait()
    eventually(lambda: not any(map(is_alive, children)))
