"""A real run in Datadog's own format, at an intake that the test owns.

Datadog's exporter, in the Collector that ``BACKEND=datadog`` has built, translates what the shop
sent; what it sends is decoded by the protocol that Datadog publishes.
"""

from __future__ import annotations

import json
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from lab import bootstrap
from lab.adapters.tools import toolbox
from lab.domain.trace import Kind, Span, Status, Trace
from lab.errors import ToolMissing
from lab.settings import Settings
from lab.shop.topology import HOST
from tests.backends.datadog_intake import TRACES, DatadogSpan, Intake, intake
from tests.services.running_shop import eventually
from tests.support.lab_under_test import PROOF_WITHIN_S, LabUnderTest, lab_up

CASE = "db-timeout"
KEY_HEADER = "dd-api-key"
SEEN_WITHIN_S = 30.0
"""The exporter holds spans back for some seconds before it sends them."""

CLOUDS_METADATA = "169.254.169.254"
"""Of this machine's own cloud, if it has one: the exporter asks there for the host's name when it
starts, whatever its file says. Link-local, so no router passes it on; no key is told."""

_LOWER_HALF = 2**64


@dataclass
class Elsewhere:
    """What was tried to reach that is not this machine: by a proxy of the user's, or straight."""

    by_proxy: list[bytes] = field(default_factory=list)
    straight: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Sent:
    """A lab that was up with ``BACKEND=datadog``, the case it proved, and what came of it."""

    lab: LabUnderTest
    key: str
    intake: Intake
    elsewhere: Elsewhere
    trace: Trace


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    """A case, run live; its trace is that of a customer whose checkout failed."""
    settings = Settings(backend="datadog")
    try:
        located = toolbox.find(toolbox.COLLECTOR_FOR_DATADOG, settings)
    except ToolMissing as missing:
        pytest.skip(f"skipped: {missing}")
    if located is None:
        pytest.skip("skipped: not built; `BACKEND=datadog lab tools --build` builds it")
    key = secrets.token_hex(16)
    state_dir = tmp_path_factory.mktemp("lab") / ".lab"
    with intake() as kept, _witness(state_dir) as (proxy, elsewhere):
        wishes = {
            "BACKEND": "datadog",
            "DD_API_KEY": key,
            "LAB_DATADOG_INTAKE_URL": kept.url,
            **dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), proxy),
        }
        with lab_up(state_dir, **wishes) as lab:
            finished = lab.run("run", CASE, timeout_s=PROOF_WITHIN_S)
            assert finished.returncode in {0, 2}, finished.stdout + finished.stderr
            case = bootstrap.archive(lab.settings).load(None)
            assert case.support_code is not None
            trace = case.evidence.traces[case.support_code]
            wanted = {int(span.span_id, 16) for span in trace}
            eventually(
                lambda: wanted <= {span.span_id for span in kept.spans()}, within_s=SEEN_WITHIN_S
            )
            yield Sent(lab, key, kept, elsewhere, trace)


def test_every_span_of_a_failed_checkout_is_there_as_it_was(sent: Sent) -> None:
    """Ids, parent, times, service, error; none twice, and none more than the case has."""
    theirs = _theirs(sent)
    assert len(theirs) == len(sent.trace.by_id)
    found = {each.span_id: each for each in theirs}
    for span in sent.trace:
        seen = found[int(span.span_id, 16)]
        assert seen.trace_id == int(span.trace_id, 16) % _LOWER_HALF
        assert seen.meta["otel.trace_id"] == span.trace_id
        assert seen.parent_id == int(span.parent_id or "0", 16)
        assert (seen.start_ns, seen.start_ns + seen.duration_ns) == (span.start_ns, span.end_ns)
        assert seen.service == span.service
        assert seen.error == (span.status is Status.ERROR), span
        assert seen.meta["span.kind"] == span.kind
    assert any(each.error for each in theirs)


def test_a_resource_is_what_datadog_groups_by(sent: Sent) -> None:
    """Method and route of a request served, method alone of one made; of all else the name.

    Of a call to a database it would be the query, for whoever says ``db.system``; the shop says
    ``db.system.name``, as the conventions have it since 2025, which this version does not know.
    """
    found = {each.span_id: each for each in _theirs(sent)}
    for span in sent.trace:
        assert found[int(span.span_id, 16)].resource == _resource(span), span
    assert "POST /checkout" in {each.resource for each in found.values()}


def test_an_exception_is_told_in_datadogs_words(sent: Sent) -> None:
    """Errors are grouped there by type and message; the exception itself comes with its trace."""
    thrown = [span for span in sent.trace if span.status is Status.ERROR and span.exceptions]
    assert thrown
    found = {each.span_id: each for each in _theirs(sent)}
    for span in thrown:
        meta = found[int(span.span_id, 16)].meta
        assert meta["error.type"] == span.exceptions[-1]
        assert meta["error.msg"] == span.status_message
        assert meta["_dd.span_events.has_exception"] == "true"
        events = [event["attributes"] for event in json.loads(meta["events"])]
        assert events == [event.attributes for event in span.events]


def test_what_is_personal_is_masked(sent: Sent) -> None:
    """Customers log in by e-mail and pay by card; both are stars before they leave."""
    bodies = [asked.body for asked in sent.intake.asked]
    assert any(b"email=****" in body for body in bodies)
    for body in bodies:
        assert b"@example.com" not in body
        assert b"%40example.com" not in body
        assert b"4242" * 4 not in body
        assert b"4242 4242" not in body


def test_the_key_is_in_the_header_and_nowhere_else(sent: Sent) -> None:
    """Not in what is sent, logged, kept, or given on a command line; two processes know it."""
    key = sent.key.encode()
    without = {
        (asked.method, asked.path)
        for asked in sent.intake.asked
        if asked.headers.get(KEY_HEADER) != sent.key
    }
    assert without == set()
    for asked in sent.intake.asked:
        others = [text for name, text in asked.headers.items() if name != KEY_HEADER]
        assert sent.key not in f"{asked.path} {others}"
        assert key not in asked.body
    written = [path for path in sent.lab.settings.state_dir.rglob("*") if path.is_file()]
    assert any("otelcol.log" in path.name for path in written)
    assert any(path.is_relative_to(sent.lab.settings.cases_dir) for path in written)
    assert [path for path in written if key in path.read_bytes()] == []
    processes = _family(sent.lab)
    assert [each for each in processes if sent.key in " ".join(each.cmdline())] == []
    knowing = {each.name() for each in processes if each.environ().get("DD_API_KEY")}
    assert len(knowing) == 2, knowing
    assert any("otelcol" in name for name in knowing)


def test_nobody_but_the_intake_was_asked(sent: Sent) -> None:
    """Neither by the proxy that the user's environment names, nor straight."""
    assert {asked.path for asked in sent.intake.asked} >= {TRACES, "/api/v0.2/stats"}
    assert sent.elsewhere.by_proxy == []
    assert sent.elsewhere.straight <= {CLOUDS_METADATA}


def test_tempo_has_all_that_datadog_has(sent: Sent) -> None:
    """Datadog gets a copy: the case was made from Tempo's, and has lost nothing."""
    assert {span.service for span in sent.trace} == {span.service for span in _theirs(sent)}


def _theirs(sent: Sent) -> list[DatadogSpan]:
    lower = int(sent.trace.trace_id, 16) % _LOWER_HALF
    return [span for span in sent.intake.spans() if span.trace_id == lower]


def _resource(span: Span) -> str:
    attributes = span.attributes
    if method := attributes.get("http.request.method"):
        route = attributes.get("http.route") if span.kind is Kind.SERVER else None
        return f"{method} {route}" if route else str(method)
    return span.name


def _family(lab: LabUnderTest) -> list[psutil.Process]:
    daemon = psutil.Process(int((lab.settings.run_dir / "supervisord.pid").read_text()))
    return [daemon, *daemon.children(recursive=True)]


@contextmanager
def _witness(state_dir: Path) -> Iterator[tuple[str, Elsewhere]]:
    """A proxy that lets nobody through, and an eye on the Collector's connections."""
    elsewhere = Elsewhere()
    ended = threading.Event()

    def answer(listener: socket.socket) -> None:
        while not ended.is_set():
            with suppress(TimeoutError, ConnectionError):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(2)
                    elsewhere.by_proxy.append(connection.recv(500).partition(b"\r\n")[0])

    def look() -> None:
        process = None
        while not ended.wait(0.1):
            process = process or _collector_of(state_dir)
            with suppress(psutil.Error):
                elsewhere.straight |= _outside(process) if process else set()

    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(0.2)
        threads = [threading.Thread(target=answer, args=[listener]), threading.Thread(target=look)]
        for thread in threads:
            thread.start()
        try:
            yield f"http://{HOST}:{listener.getsockname()[1]}", elsewhere
        finally:
            ended.set()
            for thread in threads:
                thread.join()


def _collector_of(state_dir: Path) -> psutil.Process | None:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if "otelcol" in process.name() and str(state_dir) in " ".join(process.cmdline()):
                return process
    return None


def _outside(process: psutil.Process) -> set[str]:
    remote = {each.raddr.ip for each in process.net_connections("inet") if each.raddr}
    return remote - {HOST, "::1", f"::ffff:{HOST}"}
