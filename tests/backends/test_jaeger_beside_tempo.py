"""A real Jaeger beside Tempo: ``BACKEND=jaeger make scenario NAME=db-timeout``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

import anyio
import httpx
import pytest

from lab import bootstrap
from lab.adapters.jaeger import JaegerStore
from lab.adapters.tempo import TempoStore
from lab.domain.case import Case
from lab.domain.evidence import Sample
from lab.domain.load import Window
from lab.domain.trace import Span, Status, Trace
from lab.testing import expect, from_jaeger, span
from tests.support.lab_under_test import PROOF_WITHIN_S, LabUnderTest, lab_up

ANSWER_S: Final = 20.0
FAILED: Final = ("auth", "SELECT", Status.ERROR)
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2 * PROOF_WITHIN_S)]


@pytest.fixture(scope="module")
def beside(jaeger: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabUnderTest]:
    """The stack with both stores."""
    with lab_up(tmp_path_factory.mktemp("lab") / ".lab", BACKEND="jaeger") as up:
        yield up


@pytest.fixture(scope="module")
def case(beside: LabUnderTest) -> Case:
    """db-timeout, run; what a busy machine leaves unproven has happened, and has its traces."""
    finished = beside.run("run", "db-timeout", timeout_s=PROOF_WITHIN_S)
    assert finished.returncode in {0, 2}, finished.stdout + finished.stderr
    return bootstrap.archive(beside.settings).load(None)


@pytest.fixture(scope="module")
def in_jaeger(beside: LabUnderTest, case: Case) -> dict[str, Trace | None]:
    """The affected requests' traces by id, out of Jaeger."""
    url = beside.settings.url
    store = JaegerStore(url("jaeger"), url("jaeger_metrics"), deadline_s=ANSWER_S)
    return anyio.run(fetched, store, case.evidence.samples[Sample.AFFECTED])


async def fetched(store: TempoStore | JaegerStore, ids: tuple[str, ...]) -> dict[str, Trace | None]:
    async with store:
        return {each: await store.trace(each) for each in ids}


def spans_of(trace: Trace | None) -> list[tuple[object, ...]]:
    """What each span is, but for its texts."""
    return [
        (s.span_id, s.parent_id, s.service, s.name, s.kind, s.start_ns, s.end_ns, s.status)
        for s in trace or ()
    ]


def failed_query(trace: Trace | None) -> Span | None:
    """auth's SELECT that failed."""
    spans = (s for s in trace or () if (s.service, s.name, s.status) == FAILED)
    return next(spans, None)


def test_the_incidents_traces_are_whole_in_both_stores(
    beside: LabUnderTest, in_jaeger: dict[str, Trace | None]
) -> None:
    """Each span that Tempo has is in Jaeger, and no other; Tempo cuts long texts of it."""
    assert len(in_jaeger) >= 50
    assert all(trace is not None and trace.is_whole for trace in in_jaeger.values())
    tempo = TempoStore(beside.settings.url("tempo_http"), deadline_s=ANSWER_S)
    in_tempo = anyio.run(fetched, tempo, tuple(in_jaeger))
    assert {each: spans_of(trace) for each, trace in in_tempo.items()} == {
        each: spans_of(trace) for each, trace in in_jaeger.items()
    }


def test_jaeger_finds_the_failed_query(
    beside: LabUnderTest, case: Case, in_jaeger: dict[str, Trace | None]
) -> None:
    """By service, operation and what went wrong, as its pages would ask."""
    queries = {
        trace_id: query
        for trace_id, trace in in_jaeger.items()
        if (query := failed_query(trace)) is not None
    }
    # With the first ones the pool is lost, and later requests wait for a connection in vain.
    assert queries
    crime = case.evidence.windows[Window.CRIME]
    answer = httpx.get(
        f"{beside.settings.url('jaeger')}/api/traces",
        params={
            "service": "auth",
            "operation": "SELECT",
            "tags": json.dumps({"error.type": "TimeoutError"}),
            "start": round(crime.start_s * 1e6),
            "end": round(crime.end_s * 1e6),
            "limit": 1000,
        },
        timeout=ANSWER_S,
    )
    assert answer.status_code == 200, answer.text
    found = answer.json()["data"]
    by_id = {trace["traceID"]: {span["spanID"] for span in trace["spans"]} for trace in found}
    assert set(queries) <= set(by_id)
    assert all(query.span_id in by_id[trace_id] for trace_id, query in queries.items())


def test_status_tools_and_doctor_name_it(beside: LabUnderTest, case: Case) -> None:
    """It is a part like any other, on a port of the table."""
    del case
    [part] = [each for each in beside.json("status")["parts"] if each["name"] == "jaeger"]
    assert part["state"] == "ready"
    assert part["port"] == beside.settings.port("jaeger")
    assert "jaeger" in {tool["name"] for tool in beside.json("tools")["tools"]}
    findings = {each["name"]: each for each in beside.json("doctor")}
    assert "jaeger" in findings["tools"]["found"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/api/archive/00", "/api/transform", "/api/traces", "/"])
def test_nothing_that_is_not_read_is_let_in(beside: LabUnderTest, method: str, path: str) -> None:
    """Its door knows no method that changes, and no page."""
    answer = httpx.request(method, beside.settings.url("jaeger") + path)
    assert answer.status_code in {404, 405}


def test_what_stands_behind_the_door_tells_nobody_its_path(beside: LabUnderTest) -> None:
    """A page under a rebound name that finds the port learns nothing from it."""
    inside = beside.settings.url("jaeger_inside")
    for path in ("/", "/api/services", "/api/v3/services", "/static/", "/search"):
        answer = httpx.get(inside + path, follow_redirects=True)
        assert "base href" not in answer.text
        assert "services" not in answer.text
    strange = httpx.get(beside.settings.url("jaeger") + "/api/services", headers={"Host": "x.test"})
    assert strange.status_code == 403


def test_others_assert_on_spans_in_it(beside: LabUnderTest, in_jaeger: dict[str, Trace]) -> None:
    """`lab.testing.from_jaeger`, by a trace's id and by a service, at a real one."""
    trace_id = next(key for key, trace in in_jaeger.items() if failed_query(trace) is not None)
    url = beside.settings.url("jaeger")
    query = span("SELECT", service="auth", status="error", exception="TimeoutError")
    expect(from_jaeger(url, trace_id=trace_id)).to_have(query, count=1)
    asked = span("SELECT", service="auth", peer="users_db")
    expect(from_jaeger(url, service="auth")).to_have(asked)
