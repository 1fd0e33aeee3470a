"""The stretches of a case as annotations, against a stand-in for Grafana's API."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lab.adapters.stack.grafana import GrafanaAnnotations
from lab.domain.evidence import Interval
from lab.domain.load import Window
from lab.errors import PartFailed

WINDOWS = {
    Window.REFERENCE: Interval(1_000.0, 1_008.0),
    Window.CRIME: Interval(1_010.5, 1_022.5),
    Window.RECOVERY: Interval(1_024.0, 1_032.0),
}


class StandIn(ThreadingHTTPServer):
    """What the annotation API does: finds by tag, deletes by id, creates."""

    def __init__(self, refuses: bool) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.refuses = refuses
        self.kept: dict[int, dict[str, Any]] = {7: {"text": "a deployment", "tags": ["others"]}}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def ours(self) -> list[dict[str, Any]]:
        return [each for each in self.kept.values() if "deadspan" in each["tags"]]


class Handler(BaseHTTPRequestHandler):
    server: StandIn

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, body: Any) -> None:
        said = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/api/health":
            return self.answer(200, {"database": "ok"})
        assert url.path == "/api/annotations"
        wanted = set(parse_qs(url.query)["tags"])
        found = [
            {"id": number, **each}
            for number, each in self.server.kept.items()
            if wanted <= set(each["tags"])
        ]
        return self.answer(200, found)

    def do_DELETE(self) -> None:
        del self.server.kept[int(self.path.rpartition("/")[2])]
        self.answer(200, {"message": "Annotation deleted"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.refuses:
            return self.answer(403, {"message": "no permission"})
        number = max(self.server.kept) + 1
        self.server.kept[number] = body
        return self.answer(200, {"message": "Annotation added", "id": number})


@contextmanager
def stand_in(*, refuses: bool = False) -> Iterator[StandIn]:
    with StandIn(refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


def show(url: str, windows: dict[Window, Interval]) -> None:
    async def main() -> None:
        async with GrafanaAnnotations(url) as annotations:
            await annotations.show(windows)

    asyncio.run(main())


def test_a_case_is_before_incident_and_after_and_has_no_name() -> None:
    """In milliseconds, under the tag that the dashboards ask for; settling is no stretch."""
    with stand_in() as server:
        show(server.url, {**WINDOWS, Window.SETTLE: Interval(990.0, 1_000.0)})
        assert server.ours() == [
            {"time": 1_000_000, "timeEnd": 1_008_000, "tags": ["deadspan"], "text": "before"},
            {"time": 1_010_500, "timeEnd": 1_022_500, "tags": ["deadspan"], "text": "incident"},
            {"time": 1_024_000, "timeEnd": 1_032_000, "tags": ["deadspan"], "text": "after"},
        ]


def test_the_next_case_takes_the_place_of_the_last_and_nobody_elses() -> None:
    """Only what the lab itself wrote is removed."""
    with stand_in() as server:
        show(server.url, WINDOWS)
        show(server.url, {Window.CRIME: Interval(2_000.0, 2_012.0)})
        assert [each["time"] for each in server.ours()] == [2_000_000]
        assert server.kept[7]["text"] == "a deployment"


def test_a_grafana_that_refuses_is_told_of() -> None:
    """Its status is in the message."""
    with stand_in(refuses=True) as server, pytest.raises(PartFailed, match="403"):
        show(server.url, WINDOWS)


def test_whether_one_runs() -> None:
    """Where nobody listens there is none, and nothing is raised."""

    async def is_there(url: str) -> bool:
        async with GrafanaAnnotations(url) as annotations:
            return await annotations.is_there()

    with stand_in() as server:
        assert asyncio.run(is_there(server.url))
        url = server.url
    assert not asyncio.run(is_there(url))
