"""Every format that people have is found out by content, and read to the same spans."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import zstandard

from lab.adapters.formats import json_pieces, source
from lab.adapters.formats.found import Account, Skipped
from lab.adapters.formats.sniffing import found_in
from lab.adapters.formats.source import Content
from lab.adapters.otlp.fields import camel
from lab.adapters.otlp.traces import write_traces
from lab.domain.trace import Kind, Scope, Span, Status, Trace
from lab.errors import CaseError
from tests.support.trace_formats import EXAMPLES, SHAPES, SPANS, TRACE_ID, by_group, otlp


def read(content: bytes, name: str = "it", **options: bool) -> tuple[list[Span], list[str]]:
    """The spans, and what was skipped in words."""
    account = Account()
    found = list(found_in(Content(name, io.BytesIO(content)), account, **options))
    spans = [each for each in found if isinstance(each, Span)]
    return spans, [str(each) for each in found if isinstance(each, Skipped)]


@pytest.mark.parametrize("shape", SHAPES)
def test_otlp_is_read_to_the_same_spans_in_every_shape(shape: str) -> None:
    """Field by field: scope, resource, events, links, lists, maps, and an end that is missing."""
    spans, skipped = read(SHAPES[shape]())
    assert skipped == []
    assert spans == list(SPANS)


@pytest.mark.parametrize("shape", ["one document", "indented", "array", "data list"])
def test_what_is_too_large_to_hold_is_read_member_by_member(
    shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Span by span where even one group is too large."""
    monkeypatch.setattr(json_pieces, "WHOLE_BYTES", 100)
    monkeypatch.setattr(json_pieces, "MOST_GROUP_BYTES", 100)
    if shape == "data list":
        monkeypatch.setattr(json_pieces, "MOST_TRACE_BYTES", 5000)
    spans, skipped = read(SHAPES[shape]())
    assert skipped == []
    assert spans == list(SPANS)


EXPECTED: Final = {
    "jaeger-api-v3-result.json": 1,
    "jaeger-ui.json": 2,
    "otlp-array-of-requests-same-span-twice.json": 2,
    "otlp-client-and-server-share-a-span-id.json": 2,
    "otlp-int-as-float.json": 1,
    "otlp-line-then-empty-jaeger-line.jsonl": 1,
    "otlp-line-then-tempo-batches-line.jsonl": 2,
    "otlp-link-without-ids.json": 1,
    "otlp-lists-maps-events-exception.json": 1,
    "otlp-no-spans.json": 0,
    "otlp-number-where-text-is-said.json": 1,
    "otlp-root-and-child-start-together.json": 2,
    "otlp-scope-spans-and-instrumentation-library-spans.json": 2,
    "otlp-snake-case.json": 1,
    "otlp-span-without-end.json": 3,
    "otlp-span-without-start.json": 2,
    "otlp-wrapped-in-data.json": 1,
    "zipkin-v2-client-and-server-share-a-span-id.json": 5,
}
"""Example → spans in it."""


@pytest.mark.parametrize("path", sorted(EXAMPLES.iterdir()), ids=lambda path: path.name)
def test_every_example_is_read_whole(path: Path) -> None:
    spans, skipped = read(path.read_bytes())
    assert (len(spans), skipped) == (EXPECTED[path.name], [])


def test_jaegers_json_is_read_field_by_field() -> None:
    """Ids get their zeros back; what tags say of kind, status and scope is no attribute."""
    (server, query), _ = read((EXAMPLES / "jaeger-ui.json").read_bytes())
    assert server.trace_id == "0000000000000000" + "3c53c7fe2a6a5b43"
    assert (server.span_id, server.parent_id) == ("000000000000001a", None)
    assert (server.kind, server.status) == (Kind.SERVER, Status.ERROR)
    assert server.scope == Scope("net/http", "0.40.0")
    assert server.service == "driver"
    assert server.resource == {"service.name": "driver", "hostname": "a1"}
    assert server.attributes == {"http.status_code": 500, "error": True}
    assert server.duration_ms == 250
    (event,) = server.events
    assert (event.name, event.attributes) == ("Searching for drivers", {"level": "info"})
    assert (query.parent_id, query.status_message) == (server.span_id, "connection reset")
    assert query.attributes == {"rows": 2**53 + 1}
    (link,) = query.links
    assert link.trace_id == "aaaaaaaaaaaaaaaa3c53c7fe2a6a5b43"


def test_zipkins_json_is_read_field_by_field() -> None:
    path = EXAMPLES / "zipkin-v2-client-and-server-share-a-span-id.json"
    (root, call, answer, query, unfinished), _ = read(path.read_bytes())
    assert root.trace_id == "0" * 16 + "5af7183fb1d4cf5f"
    assert root.resource == {"service.name": "frontend", "host.ip": "10.0.0.1"}
    assert (call.kind, call.status) == (Kind.CLIENT, Status.ERROR)
    assert call.status_message == "Connection refused"
    assert call.attributes["peer.service"] == "backend"
    assert call.attributes["network.peer.port"] == 9000
    assert [event.name for event in call.events] == ["ws"]
    assert (answer.span_id, answer.service) == (call.span_id, "backend")
    assert query.parent_id == call.span_id
    assert unfinished.is_unfinished


@pytest.mark.parametrize(
    "name", ["jaeger-ui.json", "zipkin-v2-client-and-server-share-a-span-id.json"]
)
def test_otlp_and_no_guess_means_that(name: str) -> None:
    spans, skipped = read((EXAMPLES / name).read_bytes(), only_otlp=True)
    assert spans == []
    assert all("leave --otlp out to read it" in each for each in skipped)


@pytest.mark.parametrize("cut", range(20, 900, 37))
@pytest.mark.parametrize("shape", ["lines", "indented", "one document"])
def test_a_torn_end_costs_what_it_tears(shape: str, cut: int) -> None:
    """What was whole before it is read, and that something is missing is said."""
    content = SHAPES[shape]()
    spans, skipped = read(content[:-cut])
    assert skipped
    assert spans == list(SPANS[: len(spans)])
    if cut < 200:
        assert spans[:1] == [SPANS[0]]


def test_a_line_torn_in_the_middle_costs_no_other() -> None:
    first, second = (json.dumps(each) for each in by_group())
    spans, skipped = read(f"{second}\n{first[:300]}\n{second}\n{first}\n".encode(), "a.jsonl")
    assert spans == [SPANS[1], SPANS[1], SPANS[0]]
    assert len(skipped) == 1
    assert skipped[0].startswith("a.jsonl:2: expected the end")


def test_a_bad_id_is_told_by_line_and_field() -> None:
    good, bad = (json.dumps(each) for each in by_group())
    bad = bad.replace(TRACE_ID, TRACE_ID[:30])
    _, skipped = read(f"{good}\n{bad}\n".encode(), "traces.jsonl")
    where = "resourceSpans[0].scopeSpans[0].spans[0].traceId"
    assert skipped == [f"traces.jsonl:2 {where}: expected 32 hex digits, found 30"]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
@pytest.mark.parametrize("start", [b"", b"["])
def test_what_is_packed_is_bounded(start: bytes, pack: Callable[[bytes], bytes]) -> None:
    """A bomb is refused long before it fills anything."""
    bomb = pack(start + b" " * (64 * 2**20))
    with pytest.raises(CaseError, match="expected at most 200 times as much as it has packed"):
        read(bomb)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_what_is_packed_and_torn_is_said_so(pack: Callable[[bytes], bytes]) -> None:
    """What came before the tear is read."""
    lines = b"".join(
        json.dumps(write_traces([Trace(TRACE_ID, (SPANS[0],))])).encode() + b"\n" + (b" " * n)
        for n in range(3000)
    )
    packed = pack(lines)
    spans, skipped = read(packed[: len(packed) // 2])
    assert 0 < len(spans) < 3000
    assert "ends early or is damaged" in skipped[-1]


def test_names_that_somebody_chose_stay_as_they_are() -> None:
    """Only fields of OTLP are renamed."""
    told = {"attributes": [{"key": "my_key", "value": {"string_value": "a_b"}}]}
    assert camel(told) == {"attributes": [{"key": "my_key", "value": {"stringValue": "a_b"}}]}


def test_limits_are_told_with_the_way_past_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST_BYTES", 100)
    with pytest.raises(CaseError, match="split it, and import its parts together"):
        read(otlp())
