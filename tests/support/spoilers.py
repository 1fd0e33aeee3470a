"""What an open case must not tell, be it on a page or to an agent."""

from __future__ import annotations

from lab.domain.case import Case


def secrets_of(case: Case) -> list[str]:
    """Texts that only somebody who knows the answer could say."""
    scenario = case.scenario
    said = [
        *(line.strip() for line in scenario.debrief.splitlines() if len(line.strip()) > 25),
        *(hint[:40] for hint in scenario.hints),
        *(decoy.why[:40] for decoy in scenario.decoys),
        *(fault.edge for fault in (*scenario.faults, *scenario.ambient)),
        *scenario.conditions,
        "lease taken",
        *(finding.check for finding in case.proof.findings if " " in finding.check),
    ]
    return [each for each in said if each]
