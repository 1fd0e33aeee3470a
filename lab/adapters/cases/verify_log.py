"""``bench/verify.md``: what every counted run came to, and what has changed since."""

from __future__ import annotations

import ast
import hashlib
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lab import umask
from lab.domain.proof import ProofVerdict
from lab.errors import UsageError
from lab.investigation.running.verify import Basis, Result, Row, Trial, still_missing
from lab.scenario_file import FILES

_DIGITS: Final = 10
_NOT_TOLD: Final = frozenset({"__pycache__"})


def digest(files: Iterable[Path]) -> str:
    """A short hash of what all ``files`` say, in no order; files that are not there say nothing.

    Of Python that is every statement of a module but its docstring and its imports, so that
    neither moving a file, nor joining two, nor a comment makes another digest.
    """
    said = sorted(
        hashlib.sha256(piece).digest() for path in files if path.is_file() for piece in _said(path)
    )
    return hashlib.sha256(b"".join(said)).hexdigest()[:_DIGITS]


def files_below(root: Path, names: Iterable[str]) -> Iterator[Path]:
    """The files among ``names``, and all those in the folders among them."""
    for name in names:
        path = root / name
        if path.is_dir():
            yield from (each for each in path.rglob("*") if not _NOT_TOLD & set(each.parts))
        else:
            yield path


def _said(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    if path.suffix != ".py":
        yield content
        return
    for statement in ast.parse(content).body:
        if not _is_aside(statement):
            yield ast.dump(statement).encode(errors="replace")


def _is_aside(statement: ast.stmt) -> bool:
    """Whether it is an import, one for types alone, or a text that nobody runs."""
    if isinstance(statement, ast.If):
        return all(_is_aside(each) for each in statement.body)
    text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return text or isinstance(statement, ast.Import | ast.ImportFrom)


TABLE: Final = "bench/verify.md"
_DEPLOYED: Final = (
    *("local", "otelcol/collector.yaml", "otelcol/tail-sampling.yaml"),
    *("postgres", "tempo"),
)
"""What every stack runs on; what only looks at it, as Grafana does, proves nothing."""

SHOP: Final = ("lab/shop", "lab/load", *(f"deploy/{name}" for name in _DEPLOYED))
BESIDE: Final = (
    *("lab/adapters/otlp/sender.py", "lab/adapters/backends.py"),
    *("lab/adapters/formats", "lab/adapters/memory"),
)
"""Adapters that no run touches: they replay cases, read strangers' traces, and stand in."""

KEEPING: Final = "lab/adapters/cases"
"""Writes down what was found, and how; it finds nothing."""

PROOF: Final = (
    *("lab/domain", "lab/investigation/proof", "lab/investigation/running"),
    *("lab/adapters", "lab/warden"),
)
"""Readers and graders are not among them: they look at a case after it is proven."""

_UNKNOWN: Final = "-"
_TIME: Final = "%Y-%m-%d %H:%M:%S"
_COLUMNS: Final = (
    *("Run", "When (UTC)", "Commit", "Measured on", "Verdict", "Symptom", "Truth"),
    *("Worst finding", "Seconds", "Changed since"),
)
_HEAD: Final = """# Proofs

Written by `lab verify --repeat N`, a row a run, and read again by `--resume`. *Measured on* is
what the files said then, wherever they lay: the case's own, the shop with its load, the proof
and what measures for it. *Changed since* names those of the three that say something else now.

"""


class VerifyTable:
    """The table of the checkout at ``root``; every row is on disk as soon as it is added."""

    def __init__(self, root: Path, scenario_ids: Iterable[str]) -> None:
        self._path = root / TABLE
        self._rows = read_rows(self._path)
        self._commit = commit_of(root)
        self._bases = bases_of(root, scenario_ids)

    def missing(self, todo: Iterable[Trial], *, wanted: int) -> tuple[Trial, ...]:
        """What is to be run until each trial has ``wanted`` proven rows that count."""
        return still_missing(todo, self._rows, self._bases, wanted=wanted)

    def add(self, result: Result) -> None:
        """Keep what a run came to."""
        basis = self._bases[result.trial.scenario.id]
        self._rows = (*self._rows, Row.of(result, self._commit, basis))
        write_rows(self._path, self._rows, self._bases)


def read_rows(path: Path) -> tuple[Row, ...]:
    """Every row of the table; none where there is no file, UsageError where a row is torn."""
    if not path.exists():
        return ()
    lines = path.read_text(encoding="utf-8").splitlines()
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.startswith("| ")]
    return tuple(_row(path, number, line) for number, line in numbered[1:])


def write_rows(path: Path, rows: Iterable[Row], bases: Mapping[str, Basis]) -> None:
    """Write the table anew, in one step: by run, then by time, marked by what changed since."""
    ordered = sorted(rows, key=lambda row: (row.run, row.at_unix_s))
    head = _cells(_COLUMNS) + "|---" * len(_COLUMNS) + "|\n"
    text = _HEAD + head + "".join(_line(row, bases) for row in ordered)
    with umask.whole_file(path) as file:
        file.write(text.encode())


def bases_of(root: Path, scenario_ids: Iterable[str]) -> dict[str, Basis]:
    """What each scenario's own files, the shop and the proof in the checkout at ``root`` say."""
    shop = digest(files_below(root, SHOP))
    beside = set(files_below(root, (*BESIDE, KEEPING)))
    proof = digest(path for path in files_below(root, PROOF) if path not in beside)
    return {
        name: Basis(digest(root / "scenarios" / name / file for file in FILES), shop, proof)
        for name in scenario_ids
    }


def commit_of(root: Path) -> str:
    """The commit's short name, with a + where a file but the table itself differs from it."""
    name = _git(root, "rev-parse", "--short", "HEAD") or "unknown"
    changed = _git(root, "status", "--porcelain", "-uno", "--", ".", f":!{TABLE}")
    return f"{name}+" if changed else name


def _git(root: Path, *words: str) -> str:
    """What git answers; nothing where there is no git, or no history at ``root``."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words],  # noqa: S607 — whichever git there is
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _line(row: Row, bases: Mapping[str, Basis]) -> str:
    cells: Sequence[str] = (
        row.run,
        datetime.fromtimestamp(row.at_unix_s, UTC).strftime(_TIME),
        row.commit,
        " ".join(each or _UNKNOWN for each in astuple(row.basis)),
        row.verdict.value,
        row.symptom,
        row.truth,
        row.worst,
        str(row.took_s),
        ", ".join(row.changed_since(bases)),
    )
    return _cells(cells)


def _cells(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |\n"


def _row(path: Path, number: int, line: str) -> Row:
    cells = [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
    try:
        run, when, commit, measured_on, verdict, symptom, truth, worst, took_s, _ = cells
        at = datetime.strptime(when, _TIME).replace(tzinfo=UTC)
        return Row(
            run,
            round(at.timestamp()),
            commit,
            Basis(*("" if each == _UNKNOWN else each for each in measured_on.split(" "))),
            ProofVerdict(verdict),
            symptom,
            truth,
            worst,
            int(took_s),
        )
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{path}:{number}: expected a row as `lab verify --repeat` "
            f"writes it, found another ({error}); correct the line or delete it"
        ) from error
