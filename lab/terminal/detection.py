"""What the detective says, as a table and as a document for programs."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from lab.detective.answer import Answer, Suspect
from lab.terminal.tables import WholeTable
from lab.terminal.text import clean

NOT_THE_TRUTH: Final = (
    "found from requests and spans alone, by rules that have never seen a scenario; "
    "bench/detective.md says how often they are right"
)


def answer_document(case_id: str, answer: Answer) -> dict[str, Any]:
    """The ranking with its numbers; ``verdict`` is accuses, nobody or cannot-tell."""
    return {
        "case": case_id,
        "verdict": verdict_word(answer),
        "nobody": round(answer.nobody, 3),
        "cannot_tell": answer.cannot_tell,
        "scope": answer.scope.value,
        "hurt_share": round(answer.hurt_share, 4),
        "margin": round(answer.margin, 4),
        "suspects": [_suspect_row(rank, each) for rank, each in enumerate(answer.suspects, 1)],
    }


def _suspect_row(rank: int, suspect: Suspect) -> dict[str, Any]:
    operation, partner = suspect.operation, suspect.partner
    return {
        "rank": rank,
        "service": operation.service,
        "operation": operation.name,
        "kind": operation.kind.value,
        "peer": operation.peer,
        "score": round(suspect.score, 4),
        "mechanism": suspect.mechanism.value,
        "reasons": list(suspect.reasons),
        "doubt": suspect.doubt,
        "examples": [_pair(*each) for each in suspect.examples],
        "partner": None
        if partner is None
        else {**_pair(*partner.example), "mechanism": partner.mechanism.value, "why": partner.why},
    }


def _pair(trace_id: str, span_id: str) -> dict[str, str]:
    return {"trace_id": trace_id, "span_id": span_id}


def verdict_word(answer: Answer) -> str:
    """What it comes to in one word."""
    if answer.cannot_tell is not None:
        return "cannot-tell"
    return "accuses" if answer.first is not None else "nobody"


def answer_table(answer: Answer) -> RenderableType:
    """The verdict in a sentence, the suspects with their reasons, and what to think of it."""
    table = WholeTable()
    table.add_column("explains", justify="right", no_wrap=True)
    table.add_column("who", overflow="fold")
    table.add_column("how")
    table.add_column("why", overflow="fold", ratio=1)
    table.add_column("for example", no_wrap=True)
    for suspect in answer.suspects:
        table.add_row(
            suspect.explains,
            Text(clean(suspect.who, 80)),
            suspect.mechanism.value,
            Text(" ".join(suspect.reasons)),
            " ".join(each[:8] for each in suspect.examples[0]),
        )
    return Group(Text(said(answer), style="bold"), table, Text(NOT_THE_TRUTH, style="dim"))


def said(answer: Answer) -> str:
    """The verdict in a sentence or two."""
    odds = f"nobody did it with a probability of {answer.nobody:.0%}."
    if answer.cannot_tell is not None:
        first = f" If anybody: {answer.suspects[0].who}." if answer.suspects else ""
        return f"It cannot be told: {answer.cannot_tell}.{first}"
    suspect = answer.first
    if suspect is None:
        return f"Nobody is to be accused: {odds}"
    with_it = (
        "" if suspect.partner is None else f", and the attempt before it {suspect.partner.why}"
    )
    lead = "Nobody else explains any of the change."
    if len(answer.suspects) > 1:
        best, second, *_ = (each.explains for each in answer.suspects)
        lead = f"It explains {best} of the change, the next {second}."
    return f"{suspect.who}, {suspect.mechanism}, hitting {answer.scope}{with_it}; {odds} {lead}"
