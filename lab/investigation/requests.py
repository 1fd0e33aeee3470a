"""The requests of a case as a learner sees them: in an on-call engineer's words, and chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lab.domain.evidence import Evidence
from lab.domain.load import Request, Window
from lab.errors import UsageError

WINDOW_WORDS: Final[Mapping[Window, str]] = {
    Window.REFERENCE: "before",
    Window.CRIME: "incident",
    Window.RECOVERY: "after",
}
"""The windows a learner knows, in an on-call engineer's words."""

OUTCOMES: Final = ("ok", "error", "rejected")


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


def into_window_s(evidence: Evidence, request: Request) -> float:
    """Seconds from the start of its window to that of the request; 0 outside every window."""
    window = evidence.windows.get(request.window)
    return round(request.start_s - window.start_s, 3) if window else 0.0


def _is_route(wanted: str, route: str) -> bool:
    return wanted.lower() in {route.lower(), route.lower().partition(" ")[2]}


def _known(option: str, word: str | None, words: tuple[str, ...]) -> None:
    if word is not None and word not in words:
        raise UsageError(f"expected --{option} to be one of {', '.join(words)}, got {word!r}")
