"""A run's findings as JUnit XML, the form every CI can show."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from lab.domain.proof import Finding, Outcome, Proof


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
