"""Runs a long command with its output in a file and somebody told that it goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

_TICK_S: Final = 0.5


def watched_run(
    command: Sequence[str | Path],
    *,
    log: Path,
    tick: Callable[[float], None],
    env: Mapping[str, str],
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> int:
    """Run ``command`` to its end and return its exit status.

    ``tick`` is called with the seconds passed, at the start and twice a second.
    Whatever interrupts the wait (Ctrl-C above all) ends the command and all
    that it started, at once, before it goes on upwards.
    """
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
            pass_fds=pass_fds,
        )
    try:
        while True:
            tick(time.monotonic() - started)
            with suppress(subprocess.TimeoutExpired):
                return process.wait(timeout=_TICK_S)
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
