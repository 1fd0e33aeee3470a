"""Published detectives beside ours: MicroRank, TraceRCA and BARO out of RCAEval's MIT wheel.

They are installed on demand into an environment of their own, beside the lab's tools, and
read the same spans of the same windows. They rank operations, so they get the same rule
for picking a span as the naive methods.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from detective_cases import Measured

from lab.detective.incident import Period
from lab.domain.reference import Operation
from lab.settings import CHECKOUT

WHEEL: Final = "RCAEval==1.8.1"
NEEDS: Final = (
    "pandas==2.2.3", "numpy==1.26.4", "scikit-learn==1.5.2", "tqdm==4.67.1",
    "python-dateutil==2.9.0.post0",
)  # fmt: skip
PLACE: Final = CHECKOUT / ".lab" / "bench" / "rcaeval"
NAMES: Final = ("MicroRank", "TraceRCA", "BARO")
INSTALL_WITHIN_S: Final = 240
ANSWER_WITHIN_S: Final = 240


class NotToBeHad(Exception):
    """Why the package cannot run here; the message becomes its row."""


def peers(cases: Sequence[Measured]) -> Mapping[str, Mapping[str, Any]]:
    """Of each case's name, what each method answered; NotToBeHad where they cannot run."""
    python, package = _installed()
    lines = "".join(json.dumps(_case_line(each)) + "\n" for each in cases)
    driver = Path(__file__).with_name("detective_peers_driver.py")
    try:
        done = subprocess.run(
            [python, driver, package],
            input=lines,
            capture_output=True,
            text=True,
            check=True,
            timeout=ANSWER_WITHIN_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NotToBeHad(_why(error)) from error
    return {found["id"]: found for found in map(json.loads, done.stdout.splitlines())}


def _installed() -> tuple[Path, Path]:
    """The environment's Python and the package's folder, made where they are not there yet."""
    python = PLACE / "bin" / "python"
    ready = PLACE / "ready"
    try:
        if not ready.exists():
            sys.stderr.write(f"installing {WHEEL} into {PLACE}\n")
            venv.create(PLACE, with_pip=True, clear=True)
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            wanted: tuple[tuple[str, ...], ...] = (("--no-deps", WHEEL), NEEDS)
            for words in wanted:
                subprocess.run(
                    [*pip, *words],
                    check=True,
                    capture_output=True,
                    text=True,
                    timeout=INSTALL_WITHIN_S,
                )
            ready.touch()
        package = next(PLACE.glob("lib/python*/site-packages/RCAEval"))
    except (OSError, StopIteration, subprocess.SubprocessError) as error:
        raise NotToBeHad(_why(error)) from error
    return python, package


def _why(error: BaseException) -> str:
    told = getattr(error, "stderr", None) or str(error)
    return str(told).strip().splitlines()[-1][:160] if str(told).strip() else type(error).__name__


def label(operation: Operation) -> str:
    """An operation as one word, which the methods put behind its service."""
    return f"{operation.name}|{operation.kind}|{operation.peer or ''}"


def operation_of(case: Measured, word: str) -> Operation | None:
    """The operation that a method's ``<service>_<label>`` names."""
    known = {f"{each.service}_{label(each)}": each for each in _operations(case)}
    return known.get(word)


def _operations(case: Measured) -> Iterator[Operation]:
    for trace in (*case.incident.before.everything, *case.incident.during.everything):
        yield from map(Operation.of, trace)


def _case_line(case: Measured) -> Mapping[str, Any]:
    spans = [row for p in (case.incident.before, case.incident.during) for row in _rows(p)]
    starts = [trace.spans[0].start_ns for trace in case.incident.during.everything]
    return {"id": case.name, "inject_us": min(starts, default=0) // 1000, "spans": spans}


def _rows(period: Period) -> Iterator[list[Any]]:
    for trace in period.everything:
        for span in trace:
            yield [
                span.trace_id,
                span.span_id,
                span.parent_id or "",
                span.service,
                label(Operation.of(span)),
                span.start_ns // 1000,
                max(0, span.end_ns - span.start_ns) // 1000,
            ]
