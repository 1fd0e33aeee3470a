"""``bench/verify.md``: what every counted run of every case came to, over many sittings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lab.adapters.cases.git_history import GitHistory
from lab.domain.proof import ProofVerdict
from lab.errors import UsageError
from lab.investigation.running.resume import Changes, Row, still_missing
from lab.investigation.running.verify import Result, Trial
from lab.scenario_file import FILES

TABLE: Final = "bench/verify.md"
_DEPLOYED: Final = (
    *("local", "otelcol/collector.yaml", "otelcol/tail-sampling.yaml"),
    *("postgres", "tempo"),
)
"""What every stack runs on; what only looks at it, as Grafana does, proves nothing."""

SHOP: Final = ("lab/shop", "lab/load", *(f"deploy/{name}" for name in _DEPLOYED))
BESIDE: Final = ("otlp/sender", "cases/verify_log")
"""Adapters that no run touches: one replays cases, this one keeps the books."""

PROOF: Final = (
    *("lab/domain", "lab/investigation", "lab/adapters", "lab/warden"),
    *(f":(exclude)lab/adapters/{name}.py" for name in BESIDE),
)

_TIME: Final = "%Y-%m-%d %H:%M:%S"
_HEAD: Final = """# Proofs

Written by `lab verify --repeat N`, a row a run, and read again by `--resume`. *Changed since*
names what has changed after the row was measured: the case's own files, the shop with its
load, or the proof and what measures for it.

| Run | When (UTC) | Commit | Verdict | Symptom | Truth | Worst finding | Seconds | Changed since |
|---|---|---|---|---|---|---|---|---|
"""


class VerifyTable:
    """The table of the checkout at ``root``; every row is on disk as soon as it is added."""

    def __init__(self, root: Path, scenario_ids: Iterable[str]) -> None:
        self._path = root / TABLE
        self._rows = read_rows(self._path)
        history = GitHistory(root)
        self._commit = history.commit(apart_from=TABLE)
        self._changes = changes_of(history, scenario_ids)

    def missing(self, todo: Iterable[Trial], *, wanted: int) -> tuple[Trial, ...]:
        """What is to be run until each trial has ``wanted`` proven rows that count."""
        return still_missing(todo, self._rows, self._changes, wanted=wanted)

    def add(self, result: Result) -> None:
        """Keep what a run came to."""
        self._rows = (*self._rows, Row.of(result, self._commit))
        write_rows(self._path, self._rows, self._changes)


def read_rows(path: Path) -> tuple[Row, ...]:
    """Every row of the table; none where there is no file, UsageError where a row is torn."""
    if not path.exists():
        return ()
    lines = path.read_text(encoding="utf-8").splitlines()
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.startswith("| ")]
    return tuple(_row(path, number, line) for number, line in numbered[1:])


def write_rows(path: Path, rows: Iterable[Row], changes: Changes) -> None:
    """Write the table anew, in one step: by run, then by time, marked by what changed since."""
    ordered = sorted(rows, key=lambda row: (row.run, row.at_unix_s))
    text = _HEAD + "".join(_line(row, changes) for row in ordered)
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def changes_of(history: GitHistory, scenario_ids: Iterable[str]) -> Changes:
    """When each scenario's own files, the shop and the proof last changed."""
    return Changes(
        cases={
            name: history.changed_at_s([f"scenarios/{name}/{file}" for file in FILES])
            for name in scenario_ids
        },
        shop=history.changed_at_s(SHOP),
        proof=history.changed_at_s(PROOF),
    )


def _line(row: Row, changes: Changes) -> str:
    cells: Sequence[str] = (
        row.run,
        datetime.fromtimestamp(row.at_unix_s, UTC).strftime(_TIME),
        row.commit,
        row.verdict.value,
        row.symptom,
        row.truth,
        row.worst,
        str(row.took_s),
        ", ".join(changes.since(row)),
    )
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |\n"


def _row(path: Path, number: int, line: str) -> Row:
    cells = [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
    try:
        run, when, commit, verdict, symptom, truth, worst, took_s, _ = cells
        at = datetime.strptime(when, _TIME).replace(tzinfo=UTC)
        return Row(
            run,
            round(at.timestamp()),
            commit,
            ProofVerdict(verdict),
            symptom,
            truth,
            worst,
            int(took_s),
        )
    except ValueError as error:
        raise UsageError(
            f"{path}:{number}: expected a row as `lab verify --repeat` "
            f"writes it, found another ({error}); correct the line or delete it"
        ) from error
