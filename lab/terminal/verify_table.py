"""What `lab verify` found: a line a run for the terminal, and a summary in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from lab.domain.proof import ProofVerdict
from lab.investigation.running.verify import Result
from lab.terminal.text import clean

_MARKS: Final = {
    ProofVerdict.PROVEN: ("✔", "green"),
    ProofVerdict.REFUTED: ("✖", "bold red"),
    ProofVerdict.INCOMPLETE: ("?", "yellow"),
}


def result_line(result: Result) -> Text:
    """The run, its verdict, and the numbers it rests on."""
    mark, style = _MARKS[result.verdict]
    said = [f"{result.trial.name}: {result.verdict.value}"]
    said += [f"symptom {result.symptom}"] if result.symptom else []
    said += [f"truth {result.truth}"] if result.truth else []
    said += [result.worst, f"{result.took_s:.0f} s"]
    return Text.assemble((f"{mark} ", style), clean("; ".join(said)))


def summary_markdown(results: Sequence[Result]) -> str:
    """A table of all runs, as a CI shows it beside its job; then the pass rate of each."""
    rows = [
        "| Run | Case | Verdict | Symptom | Truth found | Worst finding | Seconds |",
        "|---|---|---|---|---|---|---|",
        *(
            "| "
            + " | ".join(
                markdown_cell(each)
                for each in (
                    result.trial.name,
                    result.case.case_id,
                    result.verdict.value,
                    result.symptom,
                    result.truth,
                    result.worst,
                    f"{result.took_s:.1f}",
                )
            )
            + " |"
            for result in results
        ),
    ]
    return "\n".join(["# Proof", "", *rows, "", *pass_rates(results), ""])


def pass_rates(results: Sequence[Result]) -> list[str]:
    """``db-timeout: 5 of 5`` for each that was run, in the order of the first run."""
    names = dict.fromkeys(result.trial.name for result in results)
    verdicts = {
        name: [each.verdict for each in results if each.trial.name == name] for name in names
    }
    return [
        f"- {name}: {found.count(ProofVerdict.PROVEN)} of {len(found)}"
        for name, found in verdicts.items()
    ]


def markdown_cell(text: str) -> str:
    """The text without what would end its cell."""
    return clean(text).replace("|", "/").replace("\n", " ")
