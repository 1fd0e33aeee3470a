"""The ``lab`` command, and ``python -m lab``: what has to hold before all else is imported.

Nothing is imported up here that Python has not loaded by then, not even `typing`: a Ctrl-C
may strike while it imports, and is Python's own traceback until `main` has begun.
"""

from __future__ import annotations

import gc
import os
import signal
import sys

INTERRUPTED_EXIT = 130
USAGE_EXIT = 64
WIDEST = 1000
"""Of a terminal. Somebody's ``COLUMNS`` of a thousand million is filled up with blanks."""

_MADE_BETWEEN_LOOKS = 200_000
"""Objects that may hold others; Python by itself looks for garbage after each 700."""

_QUIET = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
"""What Python by itself says nothing of."""


def main() -> None:
    """Run the command line in a process that is fit for it; Ctrl-C leaves without a traceback."""
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_ours:
        signal.signal(signal.SIGINT, _leave)
    # Nothing that an import makes is garbage, and looking through it all again and again is a
    # tenth of the work of a command that only reads. What runs for long still gets there.
    gc.set_threshold(_MADE_BETWEEN_LOOKS)
    # Else pydantic reads the entry points of all that is installed, in search of plugins.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    _open_what_is_closed()
    _print_in_any_encoding()
    _let_libraries_warn()
    _forget_impossible_terminals()
    _forget_other_databases()
    from lab import umask

    try:
        from lab.cli import main as command_line
    except ModuleNotFoundError as error:
        raise SystemExit(_only_the_plugin_is_here(error)) from None

    umask.for_the_owner_alone()
    try:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        command_line()
    except (KeyboardInterrupt, SystemExit) as ending:
        if is_ours:
            signal.signal(signal.SIGINT, _leave)
        _flush()
        gc.freeze()  # Python would look through all of it twice more before it ends.
        if isinstance(ending, KeyboardInterrupt) or ending.code == INTERRUPTED_EXIT:
            # Python would rather end by the signal where it saw it inside of an `exec`, as
            # every dataclass is made by, and whoever started this would read another code.
            os._exit(INTERRUPTED_EXIT)
        raise


def _only_the_plugin_is_here(error: ModuleNotFoundError) -> int:
    """`pip install deadspan` brings the pytest plugin, and none of the lab's own packages."""
    missing = str(error.name).partition(".")[0]
    if missing == "lab":
        raise error
    sys.stderr.write(
        f"lab: expected the lab's own packages, found no {missing}: installed is its pytest plugin "
        "alone; the lab runs from its checkout (`make help` there lists how)\n"
    )
    return USAGE_EXIT


def _leave(_number: int, _frame: object) -> None:
    """Nothing is begun yet, or all is written: an exception could only be told as a traceback."""
    os._exit(INTERRUPTED_EXIT)


def _open_what_is_closed() -> None:
    """Put the null device where a standard stream is closed.

    Else the next file that is opened, a case's or a lock, takes its number and all that is
    printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # Which gets the lowest number that is free.
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            stream = open(number, mode, closefd=False, encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, stream)


def _print_in_any_encoding() -> None:
    """Print a question mark where the output's encoding has no such letter.

    Python would end there, in a locale of old or at a file's name that is no text; to standard
    error it writes such a letter as a number by itself.
    """
    if hasattr(sys.stdout, "reconfigure"):  # A test may have put in something else.
        sys.stdout.reconfigure(errors="replace")


def _let_libraries_warn() -> None:
    """Undo ``PYTHONWARNINGS=error``: what a library warns of is no reason to end for its user.

    The shop's processes and the load generator inherit it otherwise.
    """
    if any(option.startswith("error") for option in sys.warnoptions):
        import warnings

        os.environ.pop("PYTHONWARNINGS", None)
        warnings.resetwarnings()
        for category in _QUIET:
            warnings.simplefilter("ignore", category)


def _forget_impossible_terminals() -> None:
    for name in ("COLUMNS", "LINES"):
        size = os.environ.get(name, "")
        if not (size.isdecimal() and len(size) < 9 and 0 < int(size) <= WIDEST):
            os.environ.pop(name, None)


def _forget_other_databases() -> None:
    """Undo ``PGHOST`` and its kin: where the user's own PostgreSQL is, the lab's is not."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        os.environ.pop(name)


def _flush() -> None:
    """Write what is left; what cannot be written was told before, or nobody is there to hear."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    main()
