"""Who is solved, in every recorded case: the table was read by eye, and is held here.

Two things that no predicate says of itself can be seen in it: an answer as good as the
reference one that is rejected, and one that should not be accepted and is.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Final

from lab.domain.accusation import Accusation
from lab.domain.case import Case
from lab.domain.mechanism import Mechanism
from lab.domain.trace import Kind, Span, Trace
from lab.domain.verdict import VerdictClass
from lab.investigation.proof.affected import affected_traces
from lab.investigation.solving.judge import judge
from tests.support.recorded_cases import RECORDINGS, recorded

TABLE: Final = Path(__file__).with_name("who_is_solved.txt")

_MARKS: Final = {Kind.CLIENT: "→", Kind.SERVER: "▣", Kind.INTERNAL: "·"}

Place = tuple[Span, Trace]


def group(case: Case, span: Span) -> str:
    """What a reader sees of a span, so that two of one group cannot be told apart by name."""
    elsewhere = "" if span.trace_id in case.evidence.request_of else "[background] "
    peer = f" ({span.peer})" if span.peer else ""
    error = " error" if span.status.value == "error" else ""
    return f"{elsewhere}{span.service} {_MARKS.get(span.kind, '⇢')} {span.name}{peer}{error}"


def groups(case: Case) -> dict[str, Place]:
    """One span of each group in the affected traces that show the truth: a guilty one if any.

    Where members of a group are judged differently the guilty one stands for it, so the
    table says *solved* of a name as soon as one span of that name is.
    """
    truth, reference = case.scenario.truth, case.evidence.reference_stats
    found: dict[str, Place] = {}
    for trace in affected_traces(case.scenario, case.evidence, reference):
        if not truth.matches(trace, reference):
            continue
        for each in trace.story:
            if each is not trace and each.trace_id in case.evidence.request_of:
                continue  # A request of its own speaks for itself.
            for span in each:
                name = group(case, span)
                if name not in found or (
                    truth.mechanisms_of(span, each, reference)
                    and not truth.mechanisms_of(*found[name], reference)
                ):
                    found[name] = span, each
    return dict(sorted(found.items()))


def verdict(case: Case, *charges: tuple[Span, Mechanism]) -> VerdictClass:
    accusation = Accusation(
        tuple((span.trace_id, span.span_id) for span, _ in charges),
        tuple(mechanism for _, mechanism in charges),
        scope=case.scenario.truth.scope,
    )
    return judge(case.scenario, case.evidence, accusation).verdict


def rows(name: str) -> Iterator[str]:
    """The lines of one case: each group with what it is, and by which words it is solved."""
    case = recorded(name)
    if case.scenario.truth.is_nobody:
        yield "solved     nobody"
    guilty: dict[str, Span] = {}
    for shown, (span, _) in groups(case).items():
        judged = {mechanism: verdict(case, (span, mechanism)) for mechanism in Mechanism}
        solving = [each.value for each, found in judged.items() if found is VerdictClass.SOLVED]
        classes = set(judged.values())
        if VerdictClass.CLOSE in classes:
            guilty[shown] = span
        elif len(classes) > 1:
            raise AssertionError(f"{shown}: expected one class, found {sorted(classes)}")
        if solving:
            yield f"solved     {shown}: {', '.join(solving)}"
        elif classes != {VerdictClass.INNOCENT}:
            yield f"{classes.pop().value:<10} {shown}"
    if case.scenario.truth.accomplice is not None:
        yield from pairs(case, guilty)


def pairs(case: Case, guilty: dict[str, Span]) -> Iterator[str]:
    """The pairs that solve, of all that are guilty and all mechanisms."""
    for (one, first), (other, second) in permutations(guilty.items(), 2):
        for how in Mechanism:
            for how_other in Mechanism:
                if verdict(case, (first, how), (second, how_other)) is VerdictClass.SOLVED:
                    yield f"solved     {one}: {how}; with {other}: {how_other}"


def table() -> str:
    """All cases, one below the other."""
    return "\n".join(
        f"{name}\n" + "".join(f"  {row}\n" for row in rows(name)) for name in RECORDINGS
    )


def test_who_is_solved_is_as_it_was_read(tmp_path: Path) -> None:
    """Where it is not, read the new table line by line before you keep it."""
    found = table()
    fresh = tmp_path / TABLE.name
    fresh.write_text(found, encoding="utf-8")
    assert found == TABLE.read_text(encoding="utf-8"), f"if it is right, copy {fresh} to {TABLE}"
