"""How the shop's parent starts, restarts, counts and ends its services."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.shop.keeper import secret
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


FORBIDDEN = (
    *("SHOP_HOST", "SHOP_PORT", "SHOP_DATABASE_DSN", "SHOP_BANK_URL", "SSLKEYLOGFILE"),
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_CERTIFICATE", "PYTHONPATH"),
    *("OTEL_PYTHON_CONFIGURATOR", "PYTHONSTARTUP", "LD_PRELOAD", "PATH", "HTTP_PROXY", "A"),
)


@pytest.mark.parametrize("path", ["/services", "/services/bank", "/services/payments"])
@pytest.mark.parametrize("name", FORBIDDEN)
def test_control_takes_no_setting_but_those_of_a_deployment(
    shop: RunningShop, path: str, name: str
) -> None:
    """An environment can open a service to a network, or let it write where it should not."""
    before = pids(shop)
    answer = shop.http.put(shop.url("shop_control") + path, json={"environment": {name: "0.0.0.0"}})
    assert answer.status_code == 400
    assert f"found {name}" in answer.json()["error"]
    assert pids(shop) == before


@pytest.fixture
def guarded(offset: int, tmp_path: Path) -> Iterator[RunningShop]:
    """A keeper with a secret, whose services wait for their databases."""
    secret.make(tmp_path / "secret")
    running = RunningShop(offset + 400, tmp_path, secret_file=tmp_path / "secret")
    eventually(lambda: running.is_healthy("bank"), within_s=20)
    yield running
    running.process.kill()
    running.process.wait()


def test_control_with_a_secret_answers_only_who_tells_it(
    guarded: RunningShop, tmp_path: Path
) -> None:
    """Nothing is read, and nothing restarts, by whoever cannot read the file."""
    url = guarded.url("shop_control") + "/services"
    told = secret.headers(tmp_path / "secret")
    before = guarded.http.get(url, headers=told).json()
    for headers in ({}, {secret.HEADER: "Bearer x"}, {secret.HEADER: "Basic bGFiOmxhYg=="}):
        assert guarded.http.get(url, headers=headers).status_code == 401
        wish = {"environment": {}, "restart": True}
        assert guarded.http.put(f"{url}/bank", json=wish, headers=headers).status_code == 401
    after = guarded.http.get(url, headers=told).json()
    assert [each["pid"] for each in after["services"].values()] == [
        each["pid"] for each in before["services"].values()
    ]
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_account_cannot_read_the_secret(tmp_path: Path) -> None:
    """And so can tell nobody."""
    secret.make(tmp_path / "secret")
    (tmp_path / "secret").parent.chmod(0o755)
    done = subprocess.run(
        ["cat", str(tmp_path / "secret")], user="nobody", capture_output=True, check=False
    )
    assert done.returncode != 0
    assert done.stdout == b""


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
