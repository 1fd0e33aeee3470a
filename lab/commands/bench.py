"""The command of the benchmark for agents: bench. It needs the recorded cases only, no stack."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from lab import umask
from lab.commands.common import JsonOption, notes, print_json
from lab.errors import DiskRefused, UsageError
from lab.settings import Settings

if TYPE_CHECKING:
    from lab.domain.case import Case


class What(StrEnum):
    """What is to be done."""

    EXPORT = "export"
    SCORE = "score"


SPLITS: Final = ("public", "held-back")


def bench(
    what: Annotated[What, typer.Argument(help="`export` writes tasks, `score` reads answers.")],
    places: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="DIR | RESULTS…", help="Where to export to; or accusation files, or folders."
        ),
    ] = None,
    layout: Annotated[
        Literal["harbor"], typer.Option("--format", help="Of an export: the layout of a task.")
    ] = "harbor",
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Of an export: not 1, the public one, for a split to hold back."),
    ] = None,
    case: Annotated[
        list[str] | None, typer.Option(help="Of an export: only these scenarios; repeatable.")
    ] = None,
    tasks: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Of scores: the export that was answered.")
    ] = None,
    baselines: Annotated[
        bool, typer.Option(help="Of scores: with `lab detect`, a scripted agent and the floors.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Export the recorded cases as tasks for agents, or score what they answered.

    `lab bench export tasks` writes four tasks of each case: itself, a variant, and of both a
    healthy twin in which nobody did it.

    `lab bench score --tasks tasks results` grades accusation files of anybody and prints a table;
    docs/benchmark.md says what each column means.
    """
    if what is What.EXPORT:
        _refuse("export", {"--tasks": tasks is not None, "--no-baselines": not baselines})
        if len(places or ()) != 1:
            raise UsageError(f"expected one folder to export to, got {len(places or ())}")
        assert places
        _export(places[0], seed, case or [], layout, as_json=as_json)
        return
    _refuse("score", {"--seed": seed is not None, "--case": bool(case)})
    if tasks is None:
        raise UsageError("expected --tasks DIR, the export that was answered; found none")
    _score(places or [], tasks, baselines=baselines, as_json=as_json)


def _refuse(what: str, given: dict[str, bool]) -> None:
    if wrong := [name for name, is_given in given.items() if is_given]:
        raise UsageError(f"expected no {' and no '.join(wrong)} with `lab bench {what}`")


def _export(
    folder: Path, seed: int | None, wanted: list[str], layout: str, *, as_json: bool
) -> None:
    from lab.bench.harbor import write_task
    from lab.bench.tasks import PUBLIC_SEED, tasks_of

    split = SPLITS[0] if seed in {None, PUBLIC_SEED} else SPLITS[1]
    place = folder / split
    if place.exists() and any(not (each / "task.toml").is_file() for each in place.iterdir()):
        raise UsageError(
            f"expected {place} to hold tasks alone, found something else; name another"
        )
    written = []
    for name, case in _recorded(wanted):
        notes.print(f"{name} …")
        try:
            tasks = tasks_of(case, PUBLIC_SEED if seed is None else seed)
            with umask.asked_for():
                written += [write_task(place, each, split).name for each in tasks]
        except OSError as error:
            raise DiskRefused(
                f"expected to write below {place}, found: {error.strerror}; name another folder"
            ) from error
    if as_json:
        print_json({"split": split, "format": layout, "folder": str(place), "tasks": written})
    else:
        typer.echo(f"{len(written)} tasks in {place}")


def _recorded(wanted: list[str]) -> Iterator[tuple[str, Case]]:
    from lab.adapters.cases.recording_file import read_recording, recordings
    from lab.domain.wording import unknown_name

    known = recordings(Settings().scenarios_dir)
    if problems := [unknown_name("scenario", each, known) for each in wanted if each not in known]:
        raise UsageError("; ".join(problems))
    return ((name, read_recording(known[name])) for name in wanted or known)


def _score(results: list[Path], folder: Path, *, baselines: bool, as_json: bool) -> None:
    from lab.bench.harbor import exported
    from lab.bench.scores import as_markdown, read_results, scored, summary

    table = scored(
        list(exported(folder)),
        read_results(results),
        baselines=baselines,
        progress=notes.print,
    )
    if not table:
        raise UsageError("expected accusation files, got none, and --no-baselines")
    if as_json:
        rows = {who: {**summary(found), "each": found} for who, found in table.items()}
        print_json(rows)
    else:
        typer.echo(as_markdown(table), nl=False)
