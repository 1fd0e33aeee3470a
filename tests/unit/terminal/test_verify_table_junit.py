from xml.etree import ElementTree as ET

from lab.domain.journal import Step
from lab.domain.proof import Finding, Outcome, Proof
from lab.terminal.verify_table import junit_xml


def test_each_finding_is_a_test_with_its_numbers() -> None:
    """What fails is a failure, what has no answer an error, and both say the numbers."""
    proof = Proof(
        tuple(
            Finding(Step.CRIME, f"check <{outcome}>", "<= 1%", "7%", outcome) for outcome in Outcome
        )
    )
    suite = ET.fromstring(junit_xml([("db-timeout", proof, 41.26)]))[0]
    assert suite.attrib == {
        "name": "db-timeout",
        "tests": "3",
        "failures": "1",
        "errors": "1",
        "time": "41.3",
    }
    results = {test.attrib["name"]: test[0] for test in suite}
    assert results["check <fails>"].tag == "failure"
    assert results["check <fails>"].attrib["message"] == "expected <= 1%, measured 7%"
    assert results["check <unknown>"].tag == "error"
    assert results["check <holds>"].tag == "system-out"
