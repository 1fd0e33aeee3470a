"""The ``lab`` command: parses, calls, renders. What it does lives in `investigation`.

Exit codes: 0 done (a run: *proven*), 1 *refuted* or a finding that needs action,
2 *incomplete*, a part or the disk failed, 64 the command line, a setting or a file it
names is wrong, 70 a bug of the lab's own, 130 ended by Ctrl-C, 143 by SIGTERM, 129 by a
terminal that was closed.
"""

from __future__ import annotations

import os
import sys
from typing import Final

import typer

from lab import __version__
from lab.commands.table import Commands

EXAMPLES: Final = """
Examples:

  lab up                          start the shop and everything that watches it

  lab run db-timeout              hurt it, gather evidence, open a case

  lab traces --outcome error      the requests of the newest case

  lab trace 4bf92f35              one of them, as a tree of spans

  lab accuse 4bf92f35 00f067aa --mechanism timeout

  lab heal && lab down            leave nothing behind
"""

app = typer.Typer(
    name="lab",
    cls=Commands,
    help="Deadspan: a murder-mystery lab for distributed tracing.",
    epilog=EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"lab {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Options that stand before any command."""


def main() -> None:
    """Run the command line; whatever ends it becomes a sentence and an exit code."""
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()  # What cannot be written is known now, and not after the exit code.
    except BrokenPipeError:
        code = _reader_gone()
    except SystemExit as ending:
        # Typer and Rich both end so, with 1, when nobody reads what they print.
        if not isinstance(ending.__context__, BrokenPipeError):
            raise
        code = _reader_gone()
    except Exception as error:  # noqa: BLE001 — Python would exit with 1, which means refuted
        from lab.commands import failures

        code = failures.report(error)
    sys.exit(code if isinstance(code, int) else 0)


def _reader_gone() -> int:
    """Whoever read the output has seen enough; Python would complain about it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
