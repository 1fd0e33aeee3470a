"""What the design promises, and one row of the table for each promise."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lab.domain.load import percentile


class MeasurementError(Exception):
    """A number could not be had; the message becomes its row."""


MISSED: Final = "**missed**"


@dataclass(frozen=True, slots=True)
class Promise:
    """A number the design promises: what it is, its unit, and the most it may be.

    ``judged`` makes one number of several; it is that which must not exceed ``at_most``.
    """

    what: str
    unit: str
    at_most: float
    judged_name: str = "median"
    judged: Callable[[Sequence[float]], float] = statistics.median

    def of(self, scenario: str) -> Promise:
        """The same promise for one scenario's run."""
        return replace(self, what=f"{scenario}: {self.what}")

    def measured(self, values: Sequence[float], remark: str = "") -> Row:
        """The row for what was measured, at least one value; ``remark`` follows the verdict."""
        judged, several = self.judged(values), len(values) > 1
        numbers = (min(values), statistics.median(values), max(values)) if several else values
        verdict = "holds" if judged <= self.at_most else MISSED
        return Row(
            self.what,
            f"{' / '.join(f'{number:.2f}' for number in numbers)} {self.unit} (n={len(values)})",
            f"{self.judged_name} {judged:.2f}" if several else f"{judged:.2f}",
            self.promised,
            f"{verdict}: {remark}" if remark else verdict,
        )

    def failed(self, why: str) -> Row:
        """The row for a measurement that came to nothing: a promise not shown is a miss."""
        return Row(self.what, "could not be measured", "", self.promised, f"{MISSED}: {why}")

    def skipped(self, why: str) -> Row:
        """The row for what this run or this platform leaves out."""
        return Row(self.what, "", "", self.promised, why)

    @property
    def promised(self) -> str:
        """The limit with its unit."""
        return f"≤ {self.at_most:g} {self.unit}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str
    measured: str
    judged: str
    promised: str
    verdict: str

    @property
    def is_missed(self) -> bool:
        """Whether the promise was not kept, or could not be shown to be."""
        return self.verdict.startswith(MISSED)

    def line(self) -> str:
        """The row as Markdown; what a program printed cannot break the table."""
        cells = (self.what, self.measured, self.judged, self.promised, self.verdict)
        return "| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in cells) + " |"


def p95(values: Sequence[float]) -> float:
    """The nearest-rank 95th percentile."""
    return percentile(values, 0.95)


UP: Final = Promise("`lab up` as a whole command, set-up done", "s", 4)
DOWN: Final = Promise("`lab down` as a whole command", "s", 4)
PROVEN: Final = Promise("findings that do not hold", "findings", 0)
MEMORY: Final = Promise("memory of the stack at the run's end (PSS, Locust apart)", "MiB", 900)
DESK_PAGE: Final = Promise("a page of that case at the desk", "s", 1, "p95", p95)
DESK_MEMORY: Final = Promise("memory of the desk after them (PSS)", "MiB", 100)
OPENED: Final = Promise("case sealed after the end of its last window", "s", 8)
SPANS: Final = Promise("difference of spans ended and distinct spans found", "spans", 0)
HOP: Final = Promise("latency at the hop, off what was injected (5 % of 150 ms)", "ms", 7.5)
BY_ID: Final = Promise("whole trace by id after the answer, shop idle", "s", 1, "p95", p95)
BY_SEARCH: Final = Promise(
    "whole trace by search after the answer, shop idle", "s", 3.5, "p95", p95
)
RESTART: Final = Promise(
    "one service given another setting, until it is healthy", "s", 3, "max", max
)
DISK: Final = Promise("kept on disk: `.venv` and the tools that every stack needs", "GB", 1)
SETUP: Final = Promise("set-up from nothing: `.venv` and tools, every cache empty", "min", 5)
SETUP_WORK: Final = Promise("its processor time in user mode, children included", "s", 360)
FIRST_CASE: Final = Promise("from nothing until `make scenario` has a case to solve open", "s", 60)

EXPORT: Final = Promise("`lab export` of a case of 150 traces, as a whole command", "s", 2)
OPEN: Final = Promise("that case opened from its folder", "s", 1)
PRACTICE: Final = Promise("`lab practice` until the desk shows the case", "s", 3)
IMPORT: Final = Promise("`lab import --otlp` of 10,000 traces, as a whole command", "s", 60)
IMPORT_MEMORY: Final = Promise("its memory at the most (RSS)", "MiB", 300)
DEMO_IMPORT: Final = Promise("`lab import` of it, processor time of the whole command", "s", 8)
DEMO_IMPORT_MEMORY: Final = Promise("its memory at the most (RSS)", "MiB", 150)
DEMO_TRACES: Final = Promise("`lab traces --limit 3` of it, processor time", "s", 0.6)
DEMO_TRACES_MEMORY: Final = Promise("its memory at the most (RSS)", "MiB", 100)
DEMO_LIST: Final = Promise(
    "the desk's list of it when it is first asked for, processor time", "s", 0.3
)
DEMO_LIST_SIZE: Final = Promise("that page", "kB", 100)
RECORDINGS: Final = Promise("all recorded cases together", "MB", 12)
LARGEST: Final = Promise("the largest recorded case", "kB", 500)


def attempt(promises: Iterable[Promise], measurement: Callable[[], Sequence[Row]]) -> list[Row]:
    """The measurement's rows; where it fails, a row for each promise that says why."""
    try:
        return list(measurement())
    except Exception as error:  # noqa: BLE001 -- whatever went wrong, the table must say so
        return [promise.failed(_reason(error)) for promise in promises]


def _reason(error: Exception) -> str:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    known = isinstance(error, MeasurementError)
    return f"{'' if known else f'{type(error).__name__}: '}{error}"[:300]


def table(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table."""
    head = ("| What | Measured | Judged | Promised | |", "|---|---|---|---|---|")
    return "\n".join([*head, *(row.line() for row in rows)])
