"""What `lab verify` and `lab record` found, run by run: lines, Markdown, JUnit XML, and rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree as ET

from rich.text import Text

from lab.domain.proof import Finding, Outcome, Proof, ProofVerdict
from lab.errors import LabError, UsageError
from lab.frozen import dataclass
from lab.investigation.running.verify import Result
from lab.terminal.text import clean


def junit_xml(runs: Iterable[tuple[str, Proof, float]]) -> str:
    """One suite a run and one test a finding; ``runs`` holds names, findings and seconds.

    A finding that fails is a *failure*, one without an answer an *error*.
    """
    root = ET.Element("testsuites")
    for name, proof, took_s in runs:
        suite = ET.SubElement(
            root,
            "testsuite",
            name=name,
            tests=str(len(proof.findings)),
            failures=str(proof.count(Outcome.FAILS)),
            errors=str(proof.count(Outcome.UNKNOWN)),
            time=f"{took_s:.1f}",
        )
        for finding in proof.findings:
            _add_test(suite, name, finding)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def _add_test(suite: ET.Element, name: str, finding: Finding) -> None:
    test = ET.SubElement(
        suite, "testcase", classname=f"{name}.{finding.step.value}", name=finding.check
    )
    message = f"expected {finding.expected}, measured {finding.measured}"
    match finding.outcome:
        case Outcome.FAILS:
            ET.SubElement(test, "failure", message=message)
        case Outcome.UNKNOWN:
            ET.SubElement(test, "error", message=message)
        case Outcome.HOLDS:
            ET.SubElement(test, "system-out").text = message


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


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of recording one scenario, in a line; after ``tries`` runs.

    ``kept_bytes`` is None where nothing was written, ``had_bytes`` where there was no recording
    before. ``error`` is what ended it, if it was no verdict.
    """

    name: str
    said: str
    had_bytes: int | None
    kept_bytes: int | None = None
    verdict: ProofVerdict | None = None
    error: LabError | None = None
    tries: int = 1

    @property
    def exit_code(self) -> int:
        """0 where it is recorded, else that of the verdict or of the error."""
        if self.error is not None:
            return self.error.exit_code
        return self.verdict.exit_code if self.verdict else 0

    @property
    def may_be_tried_again(self) -> bool:
        """Whether another run may do better: what was refuted stays refuted."""
        if self.error is not None:
            return not isinstance(self.error, UsageError)
        return self.verdict is ProofVerdict.INCOMPLETE


def attempt_rows(done: Iterable[Attempt]) -> list[dict[str, Any]]:
    """What a program may read of them."""
    return [
        {
            "scenario": each.name,
            "recorded": each.kept_bytes is not None,
            "verdict": each.verdict.value if each.verdict else None,
            "problem": str(each.error) if each.error else None,
            "bytes": each.kept_bytes,
            "bytes_before": each.had_bytes,
            "tries": each.tries,
        }
        for each in done
    ]


def attempts_summary(wanted: Sequence[str], done: Mapping[str, Attempt], command: str) -> str:
    """How many there are now, how much that is, and what ``command`` is to do with the rest."""
    fresh = {name: each.kept_bytes for name, each in done.items() if each.kept_bytes is not None}
    together = sum(fresh.values()) / 1e6
    lines = [f"{len(fresh)} of {len(wanted)} recorded anew, {together:.1f} MB together"]
    left = [name for name in wanted if name not in fresh]
    for name in left:
        attempt = done.get(name)
        why = "not reached" if attempt is None else str(attempt.error or attempt.verdict)
        lines.append(f"  as it was: {name} ({why})")
    if left:
        lines.append(f"`{command} record {' '.join(left)}` runs them once more")
    return "\n".join(lines)
