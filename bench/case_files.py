"""Measure what case files promise: how soon they leave, open and arrive, and how large they are.

``make bench`` runs this too; it needs no stack. Case folders lie in a temporary place.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import httpx
from promises import (
    EXPORT,
    IMPORT,
    IMPORT_MEMORY,
    LARGEST,
    OPEN,
    PRACTICE,
    RECORDINGS,
    MeasurementError,
    Row,
    attempt,
    table,
)
from results import circumstances, write_section

from lab import bootstrap
from lab.adapters.cases.recording_file import read_recording, recordings
from lab.adapters.otlp.traces import write_traces
from lab.domain.replay import Replay
from lab.domain.trace import Trace
from lab.investigation.running.recording import thinned
from lab.settings import CHECKOUT, Settings

PORT_OFFSET: Final = 900
ROUNDS: Final = 5
NAME: Final = "db-timeout"
OF_EACH_SAMPLE: Final = 50
"""Of three samples: a case of 150 traces."""

IMPORTED_TRACES: Final = 10_000
TRACES_A_BATCH: Final = 50
PIECES: Final = 3
"""Batches over which each imported trace is torn, as the Collector batches by time."""

WITHIN_S: Final = 300.0

ELSEWHERE: Final = (
    "Held by tests: of 1,000 fuzzed case files each ends as a case or in an error of the lab's "
    "own, with nothing written outside the folder of cases (`tests/adversity`)."
)


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that came to its end: seconds, and the most memory it had at once in MiB."""

    took_s: float
    memory_mib: float


class CaseFiles:
    """One folder of cases under measurement, and the rows it gives."""

    def __init__(self, settings: Settings, place: Path) -> None:
        self._settings = settings
        self._place = place
        self._recorded = read_recording(recordings(settings.scenarios_dir)[NAME])

    def rows(self) -> list[Row]:
        """Every row of the table."""
        return [
            *attempt([EXPORT, OPEN], self._out_and_open),
            *attempt([PRACTICE], lambda: [PRACTICE.measured(self._times(self._practised))]),
            *attempt([IMPORT, IMPORT_MEMORY], self._imported),
            *attempt([RECORDINGS, LARGEST], sizes),
        ]

    def _out_and_open(self) -> list[Row]:
        archive = bootstrap.archive(self._settings)
        case = thinned(
            read_recording(recordings(self._settings.scenarios_dir)[NAME]), OF_EACH_SAMPLE
        )
        case = replace(case, case_id=archive.next_case_id(NAME))
        archive.working_folder(case.case_id)
        archive.seal(case)
        target = str(self._place / "out.case.zip")
        words = ("export", case.case_id, "--to", target, "--force")
        exports = [self._command(*words).took_s for _ in range(ROUNDS)]
        opens = self._times(lambda: archive.open(case.case_id))
        remark = f"{len(case.evidence.traces)} traces"
        return [EXPORT.measured(exports, remark), OPEN.measured(opens, remark)]

    def _imported(self) -> list[Row]:
        path = self._place / "traces.jsonl"
        spans = write_torn(path, self._recorded.evidence.traces.values())
        ended = self._command("import", "--otlp", str(path), "--json")
        remark = f"{IMPORTED_TRACES} traces, {spans} spans, {path.stat().st_size / 1e6:.0f} MB"
        path.unlink()
        return [
            IMPORT.measured([ended.took_s], remark),
            IMPORT_MEMORY.measured([ended.memory_mib], remark),
        ]

    def _practised(self) -> None:
        """From the command to the page of the case."""
        address = f"{self._settings.url('desk')}/cases/{NAME}-"
        words, environment = self._words("practice", NAME, "--fresh"), self._environment()
        with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL) as process:
            try:
                number = len(list(self._settings.cases_dir.glob(f"{NAME}-*"))) + 1
                until(partial(_answers, f"{address}{number}"))
            finally:
                process.terminate()

    def _times(self, action: Callable[[], object]) -> list[float]:
        took = []
        for _ in range(ROUNDS):
            started = time.monotonic()
            action()
            took.append(time.monotonic() - started)
        return took

    def _command(self, *words: str) -> Ended:
        """Run one command of the lab to its end; MeasurementError where it fails."""
        started = time.monotonic()
        with (self._place / "said").open("w+b") as said:
            process = subprocess.Popen(
                self._words(*words), env=self._environment(), stdout=said, stderr=said
            )
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            took_s = time.monotonic() - started
            if process.returncode:
                said.seek(0)
                raise MeasurementError(f"`lab {words[0]}`: {said.read()[-300:]!r}")
        # Linux counts kibibytes, macOS bytes.
        unit = 1 if sys.platform == "darwin" else 1024
        return Ended(took_s, used.ru_maxrss * unit / 2**20)

    def _words(self, *words: str) -> list[str]:
        return [str(Path(sys.executable).with_name("lab")), *words]

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "LAB_STATE_DIR": str(self._settings.state_dir),
            "LAB_PORT_OFFSET": str(self._settings.port_offset),
        }


def write_torn(path: Path, traces: Iterable[Trace]) -> int:
    """Write ten thousand traces like these, each torn over several batches; how many spans."""
    known = tuple(traces)
    spans = 0
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, IMPORTED_TRACES, TRACES_A_BATCH):
            pieces: list[list[Trace]] = [[] for _ in range(PIECES)]
            for number in range(start, start + TRACES_A_BATCH):
                trace = Replay(f"{number:032x}", 0).moved(known[number % len(known)])
                spans += len(trace.spans)
                for piece, some in enumerate(pieces):
                    some.append(Trace(trace.trace_id, trace.spans[piece::PIECES]))
            file.writelines(json.dumps(write_traces(some)) + "\n" for some in pieces)
    return spans


def sizes() -> Sequence[Row]:
    """How large the committed recordings are."""
    found = {name: path.stat().st_size for name, path in recordings(CHECKOUT / "scenarios").items()}
    largest = max(found, key=lambda name: found[name])
    return [
        RECORDINGS.measured([sum(found.values()) / 1e6], f"{len(found)} recordings"),
        LARGEST.measured([found[largest] / 1000], largest),
    ]


def until(holds: Callable[[], bool]) -> None:
    """Wait for it; MeasurementError where it never comes."""
    give_up = time.monotonic() + WITHIN_S
    while not holds():
        if time.monotonic() > give_up:
            raise MeasurementError(f"no page within {WITHIN_S:g} s")
        time.sleep(0.02)


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def main() -> None:
    """Measure, write, print."""
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        settings = Settings(state_dir=place / ".lab", port_offset=PORT_OFFSET)
        rows = table(CaseFiles(settings, place).rows())
    text = "\n\n".join((circumstances(load_before, "make bench"), rows, ELSEWHERE))
    write_section("Case files", text)
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
