"""What ends a command early, as a sentence on standard error and an exit code.

None of them is 0 or 1: those are a run's verdicts, *proven* and *refuted*.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import traceback
from pathlib import Path
from typing import Final

import typer
from pydantic import ValidationError

from lab.adapters import own_folders
from lab.commands import hangup
from lab.domain.wording import visible
from lab.errors import LabError
from lab.settings import Settings, variables

PART_FAILED_EXIT: Final = 2
USAGE_EXIT: Final = 64
BUG_EXIT: Final = 70
"""EX_SOFTWARE of sysexits.h."""

INTERRUPTED_EXIT: Final = 130

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DISK: Final = _FULL | {errno.EROFS, errno.EIO}
"""A write that fails so may name no file."""


def report(error: Exception) -> int:
    """Say what happened and what to do next; the exit code that stands for it."""
    if isinstance(error, ExceptionGroup):
        # Tasks that fail side by side: the first of them is where it began.
        return report(error.exceptions[0])
    if hangup.is_behind(error):
        hangup.let_go()
        return hangup.EXIT
    if isinstance(error, LabError):
        _say(str(error))
        for note in getattr(error, "__notes__", ()) if "--reveal" in sys.argv else ():
            _say(note)
        return error.exit_code
    if isinstance(error, typer.TyperException):
        # Each that a command line can raise is one of the ClickExceptions Typer carries along.
        _say_as_usual(error)
        return USAGE_EXIT
    if isinstance(error, typer.Abort):
        _say("nothing was done")
        return INTERRUPTED_EXIT
    if isinstance(error, ValidationError) and error.title == Settings.__name__:
        for line in _wrong_settings(error):
            _say(line)
        return USAGE_EXIT
    if isinstance(error, OSError) and (error.filename is not None or error.errno in _DISK):
        _say(_disk_problem(error))
        return PART_FAILED_EXIT
    _say(_bug(error))
    return BUG_EXIT


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # Whoever read along may be gone; the exit code is not.
        typer.secho(f"lab: {visible(text)}", err=True, fg="red")


def _say_as_usual(error: typer.TyperException) -> None:
    """As Typer says it, in a frame; it quotes what was typed, or pasted."""
    from typer.rich_utils import rich_format_error

    if hasattr(error, "message"):
        error.message = visible(error.message)
    with contextlib.suppress(OSError):
        rich_format_error(error)  # type: ignore[arg-type]


def _wrong_settings(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors(include_url=False):
        expected = problem["msg"].removeprefix("Input should be ")
        if not problem["loc"]:  # It is about several, which its own words name.
            lines.append(f"expected {expected}")
            continue
        lines.append(
            f"expected the variable {_variable(str(problem['loc'][0]))} to be {expected}, "
            f"got {problem['input']!r}; set it right, or unset it"
        )
    return lines


def _variable(setting: str) -> str:
    """The variable that gave a setting, or else the first that could."""
    names = variables(setting)
    return next((name for name in names if name in os.environ), names[0])


def _disk_problem(error: OSError) -> str:
    if error.errno in _FULL:
        advice = "free some space"
    else:
        advice = "see that it is a place you may write to"
    return (
        f"expected to use {error.filename or 'the disk'}, found: {error.strerror or error}; "
        f"{advice}, or let LAB_STATE_DIR name a folder elsewhere for all that the lab writes"
    )


def _bug(error: Exception) -> str:
    """Only the kind of error is shown, for its words might give a case away."""
    told = "".join(traceback.format_exception(error))
    try:
        where = f"{_write_down(told)} tells where"
    except (OSError, ValidationError):
        where = f"its traceback could not be written down:\n{told}"
    return f"a bug of the lab itself, {type(error).__name__}: please report it; {where}"


def _write_down(told: str) -> Path:
    folder = Settings().log_dir
    own_folders.make(folder)
    target = folder / "bug.txt"
    said = f"lab {' '.join(sys.argv[1:])}\n\n{told}"
    target.write_text(said, encoding="utf-8", errors="backslashreplace")
    return target
