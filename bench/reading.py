"""Measure what a reading command costs: processor time, beside the bare libraries and by itself.

``make bench`` runs this too; it needs no stack. Ratios of one sitting, because a shared
machine has fast and slow hours.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from promises import Promise, Row, attempt, table
from results import circumstances, write_section

from lab.settings import CHECKOUT

ROUNDS: Final = 9
LAB: Final = (sys.executable, "-m", "lab")
LIBRARIES: Final = (sys.executable, "-c", "import typer, rich, pydantic")
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
)
"""What somebody types who solves a case in the terminal."""

BUSIEST: Final = "locked-drawer"
"""Of the recorded cases the one with the most to read: every trace has some forty spans."""

WITHIN_S: Final = 120


def processor_s(command: Sequence[str], environment: dict[str, str]) -> float:
    """What one run of ``command`` took of the processors, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=WITHIN_S
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def multiples(command: Sequence[str], environment: dict[str, str]) -> list[float]:
    """How many times the bare libraries it cost, round by round, side by side."""
    return [
        processor_s(command, environment) / processor_s(LIBRARIES, environment)
        for _ in range(ROUNDS)
    ]


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


def trace_rows(environment: dict[str, str]) -> list[Row]:
    """`lab trace` of the first request of a recorded case."""
    trace_id = first_trace("db-timeout", environment)
    return [TRACE.measured(multiples([*LAB, "trace", trace_id], environment))]


def reading_rows(environment: dict[str, str]) -> list[Row]:
    """Each reading command over the case with the most to read."""
    trace_id = first_trace(BUSIEST, environment)
    commands = [[*LAB, *each.format(trace=trace_id).split()] for each in READING]
    return [
        reads(each).measured([processor_s(command, environment) for _ in range(ROUNDS)])
        for each, command in zip(READING, commands, strict=True)
    ]


def main() -> None:
    """Measure, write, print."""
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as place:
        environment = {**os.environ, "LAB_STATE_DIR": str(Path(place) / ".lab")}
        rows = [
            *attempt([HELP], lambda: [HELP.measured(multiples([*LAB, "--help"], environment))]),
            *attempt([TRACE], lambda: trace_rows(environment)),
            *attempt([reads(each) for each in READING], lambda: reading_rows(environment)),
        ]
    multiple_of = f"Multiples of `python {' '.join(LIBRARIES[1:])}`, measured beside it."
    text = "\n\n".join((circumstances(load_before, "make bench"), multiple_of, table(rows)))
    write_section("Reading commands", text)
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
