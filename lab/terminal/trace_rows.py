"""A trace as rows, one below the other: spans, the gaps between them, and what never came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lab.domain.trace import Span, Trace

GAP_SHARE: Final = 0.1
"""Time without a span is drawn from this share of the root's duration on."""

DEEPEST: Final = 24
"""Deeper than this, guides give way to a number: no terminal is wide enough."""

OUTLIVES_MS: Final = 1.0
"""A child that ends this much after its parent is worth a remark; less is the network's."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch inside ``parent`` in which none of its children ran."""

    parent: Span
    start_ns: int
    end_ns: int

    @property
    def length_ms(self) -> float:
        """How long nothing is known, in ms."""
        return (self.end_ns - self.start_ns) / 1e6


@dataclass(frozen=True, slots=True)
class Missing:
    """A parent that spans name and that never came."""

    span_id: str


Item = Span | Gap | Missing


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the tree: ``guides`` stands before it, ``below`` before its further lines."""

    item: Item
    guides: str
    below: str
    outlives_parent_ms: float = 0.0


def rows(trace: Trace) -> Iterator[Row]:
    """Every span once, parents first and siblings by start, with gaps and missing parents.

    Depth costs no stack: a trace of 100,000 spans in one chain is walked as well.
    """
    least_gap_ns = GAP_SHARE * _measure_ns(trace)
    orphans: dict[str, list[Span]] = {parent_id: [] for parent_id in trace.missing_parents}
    for span in trace.by_id.values():
        if span.parent_id in orphans:
            orphans[span.parent_id].append(span)
    waiting = [(item, 0, "", "") for item in reversed(_tops(trace))]
    while waiting:
        item, depth, guides, below = waiting.pop()
        yield Row(item, guides, below, _outlives_ms(trace, item))
        if isinstance(item, Missing):
            children: Sequence[Item] = orphans[item.span_id]
        else:
            children = _below(trace, item, least_gap_ns)
        for n, child in reversed(list(enumerate(children))):
            last = n == len(children) - 1
            deeper = (below + "└ ", below + "  ") if last else (below + "├ ", below + "│ ")
            if depth + 1 > DEEPEST:
                deeper = (f"⋯{depth + 1} ", "  ")
            waiting.append((child, depth + 1, *deeper))


def _tops(trace: Trace) -> Sequence[Item]:
    """Roots, then each parent that never came; they hold all spans, as cycles are cut."""
    return (*trace.roots, *(Missing(span_id) for span_id in sorted(trace.missing_parents)))


def _below(trace: Trace, item: Span | Gap, least_gap_ns: float) -> Sequence[Item]:
    if isinstance(item, Gap):
        return ()
    children = trace.children(item)
    both: list[Span | Gap] = [*children, *_gaps(item, children, least_gap_ns)]
    return sorted(both, key=lambda each: each.start_ns)


def _gaps(parent: Span, children: Sequence[Span], least_ns: float) -> Iterator[Gap]:
    """The gaps of a span with children; one without is busy itself, which is no gap."""
    if not children:
        return
    reached = parent.start_ns
    for child in children:
        start = min(child.start_ns, parent.end_ns)
        if start - reached >= least_ns and start > reached:
            yield Gap(parent, reached, start)
        reached = max(reached, min(child.end_ns, parent.end_ns))
    if parent.end_ns - reached >= least_ns and parent.end_ns > reached:
        yield Gap(parent, reached, parent.end_ns)


def _outlives_ms(trace: Trace, item: Item) -> float:
    parent = trace.parent(item) if isinstance(item, Span) else None
    if parent is None or not isinstance(item, Span):
        return 0.0
    after_ms = (item.end_ns - parent.end_ns) / 1e6
    return after_ms if after_ms >= OUTLIVES_MS else 0.0


def extent_ns(trace: Trace) -> tuple[int, int]:
    """When the first span started and the last one ended."""
    if not trace.spans:
        return 0, 0
    start = min(span.start_ns for span in trace)
    return start, max(start, *(span.end_ns for span in trace))


def _measure_ns(trace: Trace) -> int:
    """The root's duration; the whole extent where there is not one root."""
    if len(trace.roots) == 1:
        root = trace.roots[0]
        return max(0, root.end_ns - root.start_ns)
    start, end = extent_ns(trace)
    return end - start
