"""What the Collector masks: every form of personal data in every place that it searches.

The places that it does not search stand in ``deploy/otelcol/collector.yaml``; they are listed
here as well, and leak: one that is searched one day has to move.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab.adapters.tools import toolbox
from lab.settings import CHECKOUT, Settings
from tests.support.personal_data import FORMS, INNOCENT, LEAK, WHOLE_VALUES
from tests.support.warden_parts import HTTP, free_ports, wait_until

TRACES_TO_A_FILE = """
exporters:
  file/traces: {path: "${env:OTELCOL_SIGNALS_DIR}/signals-traces.jsonl"}
service:
  pipelines:
    traces: {exporters: [file/traces]}
"""

TEXTS = {"list in an attribute", "map in an attribute"}
"""Where a fraction is no value of its own: within a text nothing tells it from a card."""

Item = dict[str, Any]


def text(value: str) -> Item:
    return {"stringValue": value}


def attribute(value: str, key: str = "a") -> list[Item]:
    return [{"key": key, "value": text(value)}]


def a_map(value: str, key: str = "k") -> Item:
    return {"kvlistValue": {"values": attribute(value, key)}}


def span(**fields: Any) -> Item:
    now_ns = time.time_ns()
    whole = {
        "traceId": "ab" * 16,
        "spanId": "cd" * 8,
        "name": "GET /",
        "kind": 2,
        "startTimeUnixNano": str(now_ns),
        "endTimeUnixNano": str(now_ns + 1),
    }
    return {"scopeSpans": [{"spans": [whole | fields]}]}


def record(**fields: Any) -> Item:
    return {"scopeLogs": [{"logRecords": [{"timeUnixNano": str(time.time_ns()), **fields}]}]}


def metric(point: Item, **fields: Any) -> Item:
    points = [{"timeUnixNano": str(time.time_ns()), "asInt": "1", **point}]
    return {
        "scopeMetrics": [{"metrics": [{"name": "m", "gauge": {"dataPoints": points}} | fields]}]
    }


def within(item: Item, key: str, **fields: Any) -> Item:
    """The same with other fields of its scope."""
    (scoped,) = item[key]
    return {key: [scoped | {"scope": fields}]}


def event(value: str, **fields: Any) -> Item:
    return span(events=[{"timeUnixNano": "1", "name": "e", **fields}])


SEARCHED: dict[str, tuple[str, Callable[[str], Item]]] = {
    "attribute of a span": ("traces", lambda it: span(attributes=attribute(it))),
    "list in an attribute": (
        "traces",
        lambda it: span(
            attributes=[{"key": "a", "value": {"arrayValue": {"values": [text(it), text("b")]}}}]
        ),
    ),
    "map in an attribute": (
        "traces",
        lambda it: span(attributes=[{"key": "a", "value": a_map(it)}]),
    ),
    "name of a span": ("traces", lambda it: span(name=it)),
    "status message": ("traces", lambda it: span(status={"code": 2, "message": it})),
    "trace state": ("traces", lambda it: span(traceState=it)),
    "name of an event": ("traces", lambda it: event(it, name=it)),
    "attribute of an event": ("traces", lambda it: event(it, attributes=attribute(it))),
    "exception": ("traces", lambda it: event(it, name="exception", attributes=attribute(it))),
    "name of a scope": ("traces", lambda it: within(span(), "scopeSpans", name=it)),
    "attribute of a scope": (
        "traces",
        lambda it: within(span(), "scopeSpans", name="s", attributes=attribute(it)),
    ),
    "attribute of a resource": (
        "traces",
        lambda it: span() | {"resource": {"attributes": attribute(it)}},
    ),
    "body of a log": ("logs", lambda it: record(body=text(it))),
    "map in the body of a log": ("logs", lambda it: record(body=a_map(it))),
    "attribute of a log": ("logs", lambda it: record(attributes=attribute(it))),
    "event name of a log": ("logs", lambda it: record(eventName=it, body=text("b"))),
    "scope of a log": (
        "logs",
        lambda it: within(record(body=text("b")), "scopeLogs", name=it, attributes=attribute(it)),
    ),
    "resource of a log": (
        "logs",
        lambda it: record(body=text("b")) | {"resource": {"attributes": attribute(it)}},
    ),
    "attribute of a data point": ("metrics", lambda it: metric({"attributes": attribute(it)})),
    "resource of a metric": (
        "metrics",
        lambda it: metric({}) | {"resource": {"attributes": attribute(it)}},
    ),
}
LINK = {"traceId": "ab" * 16, "spanId": "ef" * 8}
NOT_SEARCHED: dict[str, tuple[str, Callable[[str], Item]]] = {
    "name of an attribute": ("traces", lambda it: span(attributes=attribute("v", key=it))),
    "attribute of a link": (
        "traces",
        lambda it: span(links=[LINK | {"attributes": attribute(it)}]),
    ),
    "trace state of a link": ("traces", lambda it: span(links=[LINK | {"traceState": it}])),
    "key in the body of a log": ("logs", lambda it: record(body=a_map("v", key=it))),
    "name of a metric": ("metrics", lambda it: metric({}, name=it)),
    "unit of a metric": ("metrics", lambda it: metric({}, unit=it)),
    "attribute of an exemplar": (
        "metrics",
        lambda it: metric(
            {
                "exemplars": [
                    {"timeUnixNano": "1", "asInt": "1", "filteredAttributes": attribute(it)}
                ]
            }
        ),
    ),
}

_LISTS = {"traces": "resourceSpans", "logs": "resourceLogs", "metrics": "resourceMetrics"}


class Collector:
    """A real one with the lab's own configuration, but that traces go to a file, too."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self._read = dict.fromkeys(_LISTS, 0)

    def passed_on(self, signal: str, items: list[Item]) -> list[str]:
        """What came out for each of ``items``, in order, as JSON."""
        body = {_LISTS[signal]: items}
        answer = HTTP.post(f"{self._url}/v1/{signal}", json=body)
        assert answer.status_code == 200, answer.text
        file = self._folder / f"signals-{signal}.jsonl"
        found: list[str] = []

        def all_there() -> bool:
            whole = self._unread(file, self._read[signal]).rpartition(b"\n")[0]
            found[:] = [
                json.dumps(item, ensure_ascii=False)
                for line in whole.splitlines()
                for item in json.loads(line)[_LISTS[signal]]
            ]
            if len(found) < len(items):
                return False
            self._read[signal] += len(whole) + 1
            return True

        wait_until(all_there, f"{len(items)} {signal} to be passed on", within_s=30)
        assert len(found) == len(items)
        return found

    @staticmethod
    def _unread(file: Path, offset: int) -> bytes:
        """What came since; its last line may still be written."""
        if not file.exists():
            return b""
        with file.open("rb") as written:
            written.seek(offset)
            return written.read()


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    tool = next(tool for tool in toolbox.TOOLS if tool.name == "otelcol")
    located = toolbox.find(tool, Settings())
    if located is None:
        pytest.skip("no Collector here; `lab tools --build` builds one")
    folder = tmp_path_factory.mktemp("otelcol")
    (folder / "traces.yaml").write_text(TRACES_TO_A_FILE)
    http, grpc, health, metrics, nobody = free_ports(5)
    environment = os.environ | {
        "OTELCOL_OTLP_HTTP": f"127.0.0.1:{http}",
        "OTELCOL_OTLP_GRPC": f"127.0.0.1:{grpc}",
        "OTELCOL_STOREFRONT_ORIGINS": "[]",
        "OTELCOL_HEALTH": f"127.0.0.1:{health}",
        "OTELCOL_METRICS_HOST": "127.0.0.1",
        "OTELCOL_METRICS_PORT": str(metrics),
        "OTELCOL_SIGNALS_DIR": str(folder),
        "TEMPO_OTLP_GRPC": f"127.0.0.1:{nobody}",
    }
    own = CHECKOUT / "deploy" / "otelcol" / "collector.yaml"
    command = [str(located.path), "--config", str(own), "--config", str(folder / "traces.yaml")]
    with (folder / "otelcol.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def healthy() -> bool:
        assert process.poll() is None, (folder / "otelcol.log").read_text()[-2000:]
        try:
            return HTTP.get(f"http://127.0.0.1:{health}").status_code == 200
        except httpx.HTTPError:
            return False

    try:
        wait_until(healthy, "the Collector to be healthy", within_s=30)
        yield Collector(f"http://127.0.0.1:{http}", folder)
    finally:
        process.kill()
        process.wait()


def as_text(passed: str) -> str:
    """Without what JSON itself escapes, and the ids and times around."""
    bare = re.sub(r'"(?:traceId|spanId|\w*UnixNano)": ?"\w+"', "", passed)
    return bare.replace(r"\"", '"').replace(r"\\", "\\")


@pytest.mark.parametrize("place", SEARCHED)
def test_no_form_passes_where_it_is_searched(collector: Collector, place: str) -> None:
    """Nothing of it is left, and a mask stands in its place."""
    signal, made = SEARCHED[place]
    passed = collector.passed_on(signal, [made(form) for form in FORMS])
    leaks = [
        (form, found)
        for form, found in zip(FORMS, passed, strict=True)
        if LEAK.search(as_text(found)) or "****" not in found
    ]
    assert leaks == []


@pytest.mark.parametrize("place", SEARCHED)
def test_what_only_looks_like_it_is_left_alone(collector: Collector, place: str) -> None:
    """Ids, times, prices, addresses of machines, pictures and repositories."""
    signal, made = SEARCHED[place]
    forms = INNOCENT if place in TEXTS else (*INNOCENT, *WHOLE_VALUES)
    passed = collector.passed_on(signal, [made(form) for form in forms])
    eaten = [(form, found) for form, found in zip(forms, passed, strict=True) if "****" in found]
    assert eaten == []
    assert all("_name" not in found and "_event" not in found for found in passed)
    assert all('"_st' not in found for found in passed)


@pytest.mark.parametrize("place", NOT_SEARCHED)
def test_where_it_is_not_searched_it_is_said(collector: Collector, place: str) -> None:
    """As the configuration tells; a place that is searched by now belongs to the others."""
    signal, made = NOT_SEARCHED[place]
    (passed,) = collector.passed_on(signal, [made("bob@example.com")])
    assert "bob@example.com" in passed


def test_the_check_does_find_leaks() -> None:
    """Every form would be found, were it left as it is; nothing innocent is."""
    assert [form for form in FORMS if not LEAK.search(form)] == []
