"""The command that opens a recorded case: practice. Python alone is enough for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from lab import bootstrap
from lab.commands.common import notes
from lab.commands.desk import BrowserOption, is_served, show
from lab.commands.run import ByNumberOption, LevelOption, drawn, name_or_level, print_opened
from lab.domain.case import Case
from lab.domain.ids import NUMBERED
from lab.errors import UsageError
from lab.settings import Settings


def practice(
    name: Annotated[str | None, typer.Argument(help="The scenario, e.g. db-timeout.")] = None,
    level: LevelOption = None,
    by_number: ByNumberOption = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew, with nothing accused so far.")
    ] = False,
    desk: Annotated[
        bool, typer.Option("--desk/--no-desk", help="Also serve the desk, until Ctrl-C.")
    ] = True,
    browser: BrowserOption = False,
) -> None:
    """Open the recorded case of a scenario: no stack, nothing to build.

    Practised before, it is the case of then, with all that was found out so far.
    """
    settings = Settings()
    case_id = open_recording(settings, name, level, by_number=by_number, fresh=fresh)
    if desk:
        show(settings, f"/cases/{case_id}", browser)


def open_recording(
    settings: Settings,
    name: str | None,
    level: int | None,
    *,
    by_number: bool = False,
    fresh: bool = False,
) -> str:
    """Make a case of a recording, print its briefing, and return the case's id.

    UsageError where not exactly one of ``name`` and ``level`` says which.
    """
    from lab.adapters.cases.bring import bring_file

    name_or_level(name, level)
    archive = bootstrap.archive(settings)
    called = None if level is None and not by_number else NUMBERED
    wanted = name if level is None else drawn(level, _levels(settings), archive)
    assert wanted is not None
    brought = bring_file(archive, _recording(settings, wanted), again=fresh, called=called)
    if isinstance(brought.case, Case):
        print_opened(brought.case, reveal=False, stack=False)
    if not brought.is_new:
        notes.print(f"{brought.case_id} was here already; --fresh begins anew")
    return brought.case_id


@contextmanager
def shown_beside(settings: Settings, path: str) -> Iterator[None]:
    """Say where the desk has ``path``, and serve it beside what goes on in the context.

    Where a desk is served already, that one shows it, and stays.
    """
    from lab.desk.server import serving

    with nullcontext() if is_served(settings) else serving(settings):
        notes.print(f"the desk is at {settings.url('desk')}{path}", soft_wrap=True)
        yield


def _levels(settings: Settings) -> dict[str, int]:
    """The level of each scenario that was recorded."""
    from lab.adapters.cases.recording_file import recordings

    recorded, known = recordings(settings.scenarios_dir), bootstrap.scenarios(settings)
    return {name: each.difficulty for name, each in known.items() if name in recorded}


def _recording(settings: Settings, name: str) -> Path:
    from lab.adapters.cases.recording_file import recordings
    from lab.domain.wording import near_names

    known = recordings(settings.scenarios_dir)
    if name in known:
        return known[name]
    near = near_names(name, tuple(known)) or tuple(known)
    raise UsageError(
        f"expected a scenario that was recorded, got {name!r}: "
        f"{', '.join(near)} can be practised on"
    )
