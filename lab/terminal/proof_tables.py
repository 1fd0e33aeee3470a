"""What a proof found as tables, and as rows for programs."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from lab.domain.case import Case
from lab.domain.proof import Outcome, Proof
from lab.investigation.proof.prove import explain
from lab.terminal.tables import plain_table
from lab.terminal.text import clean

OUTCOME_MARKS: Final = {
    Outcome.HOLDS: ("✔ holds", "green"),
    Outcome.FAILS: ("✖ fails", "bold red"),
    Outcome.UNKNOWN: ("? unknown", "yellow"),
}


def proof_rows(proof: Proof) -> list[dict[str, Any]]:
    """Findings as a program reads them."""
    return [
        {
            "step": finding.step.value,
            "check": finding.check,
            "expected": finding.expected,
            "measured": finding.measured,
            "outcome": finding.outcome.value,
            "integrity": finding.integrity,
        }
        for finding in proof.findings
    ]


def proof_table(proof: Proof) -> RenderableType:
    """Every finding with what was expected and measured; ``!`` marks what all others rest on."""
    words = ("check", "expected", "measured")
    table = plain_table("step", *words, "outcome", fold=words)
    for finding in proof.findings:
        mark, style = OUTCOME_MARKS[finding.outcome]
        table.add_row(
            finding.step.value,
            Text(clean(finding.check) + (" !" if finding.integrity else "")),
            Text(clean(finding.expected)),
            Text(clean(finding.measured)),
            Text(mark, style=style),
        )
    legend = "! says whether the run can be trusted: where one does not hold, nothing is proven"
    return Group(table, Text(legend, style="dim"))


def misses_table(case: Case) -> RenderableType:
    """The spans that came nearest to the truth where it was not found, and what they lack."""
    misses = explain(case.scenario, case.evidence)
    if not misses:
        return Text(
            "no near miss: every affected trace that was kept shows the truth, or there is none"
        )
    table = plain_table(
        "trace", "span", "operation", "does not fit", fold=("operation", "does not fit")
    )
    for miss in misses:
        span = miss.span
        table.add_row(
            Text(span.trace_id[:8], style="cyan"),
            Text(span.span_id[:8], style="cyan"),
            Text(clean(f"{span.service} {span.kind.value} {span.name}")),
            Text("\n".join(clean(str(clause)) for clause in miss.failed)),
        )
    return Group(Text("nearest misses of the truth", style="bold"), table)
