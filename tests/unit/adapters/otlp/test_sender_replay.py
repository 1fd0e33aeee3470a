"""A replay: the same story under other ids and at other times, and the way back."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from typer.testing import CliRunner

from lab.adapters.cases.archive import FolderArchive
from lab.adapters.cases.replay_file import read_replays
from lab.adapters.otlp.sender import TRIES, OtlpSender, Sent, encoded
from lab.cli import app
from lab.domain.replay import Replay, batches
from lab.errors import LabError, ReplayRefused, UsageError
from lab.investigation.reading.ids import resolve_span, resolve_trace
from lab.investigation.reading.pasted_links import resolve_paste
from tests.support.sample_case import broken_trace, fatal_trace, healthy_trace, sample_case

TRACE = fatal_trace("ab" * 16)
LATER = Replay("5a" * 16, 10**12)
CASE_ID = "db-timeout-1"


def test_a_replay_tells_the_same_story() -> None:
    """Parents, durations, order, status and everything else; only ids and times are others."""
    moved = LATER.moved(TRACE)
    assert moved.trace_id != TRACE.trace_id
    assert moved.is_whole
    for old, new in zip(TRACE, moved, strict=True):
        assert (new.name, new.service, new.status, new.attributes, new.duration_ms) == (
            old.name, old.service, old.status, old.attributes, old.duration_ms
        )  # fmt: skip
        assert new.start_ns - old.start_ns == 10**12
        assert {each.time_ns for each in new.events} == {
            each.time_ns + 10**12 for each in old.events
        }
        parent, new_parent = TRACE.parent(old), moved.parent(new)
        assert (parent and parent.name) == (new_parent and new_parent.name)
    assert not {span.span_id for span in TRACE} & {span.span_id for span in moved}


def test_a_link_leads_to_the_replayed_span() -> None:
    """A consumer still points at the request that it belongs to."""
    trace = broken_trace("cd" * 16)
    (link,) = next(span.links for span in trace if span.links)
    (moved,) = next(span.links for span in LATER.moved(trace) if span.links)
    assert moved.trace_id == LATER.trace_id(link.trace_id)
    assert moved.span_id == LATER.span_id(link.trace_id, link.span_id)


def test_a_replay_ends_when_it_is_to() -> None:
    now_ns = 2 * 10**18
    retold = Replay.ending_at([TRACE, healthy_trace("cd" * 16)], now_ns, "00" * 16)
    assert max(span.end_ns for span in retold.moved(TRACE)) == now_ns


def test_another_salt_gives_other_ids_and_the_same_one_the_same() -> None:
    """So the salt alone is the mapping; no id begins with a zero, which stores leave out."""
    other = Replay("5b" * 16, 0)
    assert LATER.trace_id(TRACE.trace_id) != other.trace_id(TRACE.trace_id)
    assert LATER.trace_id(TRACE.trace_id) == Replay("5a" * 16, 0).trace_id(TRACE.trace_id)
    assert not any(LATER.trace_id(f"{n:032x}").startswith("0") for n in range(200))


def test_batches_hold_whole_traces_and_no_more_spans_than_they_may() -> None:
    traces = [healthy_trace(f"{number:02x}" * 16) for number in range(1, 6)]
    assert [len(batch) for batch in batches(traces, 13)] == [2, 2, 1]
    assert [len(batch) for batch in batches(traces, 3)] == [1] * 5
    assert list(batches([], 3)) == []


def test_a_span_is_found_by_the_id_it_has_there() -> None:
    """By all of it or by how it begins; the case's own ids come first."""
    evidence = sample_case().evidence
    old = next(iter(evidence.traces.values()))
    new_trace = LATER.trace_id(old.trace_id)
    new_span = LATER.span_id(old.trace_id, old.spans[3].span_id)
    assert resolve_trace(evidence, new_trace[:12], [LATER]) is old
    assert resolve_span(old, new_span, [LATER]) == old.spans[3]
    assert resolve_trace(evidence, old.trace_id, [LATER]) is old
    pasted = f"00-{new_trace}-{new_span}-01"
    assert resolve_paste(evidence, pasted, [LATER]) == (old, old.spans[3])
    with pytest.raises(UsageError, match="none begins so"):
        resolve_trace(evidence, new_trace)


def test_a_line_that_is_no_replay_adds_no_name(tmp_path: Path) -> None:
    path = tmp_path / "replays.jsonl"
    good = json.dumps({"salt": "5a" * 16, "shift_ns": 3})
    lines = ["null", "[" * 100_000, '{"salt": 3, "shift_ns": 3}', '{"salt": "x"}', good]
    path.write_text("".join(f"{line}\n" for line in lines))
    assert read_replays(path) == (Replay("5a" * 16, 3),)


def test_spans_are_sent_in_otlps_binary_form() -> None:
    """Ids as bytes, everything else as protobuf has it."""
    request = ExportTraceServiceRequest.FromString(encoded([TRACE]))
    spans = [
        span
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]
    assert {span.span_id.hex() for span in spans} == set(TRACE.by_id)
    assert {span.trace_id.hex() for span in spans} == {TRACE.trace_id}
    assert {span.parent_span_id.hex() for span in spans} == {span.parent_id or "" for span in TRACE}


# --- sending -----------------------------------------------------------------------------


@contextmanager
def endpoint(*answers: tuple[int, dict[str, str], bytes]) -> Iterator[tuple[str, list[Any]]]:
    """An endpoint that gives these answers in turn and keeps what it was sent."""
    taken: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((self.path, dict(self.headers), body))
            status, headers, content = answers[min(len(taken), len(answers)) - 1]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", taken
    finally:
        server.shutdown()
        server.server_close()


OK: tuple[int, dict[str, str], bytes] = (200, {}, b"")


def send(url: str, **headers: str) -> Sent:
    async def main() -> Sent:
        async with OtlpSender(url, headers) as sender:
            return await sender.send([TRACE])

    return anyio.run(main)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_proxy_of_the_users_is_for_the_outside_world(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """A backend elsewhere is reached through it, one on this machine never."""
    with endpoint(OK) as (proxy, by_proxy), endpoint(OK) as (url, directly):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        send(url.replace("127.0.0.1", host))
        send("http://backend.example:4318")
    assert [path for path, _, _ in directly] == ["/v1/traces"]
    assert [path for path, _, _ in by_proxy] == ["http://backend.example:4318/v1/traces"]


@pytest.mark.parametrize("suffix", ["", "/", "/v1/traces"])
def test_an_endpoint_is_given_by_its_base_or_its_whole_path(suffix: str) -> None:
    with endpoint(OK) as (url, taken):
        assert send(url + suffix, Tenant="shop") == Sent()
    [(path, headers, body)] = taken
    assert path == "/v1/traces"
    assert (headers["Tenant"], headers["Content-Type"]) == ("shop", "application/x-protobuf")
    assert body == encoded([TRACE])


def test_an_endpoint_that_is_busy_is_asked_again() -> None:
    with endpoint((503, {"Retry-After": "0"}, b""), (429, {"Retry-After": "0"}, b""), OK) as (
        url,
        taken,
    ):
        assert send(url) == Sent()
    assert len(taken) == 3


def test_an_endpoint_that_stays_busy_is_asked_so_often_and_no_more() -> None:
    with (
        endpoint((503, {"Retry-After": "0"}, b"later")) as (url, taken),
        pytest.raises(ReplayRefused, match="found: 503 'later'"),
    ):
        send(url)
    assert len(taken) == TRIES


@pytest.mark.parametrize("status", [400, 401, 404, 301])
def test_a_refusal_is_told_and_not_asked_again(status: int) -> None:
    with (
        endpoint((status, {}, b"no\x1b[2J")) as (url, taken),
        pytest.raises(ReplayRefused, match=rf"found: {status} .*4318.*--header") as told,
    ):
        send(url)
    assert len(taken) == 1
    assert str(told.value).isprintable()


@pytest.mark.parametrize("as_json", [False, True])
def test_what_an_endpoint_leaves_out_is_counted(as_json: bool) -> None:
    """It answers 200 all the same (OTLP, *Partial Success*)."""
    partial = ExportTracePartialSuccess(rejected_spans=4, error_message="too old")
    answer = (
        (200, {"Content-Type": "application/json"},
         b'{"partialSuccess": {"rejectedSpans": "4", "errorMessage": "too old"}}')
        if as_json
        else (200, {}, ExportTraceServiceResponse(partial_success=partial).SerializeToString())
    )  # fmt: skip
    with endpoint(answer) as (url, _):
        assert send(url) == Sent(4, "too old")


@pytest.mark.parametrize("url", ["tempo:4318", "ftp://127.0.0.1", "http://", ""])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="expected the address of an OTLP/HTTP endpoint"):
        OtlpSender(url)


def test_an_endpoint_that_is_not_there_is_told() -> None:
    with pytest.raises(ReplayRefused, match="expected http://127"):
        send("http://127.0.0.1:9")


# --- the command -------------------------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path) -> Path:
    archive = FolderArchive(tmp_path / "cases")
    archive.working_folder(CASE_ID)
    archive.seal(sample_case(CASE_ID))
    return tmp_path


def lab(state: Path, *words: str) -> Any:
    result = CliRunner().invoke(app, words, env={"LAB_STATE_DIR": str(state)})
    if isinstance(result.exception, LabError):
        raise result.exception
    return result


def test_a_case_is_replayed_solved_elsewhere_and_accused_here(state: Path) -> None:
    """The verdict on the new id is that on the old one, by any way of saying it."""
    with endpoint(OK) as (url, taken):
        told = json.loads(lab(state, "replay", CASE_ID, "--to", url, "--json").output)
    case = sample_case()
    spans = sum(len(trace.spans) for trace in case.evidence.traces.values())
    assert (told["traces"], told["spans"], told["rejected"]) == (23, spans, 0)
    requests = [ExportTraceServiceRequest.FromString(body) for _, _, body in taken]
    sent = [
        span
        for request in requests
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]
    assert len(sent) == spans
    culprit = next(
        span for span in sent
        if span.trace_id.hex() == told["support_code"] and span.name == "SELECT"
    )  # fmt: skip
    accused = ("accuse", told["support_code"], culprit.span_id.hex(), "--mechanism", "timeout")
    assert json.loads(lab(state, *accused, "--json").output)["verdict"] == "solved"
    assert FolderArchive(state / "cases").holding(told["support_code"]) == (CASE_ID,)
    assert FolderArchive(state / "cases").load(CASE_ID) == case


def test_a_replay_gives_nothing_away(state: Path) -> None:
    """What a backend is sent says nothing of the lab, of the case or of its scenario."""
    with endpoint(OK) as (url, taken):
        lab(state, "replay", CASE_ID, "--to", url)
    said = b"".join(body for _, _, body in taken).lower()
    assert not any(word in said for word in (b"deadspan", b"toxi", b"scenario", b"db-timeout"))


@pytest.mark.parametrize("header", ["nothing", ": x", "a: b\nc: d", "ключ: x"])
def test_what_is_no_header_is_refused(state: Path, header: str) -> None:
    with pytest.raises(UsageError, match="expected --header 'NAME: VALUE'"):
        lab(state, "replay", CASE_ID, "--to", "http://127.0.0.1:9", "--header", header)
