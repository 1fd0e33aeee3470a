"""A small case as a run of db-timeout leaves it, made by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

from lab import scenario_file
from lab.adapters.otlp.traces import assemble
from lab.domain.case import Case
from lab.domain.evidence import Evidence, Interval, Sample
from lab.domain.journal import Ending, JournalEntry, Step
from lab.domain.load import Request, Window
from lab.domain.proof import Finding, Outcome, Proof
from lab.domain.trace import Event, Kind, Link, Span, Status, Trace
from lab.settings import CHECKOUT

START_S = 1_700_000_000.0
"""When the reference window of the sample opens."""

MS = 1_000_000


def span(
    trace_id: str,
    number: int,
    parent: int | None,
    what: str,
    times_ms: tuple[float, float],
    *,
    kind: Kind = Kind.INTERNAL,
    start_s: float = START_S,
    **more: Any,
) -> Span:
    """``what`` is *service name*; ids are made from ``number``; times count from ``start_s``."""
    service, _, name = what.partition(" ")
    start_ns = int(start_s * 1000) * MS
    return Span(
        trace_id=trace_id,
        span_id=span_id(trace_id, number),
        parent_id=None if parent is None else span_id(trace_id, parent),
        name=name,
        kind=kind,
        service=service,
        start_ns=start_ns + int(times_ms[0] * MS),
        end_ns=start_ns + int(times_ms[1] * MS),
        resource={"service.name": service},
        **more,
    )


def span_id(trace_id: str, number: int) -> str:
    """The id of a trace's span number so and so."""
    return f"{trace_id[:4]}{number:04x}{number * 2654435761 % 2**32:08x}"


def healthy_trace(trace_id: str, start_s: float = START_S) -> Trace:
    """A token check that works: storefront → gateway → auth → users_db."""
    return assemble(trace_id, _token_check(trace_id, start_s, query_ms=3.0))


def fatal_trace(trace_id: str, start_s: float = START_S + 20) -> Trace:
    """The same where the query gets no answer within its second."""
    return assemble(trace_id, _token_check(trace_id, start_s, query_ms=1001.0))


def _token_check(trace_id: str, start_s: float, query_ms: float) -> list[Span]:
    failed = query_ms > 1000
    red: dict[str, Any] = {"status": Status.ERROR} if failed else {}
    timeout = Event(
        "exception",
        int(start_s * 1000) * MS,
        {"exception.type": "TimeoutError", "exception.message": "no answer within 1 s"},
    )
    end = query_ms + 9

    def part(*given: Any, **more: Any) -> Span:
        return span(trace_id, *given, start_s=start_s, **more)

    return [
        part(1, None, "storefront POST /checkout", (0, end), kind=Kind.CLIENT, **red),
        part(2, 1, "gateway POST /checkout", (1, end - 1), kind=Kind.SERVER, **red),
        part(
            3,
            2,
            "gateway GET",
            (2, end - 2),
            kind=Kind.CLIENT,
            attributes={"service.peer.name": "auth", "url.path": "/sessions"},
            **red,
        ),
        part(4, 3, "auth GET /sessions", (3, end - 3), kind=Kind.SERVER, **red),
        part(5, 4, "auth pool.acquire", (3.2, 3.4), attributes={"pool.size": 10}),
        part(
            6,
            4,
            "auth SELECT",
            (3.6, 3.6 + query_ms),
            kind=Kind.CLIENT,
            attributes={"service.peer.name": "users_db", "db.query.text": "SELECT user_id"},
            events=(timeout,) if failed else (),
            **red,
        ),
    ]


def broken_trace(trace_id: str) -> Trace:
    """A trace with a missing parent, a silent gap, a child that outlives, a link."""
    return assemble(
        trace_id,
        [
            span(trace_id, 1, None, "storefront POST /checkout", (0, 1000), kind=Kind.CLIENT),
            span(trace_id, 2, 1, "gateway POST /checkout", (5, 990), kind=Kind.SERVER),
            span(trace_id, 3, 2, "gateway POST", (500, 700), kind=Kind.CLIENT),
            span(trace_id, 4, 3, "checkout POST /checkout", (510, 1200), kind=Kind.SERVER),
            span(
                trace_id,
                6,
                5,
                "notifier process outbox",
                (600, 640),
                kind=Kind.CONSUMER,
                links=(Link("ab" * 16, "cd" * 8),),
                status=Status.ERROR,
                status_message="mail refused",
            ),
        ],
    )


def request(trace_id: str, window: Window, at_s: float, **changes: Any) -> Request:
    """A request of ``window`` at ``at_s`` after `START_S`; a healthy checkout unless said."""
    healthy = Request(
        window=window,
        planned_s=START_S + at_s,
        start_s=START_S + at_s,
        latency_ms=12.5,
        actor="shopper",
        route="POST /checkout",
        tenant="acme",
        status=201,
        trace_id=trace_id,
    )
    return dataclasses.replace(healthy, **changes)


def sample_case(
    case_id: str = "db-timeout-1", *, opened_unix_s: float = START_S + 40, level: int | None = None
) -> Case:
    """Ten requests before, ten in the incident, two after; one was never fetched.

    Of db-timeout, the worked example; with ``level``, as of a case that brings points.
    """
    scenario = scenario_file.load(CHECKOUT / "scenarios" / "db-timeout")
    before = [f"{n:02x}aa" * 8 for n in range(1, 11)]
    during = [f"{n:02x}bb" * 8 for n in range(1, 11)]
    after = [f"{n:02x}cc" * 8 for n in range(1, 3)]
    requests = [
        *(request(each, Window.REFERENCE, n * 0.5) for n, each in enumerate(before)),
        *(
            request(each, Window.CRIME, 20 + n, status=504, latency_ms=1010.0 + n)
            for n, each in enumerate(during)
        ),
        *(request(each, Window.RECOVERY, 34 + n) for n, each in enumerate(after)),
        request("dd" * 16, Window.RECOVERY, 36, route="GET /products", status=404),
        request("ee" * 16, Window.CRIME, 25, route="GET /products", status=0),
    ]
    traces = {
        **{each: healthy_trace(each, START_S + n * 0.5) for n, each in enumerate(before)},
        **{each: fatal_trace(each, START_S + 20 + n) for n, each in enumerate(during)},
        **{each: healthy_trace(each, START_S + 34 + n) for n, each in enumerate(after)},
        "dd" * 16: broken_trace("dd" * 16),
    }
    return Case(
        case_id=case_id,
        scenario=scenario if level is None else dataclasses.replace(scenario, difficulty=level),
        seed=7,
        opened_unix_s=opened_unix_s,
        ending=Ending.COMPLETED,
        versions={"toxiproxy": "2.12.0"},
        evidence=Evidence(
            windows={
                Window.REFERENCE: Interval(START_S, START_S + 8),
                Window.CRIME: Interval(START_S + 20, START_S + 32),
                Window.RECOVERY: Interval(START_S + 33, START_S + 40),
            },
            requests=tuple(requests),
            samples={
                Sample.REFERENCE: tuple(before),
                Sample.AFFECTED: tuple(during),
                Sample.RECOVERY: tuple(after),
            },
            traces=traces,
        ),
        journal=(
            JournalEntry(START_S - 1, 100.0, Step.PREFLIGHT, "started", {"seed": 7}),
            JournalEntry(
                START_S + 19,
                120.0,
                Step.CRIME,
                "lease taken",
                {"faults": ["auth-users_db timeout"]},
                spoiler=True,
            ),
        ),
        proof=Proof(
            (
                Finding(Step.REFERENCE, "checkout errors", "<= 1%", "0.0%", Outcome.HOLDS),
                Finding(Step.CRIME, "checkout errors", ">= 95%", "12.0%", Outcome.FAILS),
                Finding(
                    Step.EVIDENCE, "spans lost", "== 0", "unknown", Outcome.UNKNOWN, integrity=True
                ),
            )
        ),
        support_code=during[0],
    )
