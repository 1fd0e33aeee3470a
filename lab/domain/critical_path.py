"""Which work the end of a request waited for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lab.domain.trace import Span, Trace


class Stretch(NamedTuple):
    """A stretch of time in which everybody waited for this span itself, not for a child of it.

    A tuple, as what is on its way here: many thousands of them are made for a case.
    """

    span_id: str
    start_ns: int
    end_ns: int

    @property
    def length_ms(self) -> float:
        """How long it is, in ms."""
        return (self.end_ns - self.start_ns) / 1e6


class _Stay(NamedTuple):
    """A span that is waited for from ``start_ns`` to ``end_ns``."""

    span: Span
    start_ns: int
    end_ns: int


def critical_path(trace: Trace) -> tuple[Stretch, ...]:
    """The stretches that make up the root's duration, each once, latest first.

    Walk back from the end of the root: the child that ended last was waited for until
    then, and so was, before it began, the one that ended last before its beginning. What
    lies between them is the span's own. A child that outlives its parent counts until
    the parent's end; one that was still running when a later one began, and so was not
    waited for, not at all. After "CRISP: Critical Path Analysis of Large-Scale
    Microservice Architectures" (Zhang et al., USENIX ATC 2022).

    Empty where there is not one root, or nobody knows when it began.
    """
    if len(trace.roots) != 1 or trace.roots[0].is_undated:
        return ()
    root = trace.roots[0]
    found: list[Stretch] = []
    waiting = [_Stay(root, root.start_ns, root.end_ns)]
    while waiting:
        stay = waiting.pop()
        reached = stay.end_ns
        for child in _waited_for(trace, stay):
            if child.end_ns < reached:
                found.append(Stretch(stay.span.span_id, child.end_ns, reached))
            waiting.append(child)
            reached = child.start_ns
        if stay.start_ns < reached:
            found.append(Stretch(stay.span.span_id, stay.start_ns, reached))
    return tuple(sorted(found, key=lambda each: each.start_ns, reverse=True))


def _waited_for(trace: Trace, stay: _Stay) -> Iterator[_Stay]:
    lasting: list[_Stay] = []
    for child in trace.children(stay.span):
        start_ns, end_ns = max(child.start_ns, stay.start_ns), min(child.end_ns, stay.end_ns)
        if start_ns < end_ns and not child.is_undated:
            lasting.append(_Stay(child, start_ns, end_ns))
    # Of two that end together the longer one is waited for.
    lasting.sort(key=lambda each: (-each.end_ns, each.start_ns))
    reached = stay.end_ns
    for each in lasting:
        if each.end_ns <= reached:
            yield each
            reached = each.start_ns
