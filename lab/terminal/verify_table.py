"""What `lab verify` found: a line a run, a summary in Markdown, and JUnit XML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from xml.etree import ElementTree as ET

from rich.text import Text

from lab.domain.proof import Finding, Outcome, Proof, ProofVerdict
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
