"""What the tests of the signals share: one stack with all three, and three cases run on it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from lab import bootstrap
from lab.adapters.stack.postgres import can_start_servers
from lab.domain.evidence import Interval
from lab.domain.load import Window
from lab.settings import Settings
from lab.shop.topology import HOST
from tests.services.otlp_sink import GrpcSink
from tests.signals.second_backend import SpanIds
from tests.signals.stores import Stores
from tests.support.lab_under_test import PROOF_WITHIN_S, LabUnderTest, lab_up

HERE = Path(__file__).parent
CASES = ("db-timeout", "slow-shelves", "card-declined")
"""Everything fails, nothing fails, and what fails is no failure: a panel shows one of them."""


@dataclass(frozen=True)
class Ran:
    """A case that was run: when the harm was there, and a customer's trace of it.

    ``memory_mib`` is the proportional set size, by name, of the stack's programs at its end.
    """

    name: str
    crime: Interval
    trace_id: str
    memory_mib: dict[str, int]


@pytest.fixture(scope="session")
def second_backend() -> Iterator[SpanIds]:
    """What stands where a Jaeger would: another store that takes OTLP."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    sink = SpanIds(f"{HOST}:{port}")
    with GrpcSink(port, sink):
        yield sink


@pytest.fixture(scope="session")
def full_lab(
    tmp_path_factory: pytest.TempPathFactory, second_backend: SpanIds
) -> Iterator[LabUnderTest]:
    """The whole stack with Prometheus and Loki and a second backend, up."""
    if (reason := can_start_servers()) is not None:
        pytest.skip(f"skipped: {reason}")
    wishes = {
        "LAB_SIGNALS": "full",
        "BACKEND": "jaeger",
        "LAB_JAEGER_OTLP_GRPC": second_backend.endpoint,
    }
    with lab_up(tmp_path_factory.mktemp("lab") / ".lab", **wishes) as up:
        yield up


@pytest.fixture(scope="session")
def ran(full_lab: LabUnderTest) -> dict[str, Ran]:
    """Each of `CASES`, run live; asked for again after a failure, it runs what is missing."""
    for name in CASES:
        if name not in _RAN:
            _RAN[name] = _run(full_lab, name)
    return _RAN


@pytest.fixture(scope="session")
def stores(full_lab: LabUnderTest, ran: dict[str, Ran]) -> Iterator[Stores]:
    """The three stores, with three cases in them."""
    with Stores(full_lab.settings) as stores:
        yield stores


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever test comes first waits for three cases."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(len(CASES) * PROOF_WITHIN_S + 60))


_RAN: dict[str, Ran] = {}


def _run(lab: LabUnderTest, name: str) -> Ran:
    """Run a case; what a busy machine leaves unproven has happened, and has its telemetry."""
    finished = lab.run("run", name, timeout_s=PROOF_WITHIN_S)
    assert finished.returncode in {0, 2}, finished.stdout + finished.stderr
    case = bootstrap.archive(lab.settings).load(None)
    assert case.scenario.id == name
    assert case.support_code is not None
    crime = case.evidence.windows[Window.CRIME]
    return Ran(name, crime, case.support_code, _memory_mib(lab.settings))


def _memory_mib(settings: Settings) -> dict[str, int]:
    if not psutil.LINUX:
        return {}
    supervisor = psutil.Process(int((settings.run_dir / "supervisord.pid").read_text()))
    sizes: dict[str, int] = {}
    for process in (supervisor, *supervisor.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # Postgres ends a backend with its connection.
            size = round(process.memory_full_info().pss / 2**20)
            sizes[process.name()] = sizes.get(process.name(), 0) + size
    return sizes
