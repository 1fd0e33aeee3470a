"""Measure what a command costs before it does anything: processor time, beside the bare libraries.

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


def trace_rows(environment: dict[str, str]) -> list[Row]:
    """`lab trace` of the first request of a recorded case."""
    recording = CHECKOUT / "scenarios" / "db-timeout" / "recorded.case.zip"
    subprocess.run([*LAB, "import", str(recording)], env=environment, check=True, timeout=WITHIN_S)
    listed = subprocess.run(
        [*LAB, "traces", "--json", "--limit", "1"],
        env=environment,
        check=True,
        capture_output=True,
        timeout=WITHIN_S,
    )
    trace_id = json.loads(listed.stdout)[0]["trace_id"]
    return [TRACE.measured(multiples([*LAB, "trace", trace_id], environment))]


def main() -> None:
    """Measure, write, print."""
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as place:
        environment = {**os.environ, "LAB_STATE_DIR": str(Path(place) / ".lab")}
        rows = [
            *attempt([HELP], lambda: [HELP.measured(multiples([*LAB, "--help"], environment))]),
            *attempt([TRACE], lambda: trace_rows(environment)),
        ]
    multiple_of = f"Multiples of `python {' '.join(LIBRARIES[1:])}`, measured beside it."
    text = "\n\n".join((circumstances(load_before, "make bench"), multiple_of, table(rows)))
    write_section("Reading commands", text)
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
