"""Spans out of a file, a Tempo and a Jaeger, each as it answers; and what they answer instead."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from lab.adapters.otlp.traces import trace_to_otlp
from lab.errors import CaseError, TraceStoreError, UsageError
from lab.testing import Incomplete, expect, from_file, from_jaeger, from_tempo
from tests.support.traces import internal, server, trace

ID = "0a" + "1" * 30
DOCUMENT = trace_to_otlp(trace(ID, server("pay", "GET /", 0, 9, internal("pay", "a", 1, 2))))
OTHER = trace_to_otlp(trace("2" * 32, server("pay", "GET /b", 0, 9)))


def test_a_file_of_one_document_or_one_a_line_packed_or_not(tmp_path: Path) -> None:
    """As an SDK, the Collector's file exporter, Tempo, and ``save`` write them."""
    text = json.dumps(DOCUMENT) + "\n" + json.dumps({"trace": OTHER}) + "\n"
    plain, packed = tmp_path / "a.json", tmp_path / "a.json.gz"
    plain.write_text(text)
    packed.write_bytes(gzip.compress(text.encode()))
    for path in (plain, packed):
        assert sorted(each.name for each in from_file(path)) == ["GET /", "GET /b", "a"]
    from_file(plain).save(tmp_path / "b.json")
    assert list(from_file(tmp_path / "b.json")) == list(from_file(plain))


@pytest.mark.parametrize("content", [b"", b"{", b"\x1f\x8bxx", b'{"resourceSpans": 3}', b"\xff"])
def test_a_file_of_something_else_is_told(tmp_path: Path, content: bytes) -> None:
    """With its name and what was found; an empty one has no spans, which is no error."""
    path = tmp_path / "x.json"
    path.write_bytes(content)
    if not content:
        assert len(from_file(path)) == 0
        return
    with pytest.raises(CaseError, match=r"x\.json: expected OTLP/JSON, found"):
        from_file(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """By its name."""
    with pytest.raises(CaseError, match=r"none\.json"):
        from_file(tmp_path / "none.json")


@contextmanager
def answering(answers: Mapping[str, object]) -> Iterator[tuple[str, list[str]]]:
    """A server that answers each path with JSON, or with 404; and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer = answers.get(urlsplit(self.path).path)
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(404 if answer is None else 500 if answer == b"no" else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, args=[0.02], daemon=True).start()
    try:
        yield f"http://127.0.0.1:{httpd.server_address[1]}", asked
    finally:
        httpd.shutdown()
        httpd.server_close()


def test_tempo_is_searched_and_each_trace_is_fetched_whole() -> None:
    """Its search leaves leading zeros out; a trace that it knows no longer is none."""
    found = {"traces": [{"traceID": ID.lstrip("0")}, {"traceID": "3" * 32}, {"traceID": "4" * 32}]}
    answers = {
        "/api/search": found,
        f"/api/v2/traces/{ID}": {"trace": DOCUMENT},
        f"/api/v2/traces/{'3' * 32}": {"trace": {}},
    }
    with answering(answers) as (url, asked):
        expect(from_tempo(url, query="{ name = `a` }")).to_have("a", count=1)
        query = parse_qs(urlsplit(asked[0]).query)
        assert query["q"] == ["{ name = `a` }"]
        assert int(query["end"][0]) - int(query["start"][0]) == 900
        expect(from_tempo(url + "/", trace_id=ID)).to_have("a")


def test_jaeger_is_asked_by_its_api_v3() -> None:
    """By trace, and by service."""
    answers = {
        f"/api/v3/traces/{ID}": {"result": DOCUMENT},
        "/api/v3/traces": {"result": {"resourceSpans": [*DOCUMENT["resourceSpans"]]}},
    }
    with answering(answers) as (url, asked):
        expect(from_jaeger(url, trace_id=ID[1:])).to_have("a", count=1)
        expect(from_jaeger(url, service="pay")).to_have("a", count=1)
        query = parse_qs(urlsplit(asked[1]).query)
        assert query["query.service_name"] == ["pay"]
        assert query["query.start_time_min"][0].endswith("Z")


def test_what_has_not_come_yet_is_waited_for_and_then_incomplete() -> None:
    """A store that knows no such trace says nothing of it."""
    with answering({}) as (url, asked):
        with pytest.raises(Incomplete, match="no trace has come"):
            expect(from_tempo(url, trace_id=ID), within_s=0.6).not_to_have("a")
        assert len(asked) >= 2


@pytest.mark.parametrize("answer", [b"no", b"<html>", {"trace": {"resourceSpans": 3}}])
def test_what_is_no_answer_is_told_with_its_address(answer: object) -> None:
    """Not waited for: it will not become one."""
    with (
        answering({f"/api/v2/traces/{ID}": answer}) as (url, _),
        pytest.raises(TraceStoreError, match="expected"),
    ):
        expect(from_tempo(url, trace_id=ID)).to_have("a")


def test_nobody_there_is_told() -> None:
    """With what was asked."""
    with pytest.raises(TraceStoreError, match="expected Tempo to answer, found"):
        from_tempo("http://127.0.0.1:1", trace_id=ID).look()


def test_what_cannot_be_asked_is_refused() -> None:
    """An address that is none, an id that is none, a search for everything."""
    with pytest.raises(UsageError, match="expected the address of a Tempo"):
        from_tempo("file:///etc/passwd")
    with pytest.raises(UsageError, match="trace id"):
        from_tempo("http://127.0.0.1:1", trace_id="../../x")
    with pytest.raises(UsageError, match="either trace_id or service"):
        from_jaeger("http://127.0.0.1:1")
