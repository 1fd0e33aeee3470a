"""Measure what a reading command costs: processor time, beside the bare libraries and by itself.

``make bench`` runs this too; it needs no stack. Ratios of one sitting, because a shared
machine has fast and slow hours.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from promises import Promise, Row, attempt, table
from results import circumstances, write_section
from yardstick import LIBRARIES, WITHIN_S, as_a_user_has_it, processor_s, told

from lab.settings import CHECKOUT

ROUNDS: Final = 9
LAB: Final = (sys.executable, "-m", "lab")
HELP: Final = Promise("`lab --help`: processor time, as a multiple", "×", 2.2)
TRACE: Final = Promise("`lab trace` on a recorded case: processor time, as a multiple", "×", 3.5)
READING: Final = (
    "traces",
    "traces --group-by http.route",
    "traces --background",
    "trace {trace}",
    "trace {trace} {trace}",
    "twin {trace}",
    "logs",
    "signals",
    "contrast",
    "map",
    "briefing",
    "hint",
    "exhibit",
    "cases",
    "mechanisms",
    "journal",
    "proof --reveal",
    "debrief --reveal",
    "detect --anyway",
)
"""What somebody types who solves a case in the terminal."""

BUSIEST: Final = "locked-drawer"
"""Of the recorded cases the one with the most to read: every trace has some forty spans."""


def multiples(
    command: Sequence[str], environment: dict[str, str], bare_s: list[float]
) -> list[float]:
    """How many times the bare libraries it cost, round by round; what those took is added."""
    costs_s = []
    for _ in range(ROUNDS):
        costs_s.append(processor_s(command, environment))
        bare_s.append(processor_s(LIBRARIES, environment))
    return [one / other for one, other in zip(costs_s, bare_s[-ROUNDS:], strict=True)]


def reads(command: str) -> Promise:
    """The promise for one reading command."""
    return Promise(f"`lab {command.replace('{trace}', 'TRACE')}` on {BUSIEST}", "s", 0.5)


def first_trace(name: str, environment: dict[str, str]) -> str:
    """Bring the recorded case, the newest now, and the id of the first trace it lists."""
    recording = CHECKOUT / "scenarios" / name / "recorded.case.zip"
    subprocess.run([*LAB, "import", str(recording)], env=environment, check=True, timeout=WITHIN_S)
    listed = subprocess.run(
        [*LAB, "traces", "--json", "--limit", "1"],
        env=environment,
        check=True,
        capture_output=True,
        timeout=WITHIN_S,
    )
    return str(json.loads(listed.stdout)[0]["trace_id"])


def help_rows(environment: dict[str, str], bare_s: list[float]) -> list[Row]:
    """`lab --help`; what the first run compiles is no part of it."""
    processor_s(LIBRARIES, environment)
    processor_s([*LAB, "--help"], environment)
    return [HELP.measured(multiples([*LAB, "--help"], environment, bare_s))]


def trace_rows(environment: dict[str, str], bare_s: list[float]) -> list[Row]:
    """`lab trace` of the first request of a recorded case."""
    command = [*LAB, "trace", first_trace("db-timeout", environment)]
    processor_s(command, environment)
    return [TRACE.measured(multiples(command, environment, bare_s))]


def reading_rows(environment: dict[str, str], bare_s: list[float]) -> list[Row]:
    """Each reading command over the case with the most to read, and its multiple beside it."""
    trace_id = first_trace(BUSIEST, environment)
    rows = []
    for each in READING:
        command = [*LAB, *each.format(trace=trace_id).split()]
        processor_s(command, environment)
        bare_s.append(processor_s(LIBRARIES, environment))
        costs_s = [processor_s(command, environment) for _ in range(ROUNDS)]
        bare_s.append(processor_s(LIBRARIES, environment))
        multiple = statistics.median(costs_s) / statistics.mean(bare_s[-2:])
        rows.append(reads(each).measured(costs_s, f"{multiple:.1f} × the bare libraries"))
    return rows


def main() -> None:
    """Measure, write, print."""
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as place:
        environment = as_a_user_has_it(Path(place)) | {"LAB_STATE_DIR": str(Path(place) / ".lab")}
        bare_s: list[float] = []
        promises = [reads(each) for each in READING]
        rows = [
            *attempt([HELP], lambda: help_rows(environment, bare_s)),
            *attempt([TRACE], lambda: trace_rows(environment, bare_s)),
            *attempt(promises, lambda: reading_rows(environment, bare_s)),
        ]
    multiple_of = f"Multiples are of the bare libraries, measured beside it. {told(bare_s)}"
    text = "\n\n".join((circumstances(load_before, "make bench"), multiple_of, table(rows)))
    write_section("Reading commands", text)
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
