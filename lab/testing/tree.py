"""A tree of spans as text, read and written.

For example::

    POST /pay [server, error]
        charge card [error, !CardDeclined]
            POST [client, error, service=bank]
        ...

A line is a span's name and, in brackets, what else it must be: its kind, its status, an
exception recorded on it, its service. What is deeper stands below. A line without a status is
of a span that is no error, one without a kind is of any. ``...`` says that there may be more
where it stands; without it there may not.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from lab.domain.predicate import Clause, Predicate
from lab.domain.proof import Outcome
from lab.domain.reference import ReferenceStats
from lab.domain.trace import Kind, Span, Status, Trace
from lab.domain.wording import visible
from lab.errors import UsageError
from lab.testing.source import TraceSet

MORE: Final = "..."
INDENT: Final = "    "

_LINE: Final = re.compile(r"(?P<name>.*?)(?:\s+\[(?P<marks>[^\[\]]*)\])?")
_KINDS: Final = {kind.value: kind for kind in Kind}
_STATUSES: Final = {status.value: status for status in Status}


@dataclass(slots=True)
class Node:
    """One line of an expected tree and what stands below it; ``more`` where others may."""

    text: str
    predicate: Predicate
    children: list[Node] = field(default_factory=list)
    more: bool = False

    def failed(self, span: Span, trace: Trace) -> tuple[Clause, ...]:
        """What ``span`` by itself lacks to be this one."""
        clauses = list(self.predicate.clauses(span, trace, ReferenceStats()))
        if self.predicate.status is None:
            calm = span.status is not Status.ERROR
            clauses.append(Clause("status", "no error", str(span.status), calm))
        return tuple(clause for clause in clauses if not clause.holds)


def read(text: str) -> Node:
    """The tops of the tree that ``text`` draws, below a node of their own; UsageError if none."""
    top = Node("", Predicate())
    path: list[tuple[int, Node]] = [(-1, top)]
    for number, line in enumerate(text.expandtabs(4).splitlines(), 1):
        words = line.strip()
        if not words:
            continue
        depth = len(line) - len(line.lstrip())
        while depth <= path[-1][0]:
            path.pop()
        above = path[-1][1]
        if words == MORE:
            above.more = True
            continue
        node = _node(words, number)
        above.children.append(node)
        path.append((depth, node))
    if not (top.children or top.more):
        raise UsageError("expected a line for each span of the tree, found none")
    return top


def _node(line: str, number: int) -> Node:
    found = _LINE.fullmatch(line)
    assert found is not None
    said: dict[str, object] = {"name": found["name"]}
    for mark in filter(None, map(str.strip, (found["marks"] or "").split(","))):
        if mark in _KINDS:
            said["kind"] = _KINDS[mark]
        elif mark in _STATUSES:
            said["status"] = _STATUSES[mark]
        elif mark.startswith("!"):
            said["exception"] = mark[1:].strip()
        elif mark.startswith("service="):
            said["service"] = mark.partition("=")[2]
        else:
            raise UsageError(
                f"line {number} of the tree: expected a kind ({', '.join(_KINDS)}), a status "
                f"({', '.join(_STATUSES)}), !Exception or service=name in brackets, got {mark!r}"
            )
    return Node(line, Predicate(**said))  # type: ignore[arg-type]


Placed = tuple[Span, Trace]


def tops(traces: Iterable[Trace]) -> list[Placed]:
    """Where each tree begins: the spans without a parent among those received."""
    found = [(span, trace) for trace in traces for span in trace.tops]
    return sorted(found, key=lambda each: each[0].start_ns)


def write(traces: tuple[Trace, ...], like: Node | None = None) -> str:
    """The tree that ``traces`` are, siblings by start, or in the order that ``like`` has."""
    services = len({span.service for trace in traces for span in trace}) > 1
    return "\n".join(_written(tops(traces), like, None if services else "", 0))


def _written(
    spans: list[Placed], like: Node | None, caller: str | None, depth: int
) -> Iterator[str]:
    """``caller`` is the service above, which is not said again; '' where there is but one."""
    ordered, extra = _in_order(spans, like)
    for (span, trace), node in ordered:
        service = span.service if caller != "" and span.service != caller else None
        yield INDENT * depth + line_of(span, service)
        below = [(each, trace) for each in trace.children(span)]
        yield from _written(below, node, caller if caller == "" else span.service, depth + 1)
    if extra:
        yield INDENT * depth + MORE


def _in_order(
    spans: list[Placed], like: Node | None
) -> tuple[list[tuple[Placed, Node | None]], bool]:
    """Each span, those first that a line is of, as the lines stand; and whether others may be.

    Others are left out where they may be and every line has its span.
    """
    left = list(spans)
    ordered: list[tuple[Placed, Node | None]] = []
    nodes = like.children if like else []
    for node in nodes:
        named = [each for each in left if each[0].name == node.predicate.name]
        if named:
            fits = (each for each in named if not node.failed(*each))
            best = next(fits, None) or min(named, key=lambda each: len(node.failed(*each)))
            left.remove(best)
            ordered.append((best, node))
    if like is not None and like.more and len(ordered) == len(nodes):
        return ordered, True
    return [*ordered, *((each, None) for each in left)], False


def line_of(span: Span, service: str | None = None) -> str:
    """One span as a line of a tree."""
    marks = [] if span.kind is Kind.INTERNAL else [span.kind.value]
    marks += [] if span.status is Status.UNSET else [span.status.value]
    marks += [f"!{each.rpartition('.')[2]}" for each in span.exceptions[:1] if each]
    marks += [f"service={service}"] if service else []
    # A name that ends in brackets, or that is no name, is told from marks by marks.
    name = visible(span.name).strip()
    if not marks and (name.endswith("]") or name == MORE or not name):
        marks = [span.kind.value]
    return f"{name} [{', '.join(marks)}]" if marks else name


_HEADING: Final = 3
"""Lines of a unified difference that name files and places in them."""

_MOST_STEPS: Final = 20_000
"""Of one search for an order of siblings; beyond it order is not asked for."""


def compare(expected: Node, found: TraceSet) -> tuple[Outcome, Callable[[], str]]:
    """What it comes to, and where both differ in words."""
    fits = _Match().children_fit(expected, tops(found.traces))

    def told() -> str:
        lines = [
            "expected the tree on the lines with -, found what is on those with +",
            *_difference(expected, found),
        ]
        if found.unfinished or not found.traces:
            why = next(iter(found.unfinished.values()), "no trace has come")
            lines.append(f"more may come: {why}")
        return "\n".join(lines)

    if found.unfinished or (found.may_grow and not found.traces):
        return Outcome.UNKNOWN, told
    return Outcome.HOLDS if fits else Outcome.FAILS, told


def _difference(expected: Node, found: TraceSet) -> Iterator[str]:
    """All lines of both, told apart by what stands before each."""
    wanted = _lines(expected, 0)
    there = write(found.traces, like=expected).splitlines()
    if wanted == there:
        return iter(f"  {line}" for line in there)
    whole = len(wanted) + len(there)
    lines = islice(difflib.unified_diff(wanted, there, lineterm="", n=whole), _HEADING, None)
    return (f"{line[:1]} {line[1:]}" for line in lines)


def _lines(node: Node, depth: int) -> list[str]:
    lines = []
    for child in node.children:
        lines += [INDENT * depth + child.text, *_lines(child, depth + 1)]
    return [*lines, INDENT * depth + MORE] if node.more else lines


class _Match:
    """Remembers which span fits which line, since a search asks for it again and again."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, str], bool] = {}
        self._steps = 0

    def children_fit(self, node: Node, spans: Sequence[Placed]) -> bool:
        """Whether each line below ``node`` is one of ``spans``, and none of them is left."""
        lines = node.children
        if len(spans) < len(lines) or (len(spans) > len(lines) and not node.more):
            return False
        rows = {
            span.span_id: tuple(self._fits(line, span, trace) for line in lines)
            for span, trace in spans
        }
        bare = [span for span, _ in spans]
        self._steps = 0
        if self._placed(0, bare, rows, 0, ordered=True):
            return True
        gave_up = self._steps > _MOST_STEPS
        self._steps = 0
        return gave_up and self._placed(0, bare, rows, 0, ordered=False)

    def _fits(self, line: Node, span: Span, trace: Trace) -> bool:
        # Lines that say the same of a span are one: there may be hundreds of a query.
        is_leaf = not (line.children or line.more)
        key = line.text if is_leaf else id(line), span.span_id
        known = self._known.get(key)
        if known is None:
            below = [(child, trace) for child in trace.children(span)]
            known = not line.failed(span, trace) and self.children_fit(line, below)
            self._known[key] = known
        return known

    def _placed(
        self,
        number: int,
        left: list[Span],
        rows: dict[str, tuple[bool, ...]],
        reached_ns: int,
        *,
        ordered: bool,
    ) -> bool:
        """Whether the lines from ``number`` on can be given spans of ``left``.

        One that ended before ``reached_ns``, where a span of an earlier line began, would have
        to stand before that line.
        """
        if not rows or number == len(next(iter(rows.values()))):
            return True
        self._steps += 1
        if self._steps > _MOST_STEPS:
            return False
        fitting = [
            span
            for span in left
            if rows[span.span_id][number] and (not ordered or span.end_ns >= reached_ns)
        ]
        for span in _distinct(fitting, rows):
            rest = [each for each in left if each is not span]
            reached = max(reached_ns, span.start_ns)
            if self._placed(number + 1, rest, rows, reached, ordered=ordered):
                return True
        return False


def _distinct(fitting: list[Span], rows: dict[str, tuple[bool, ...]]) -> list[Span]:
    """Of spans that fit the same lines, the first to begin and the first to end: no other helps."""
    chosen: dict[tuple[object, ...], Span] = {}
    for name, key in (("start", _start), ("end", _end)):
        for span in sorted(fitting, key=key):
            chosen.setdefault((name, rows[span.span_id]), span)
    return list({span.span_id: span for span in chosen.values()}.values())


def _start(span: Span) -> int:
    return span.start_ns


def _end(span: Span) -> int:
    return span.end_ns
