"""A run's findings as JUnit XML, the form every CI can show."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from lab.domain.case import Case
from lab.domain.proof import Finding, Outcome


def junit_xml(runs: Iterable[tuple[Case, float]]) -> str:
    """One suite a case and one test a finding; ``runs`` pairs each case with its seconds.

    A finding that fails is a *failure*, one without an answer an *error*.
    """
    root = ET.Element("testsuites")
    for case, took_s in runs:
        proof = case.proof
        suite = ET.SubElement(
            root,
            "testsuite",
            name=case.scenario.id,
            tests=str(len(proof.findings)),
            failures=str(proof.count(Outcome.FAILS)),
            errors=str(proof.count(Outcome.UNKNOWN)),
            time=f"{took_s:.1f}",
        )
        for finding in proof.findings:
            _add_test(suite, case.scenario.id, finding)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def _add_test(suite: ET.Element, scenario_id: str, finding: Finding) -> None:
    test = ET.SubElement(
        suite, "testcase", classname=f"{scenario_id}.{finding.step.value}", name=finding.check
    )
    message = f"expected {finding.expected}, measured {finding.measured}"
    match finding.outcome:
        case Outcome.FAILS:
            ET.SubElement(test, "failure", message=message)
        case Outcome.UNKNOWN:
            ET.SubElement(test, "error", message=message)
        case Outcome.HOLDS:
            ET.SubElement(test, "system-out").text = message
