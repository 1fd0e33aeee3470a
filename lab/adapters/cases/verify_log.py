"""``bench/verify.md``: what every counted run came to, and what has changed since."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lab.domain.proof import ProofVerdict
from lab.errors import UsageError
from lab.investigation.running.verify import Changes, Result, Row, Trial, still_missing
from lab.scenario_file import FILES

UNCOMMITTED_S: float = float("inf")
"""When a file was changed that no commit has yet: later than anything."""


class GitHistory:
    """The history of the checkout at ``root``; of what is no checkout nothing is known."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def commit(self, *, apart_from: str) -> str:
        """The commit's short name, with a + where a file but ``apart_from`` differs from it."""
        name = self._git("rev-parse", "--short", "HEAD") or "unknown"
        changed = self._git("status", "--porcelain", "-uno", "--", ".", f":!{apart_from}")
        return f"{name}+" if changed else name

    def changed_at_s(self, paths: Sequence[str]) -> float:
        """When any of ``paths`` last changed (Unix seconds); 0 where nothing is known."""
        if self._git("status", "--porcelain", "--", *paths):
            return UNCOMMITTED_S
        return float(self._git("log", "-1", "--format=%ct", "--", *paths) or 0)

    def _git(self, *words: str) -> str:
        try:
            done = subprocess.run(
                ["git", "-C", str(self._root), *words],  # noqa: S607 — whichever git there is
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError:
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""


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
