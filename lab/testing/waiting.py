"""Looking again until it is settled: until it holds, or for as long as it must hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Final

from lab.domain.proof import Outcome
from lab.domain.trace import Span
from lab.frozen import dataclass
from lab.testing.source import Spans, TraceSet, look_at

__tracebackhide__ = True
"""A failure is shown at the test's own line, not at ours."""

_SHORTEST_POLL_S: Final = 0.01


class Incomplete(Exception):
    """What was to be asserted can be said neither to hold nor to fail: spans are missing.

    It is no pass and no failure: the plugin reports the test as *incomplete*, and the session
    is not green.
    """


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was asked of traces came to this; ``told`` spells it out, which takes a while.

    ``written_anew`` says whether the expectation is changed to what was found instead.
    """

    outcome: Outcome
    spans: tuple[Span, ...]
    told: Callable[[], str]
    written_anew: Callable[[], bool] = lambda: False


Ask = Callable[[TraceSet], Verdict]
Rounds = Generator[float, None, tuple[Span, ...]]


def rounds(spans: Spans, ask: Ask, within_s: float, throughout_s: float) -> Rounds:
    """Look, and yield how long to wait, until it is settled; raise where it does not hold."""
    began, tries = time.monotonic(), 0
    held_since: float | None = None
    poll_s: float = max(_SHORTEST_POLL_S, getattr(spans, "poll_s", _SHORTEST_POLL_S))
    while True:
        # Before the look: what comes while one looks is seen by the next.
        now = time.monotonic()
        verdict = ask(look_at(spans))
        tries += 1
        if verdict.outcome is Outcome.HOLDS:
            held_since = now if held_since is None else held_since
            left_s = throughout_s - (now - held_since)
            if left_s <= 0:
                return verdict.spans
        elif held_since is not None and verdict.outcome is Outcome.FAILS:
            raise AssertionError(f"{verdict.told()}\nit held for {now - held_since:.2f} s")
        else:
            left_s = within_s - (now - began)
            if left_s <= 0 and verdict.outcome is Outcome.FAILS and verdict.written_anew():
                return verdict.spans
            if left_s <= 0:
                _refuse(verdict, now - began, tries)
        yield min(poll_s, left_s)


def _refuse(verdict: Verdict, waited_s: float, tries: int) -> None:
    waited = f"\nlooked {tries} times in {waited_s:.1f} s" if tries > 1 else ""
    message = verdict.told() + waited
    raise (AssertionError if verdict.outcome is Outcome.FAILS else Incomplete)(message)
