"""Traces drawn by hand: a tree of drafts in, a trace out. Times are in ms from the root's start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lab.domain.evidence import Evidence, Interval, Sample
from lab.domain.load import Request, Window
from lab.domain.trace import AttributeValue, Event, Kind, Span, Status, Trace

EPOCH_NS = 1_700_000_000_000_000_000
WINDOWS = {
    Window.REFERENCE: Interval(0.0, 8.0),
    Window.CRIME: Interval(10.0, 22.0),
    Window.RECOVERY: Interval(24.0, 32.0),
}


@dataclass
class Draft:
    """A span to be: its times, marks and children."""

    service: str
    name: str
    at: float
    took: float
    kind: Kind = Kind.INTERNAL
    status: Status = Status.UNSET
    peer: str | None = None
    exception: str | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    children: Sequence[Draft] = ()


def server(
    service: str, name: str, at: float, took: float, *children: Draft, **marks: object
) -> Draft:
    return Draft(service, name, at, took, Kind.SERVER, children=children, **marks)  # type: ignore[arg-type]


def client(
    service: str, name: str, at: float, took: float, peer: str, *children: Draft, **marks: object
) -> Draft:
    return Draft(service, name, at, took, Kind.CLIENT, peer=peer, children=children, **marks)  # type: ignore[arg-type]


def internal(
    service: str, name: str, at: float, took: float, *children: Draft, **marks: object
) -> Draft:
    return Draft(service, name, at, took, children=children, **marks)  # type: ignore[arg-type]


def trace(trace_id: str, root: Draft) -> Trace:
    """The trace of a draft; span ids count from 1 in the order of the drawing."""
    spans: list[Span] = []

    def add(draft: Draft, parent_id: str | None) -> None:
        span_id = f"{len(spans) + 1:016x}"
        start_ns = EPOCH_NS + round(draft.at * 1e6)
        attributes = dict(draft.attributes)
        if draft.peer:
            attributes["service.peer.name"] = draft.peer
        events: tuple[Event, ...] = ()
        if draft.exception:
            events = (Event("exception", start_ns, {"exception.type": draft.exception}),)
        spans.append(
            Span(
                trace_id=trace_id,
                span_id=span_id,
                parent_id=parent_id,
                name=draft.name,
                kind=draft.kind,
                service=draft.service,
                start_ns=start_ns,
                end_ns=start_ns + round(draft.took * 1e6),
                status=draft.status,
                attributes=attributes,
                events=events,
            )
        )
        for child in draft.children:
            add(child, span_id)

    add(root, None)
    return Trace(trace_id, tuple(sorted(spans, key=lambda span: span.start_ns)))


def request(
    trace_id: str,
    window: Window,
    *,
    route: str = "POST /checkout",
    status: int = 201,
    latency_ms: float = 30.0,
    start_s: float | None = None,
) -> Request:
    moment_s = WINDOWS[window].end_s - 1.0 if start_s is None else start_s
    return Request(
        window, moment_s, moment_s, latency_ms, "shopper", route, "birch", status, trace_id
    )


def evidence(
    requests: Iterable[Request],
    samples: Mapping[Sample, Sequence[Trace]],
    *,
    lost: Mapping[Sample, Sequence[str]] | None = None,
) -> Evidence:
    """Evidence whose samples hold these traces, and ids of others that never came."""
    lost = lost or {}
    return Evidence(
        windows=WINDOWS,
        requests=tuple(requests),
        samples={
            sample: (*(each.trace_id for each in samples.get(sample, ())), *lost.get(sample, ()))
            for sample in Sample
        },
        traces={each.trace_id: each for traces in samples.values() for each in traces},
    )


ERROR = Status.ERROR


def select(service: str, peer: str, at: float, took: float, **marks: object) -> Draft:
    return client(service, "SELECT", at, took, peer, **marks)


def session(took: float = 6.0) -> Draft:
    """Gateway asks auth who is there, and auth's database knows."""
    return client(
        "gateway", "GET", 1, took, "auth",
        server(
            "auth", "GET /session", 2, took - 2,
            internal("auth", "pool.acquire", 2, 0.2, peer="users_db"),
            select("auth", "users_db", 2.5, 1),
            select("auth", "users_db", 3.6, 0.4),
        ),
    )  # fmt: skip


def healthy_checkout(trace_id: str) -> Trace:
    return _checkout(trace_id, declined=False)


def declined_checkout(trace_id: str) -> Trace:
    return _checkout(trace_id, declined=True)


def _checkout(trace_id: str, *, declined: bool) -> Trace:
    status = ERROR if declined else Status.UNSET
    bank = {"http.response.status_code": 402 if declined else 201}
    answer = {"http.response.status_code": 400 if declined else 201}
    reason: dict[str, AttributeValue] = {"decline.reason": "expired_card"} if declined else {}
    charge = internal(
        "payments", "charge_credit_card", 16, 5,
        client(
            "payments", "POST", 16.5, 4, "bank",
            server("bank", "POST /authorizations", 17, 3, attributes=bank),
            status=status, attributes=bank,
        ),
        status=status, attributes=reason, exception="lab.CardDeclined" if declined else None,
    )  # fmt: skip
    return trace(
        trace_id,
        client(
            "storefront", "POST /checkout", 0, 30, "gateway",
            server(
                "gateway", "POST /checkout", 0.5, 29,
                session(),
                client(
                    "gateway", "POST", 9, 20, "checkout",
                    server(
                        "checkout", "POST /checkout", 10, 18,
                        client(
                            "checkout", "POST", 15, 7, "payments",
                            server("payments", "POST /charges", 15.5, 6, charge, attributes=answer),
                            status=status, attributes=answer,
                        ),
                        attributes=answer,
                    ),
                    status=status, attributes=answer,
                ),
                attributes=answer,
            ),
            status=status, attributes=answer,
        ),
    )  # fmt: skip


def silent_login_check(trace_id: str, *, warm: bool) -> Trace:
    """A checkout that dies at auth: its query hangs (warm), or its new connection (cold)."""
    if warm:
        took, dead = (
            1000.0,
            [select("auth", "users_db", 3, 1000, status=ERROR, exception="TimeoutError")],
        )
    else:
        connect = client(
            "auth", "db.connect", 3, 400, "users_db", status=ERROR, exception="TimeoutError"
        )
        took, dead = 400.0, [
            internal(
                "auth", "pool.acquire", 3, 400, connect,
                peer="users_db", status=ERROR, exception="TimeoutError",
            )
        ]  # fmt: skip
    return trace(
        trace_id,
        client(
            "storefront", "POST /checkout", 0, took + 8, "gateway",
            server(
                "gateway", "POST /checkout", 1, took + 6,
                client(
                    "gateway", "GET", 1.5, took + 5, "auth",
                    server("auth", "GET /session", 2, took + 3, *dead, status=ERROR),
                    status=ERROR,
                ),
                status=ERROR,
            ),
            status=ERROR,
        ),
    )  # fmt: skip


def page(trace_id: str, query_ms: float = 3.0) -> Trace:
    """A page of the shelves; the pool's reset takes as long as the query itself."""
    took = 2 * query_ms
    return trace(
        trace_id,
        client(
            "storefront", "GET /products", 0, took + 14, "gateway",
            server(
                "gateway", "GET /products", 0.5, took + 13,
                session(),
                internal(
                    "gateway", "fetch_page", 8, took + 4,
                    client(
                        "gateway", "GET", 8.5, took + 3, "catalog",
                        server(
                            "catalog", "GET /products", 9, took + 2,
                            internal("catalog", "pool.acquire", 9, 0.2, peer="catalog_db"),
                            select("catalog", "catalog_db", 9.5, query_ms),
                            select("catalog", "catalog_db", 9.6 + query_ms, query_ms),
                        ),
                    ),
                ),
            ),
        ),
    )  # fmt: skip
