"""The requests of a case, chosen and shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from lab.domain.case import Case
from lab.domain.evidence import Evidence
from lab.domain.load import Request, Window
from lab.errors import UsageError
from lab.terminal.text import clean, duration, short_ids

WINDOW_WORDS: Final[Mapping[Window, str]] = {
    Window.REFERENCE: "before",
    Window.CRIME: "incident",
    Window.RECOVERY: "after",
}
"""The windows a learner knows, in an on-call engineer's words."""

OUTCOMES: Final = ("ok", "error", "rejected")

_MARKS: Final = {"ok": ("✔ ok", "green"), "error": ("✖ error", "bold red")} | {
    "rejected": ("▲ rejected", "yellow")
}
_LEAST_DIGITS: Final = 8
_ROOMY: Final = 100


def outcome_of(request: Request) -> str:
    """``error`` (5xx or no answer), ``rejected`` (4xx) or ``ok``."""
    if request.is_server_error:
        return "error"
    return "rejected" if request.is_rejected else "ok"


def select_requests(
    evidence: Evidence,
    *,
    outcome: str | None = None,
    route: str | None = None,
    window: str | None = None,
    slowest: bool = False,
    limit: int | None = None,
) -> tuple[Request, ...]:
    """The requests whose trace is in the case, that fit every filter given.

    ``window`` is one of `WINDOW_WORDS`, ``route`` the whole route or its path. They
    come in order of time, or slowest first. UsageError for a word nobody knows.
    """
    _known("outcome", outcome, OUTCOMES)
    _known("window", window, tuple(WINDOW_WORDS.values()))
    routes = sorted({request.route for request in evidence.requests})
    if route is not None and not any(_is_route(route, each) for each in routes):
        raise UsageError(f"expected --route to be one of {', '.join(routes)}, got {route!r}")
    chosen = [
        request
        for request in evidence.requests
        if request.trace_id in evidence.traces
        and request.window in WINDOW_WORDS
        and outcome in {None, outcome_of(request)}
        and window in {None, WINDOW_WORDS[request.window]}
        and (route is None or _is_route(route, request.route))
    ]
    if slowest:
        chosen.sort(key=lambda request: -request.latency_ms)
    else:
        chosen.sort(key=lambda request: request.start_s)
    return tuple(chosen[:limit])


def request_rows(evidence: Evidence, requests: Sequence[Request]) -> list[dict[str, Any]]:
    """The requests as a program reads them; ``into_window_s`` counts from the window's start."""
    return [
        {
            "trace_id": request.trace_id,
            "window": WINDOW_WORDS[request.window],
            "into_window_s": _into_window_s(evidence, request),
            "route": request.route,
            "status": request.status,
            "outcome": outcome_of(request),
            "latency_ms": round(request.latency_ms, 3),
            "tenant": request.tenant,
            "whole": evidence.traces[request.trace_id].is_whole,
        }
        for request in requests
    ]


def request_table(case: Case, requests: Sequence[Request], *, full: bool = False) -> RequestTable:
    """The requests as a table that fits itself to the width it is given."""
    return RequestTable(case.evidence, requests, full=full)


class RequestTable:
    """A renderable: one line a request.

    Ids are as short as `resolve_trace` takes them; whole with ``full`` and wherever
    the output is no terminal. Where that leaves no room, outcome and tenant go.
    """

    def __init__(self, evidence: Evidence, requests: Sequence[Request], *, full: bool) -> None:
        self._evidence = evidence
        self._requests = requests
        self._full = full

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the table and how to go on."""
        if not self._requests:
            yield Text("no request fits; leave a filter out, or see `lab traces --help`")
            return
        full = self._full or not options.is_terminal
        yield self._table(full=full, roomy=not full or options.max_width >= _ROOMY)
        yield Text(_footer(self._evidence, self._requests), style="dim")

    def _table(self, *, full: bool, roomy: bool) -> Table:
        ids = list(self._evidence.traces)
        shown = {each: each for each in ids} if full else short_ids(ids, _LEAST_DIGITS)
        table = Table(
            box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, int(roomy), 0, 0)
        )
        for heading in ("trace", "when", "into it", "status", "latency"):
            right = heading in {"into it", "status", "latency"}
            table.add_column(heading, justify="right" if right else "left", no_wrap=True)
        table.add_column("route", overflow="fold")
        if roomy:
            table.add_column("outcome", no_wrap=True)
            table.add_column("tenant", overflow="fold")
        for request in self._requests:
            mark, style = _MARKS[outcome_of(request)]
            more = [Text(mark, style=style), Text(clean(request.tenant))] if roomy else []
            table.add_row(
                Text(shown[request.trace_id], style="cyan"),
                WINDOW_WORDS[request.window],
                f"{_into_window_s(self._evidence, request):.1f}s",
                Text(str(request.status or "none"), style=style),
                duration(request.latency_ms),
                Text(clean(request.route)),
                *more,
            )
        return table


def _footer(evidence: Evidence, shown: Sequence[Request]) -> str:
    listed = sum(1 for each in evidence.requests if each.trace_id in evidence.traces)
    return (
        f"{len(shown)} of {listed} requests with a trace in this case. "
        "`lab trace ID` opens one; the first digits of an id are enough."
    )


def _into_window_s(evidence: Evidence, request: Request) -> float:
    window = evidence.windows.get(request.window)
    return round(request.start_s - window.start_s, 3) if window else 0.0


def _is_route(wanted: str, route: str) -> bool:
    return wanted.lower() in {route.lower(), route.lower().partition(" ")[2]}


def _known(option: str, word: str | None, words: tuple[str, ...]) -> None:
    if word is not None and word not in words:
        raise UsageError(f"expected --{option} to be one of {', '.join(words)}, got {word!r}")
