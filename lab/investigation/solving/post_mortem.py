"""A debriefing as a Markdown document that can be kept, sent and printed. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lab.domain.case import Case
from lab.domain.ledger import Ledger
from lab.domain.wording import counted, plain_markdown
from lab.investigation.solving.briefing import briefing
from lab.investigation.solving.debriefing import Debriefing
from lab.investigation.solving.exhibits import Witness, Written, told, with_measure


def post_mortem(
    case: Case, ledger: Ledger, found: Debriefing, written: Written = with_measure
) -> str:
    """The whole story: symptom, cause, path, innocents, what could not be told, and the way.

    Names and texts of it come out of a case file, so no HTML of theirs is left in it.
    """
    return plain_markdown("\n".join(_lines(case, ledger, found, written)).rstrip() + "\n")


def _lines(case: Case, ledger: Ledger, found: Debriefing, written: Written) -> Iterator[str]:
    truth = case.scenario.truth
    yield f"# Post-mortem: {case.scenario.title}\n"
    yield f"Case `{case.case_id}`, seed {case.seed}. {_result(ledger)}\n"
    yield "## What was reported\n"
    yield briefing(case, written).rstrip() + "\n"
    yield "## What did it\n"
    if truth.is_nobody:
        yield f"Nobody: `{truth.mechanism.value}`. {truth.mechanism.definition}\n"
        yield from (f"- {_told(each)}" for each in found.evidence)
    else:
        yield f"`{truth.mechanism.value}`, hitting {truth.scope.value}."
        yield f"{truth.mechanism.definition}\n"
        if truth.accomplice is not None:
            second = truth.accomplice.mechanism
            yield f"And `{second.value}`, by a second one. {second.definition}\n"
        yield from (f"- {_told(each)}" for each in found.culprits)
        for other in found.others:
            which = f" of {other.witness.said}" if other.witness else ""
            yield f"\nAs good an answer: `{other.mechanism.value}`{which}. {other.why}"
        if found.accepted:
            yield "\nAlso accepted:\n"
            yield from (
                f"- `{each.mechanism.value}`: {_told(each.witness)}" for each in found.accepted
            )
        yield "\n### The path, from the edge down\n"
        yield from (f"{n}. {each.said}" for n, each in enumerate(found.path, start=1))
    if found.decoys:
        yield "\n## Who looked guilty and was not\n"
        yield from (f"- {each.why}" for each in found.decoys)
    yield "\n## What metrics and logs could not tell\n"
    yield from (f"- {each}" for each in found.blind_spots)
    yield "\n" + told(case.scenario.debrief.rstrip(), case, written) + "\n"
    yield "## The way there\n"
    yield from (f"- after {each.after_s:.0f} s: {each.said}" for each in found.own_way)
    yield "\nThe shortest one: " + ", then ".join(found.shortest_way) + "."


def _told(witness: Witness) -> str:
    span = witness.span
    return f"{witness.said}; status {span.status}; trace `{span.trace_id}`, span `{span.span_id}`"


def _result(ledger: Ledger) -> str:
    tries = counted(len(ledger.tries), "accusation")
    hints = counted(len(ledger.hints_charged), "hint")
    if ledger.given_up or ledger.solved is None:
        return f"Given up after {tries} and {hints}."
    if ledger.is_example:
        return f"Solved, as the worked example, with {tries} and {hints}."
    return f"Solved for {counted(ledger.points or 0, 'point')}, with {tries} and {hints}."
