"""Where a user's tools are built: one builder at a time, and what Go needs for it."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from lab.adapters import own_folders
from lab.adapters.tools import go_toolchain
from lab.adapters.tools.table import Progress, Tool, target
from lab.adapters.tools.watched_run import watched_run
from lab.errors import ToolMissing

FREE_BYTES_NEEDED: Final = 5 * 10**9
"""Go's module and build cache reach 4.3 GB before they are removed."""

_WAIT_S: Final = 0.5
_SHOWN_LINES: Final = 12


class Workshop:
    """The scratch folder of a user's cache, in which tools are compiled.

    It outlives an interrupted set-up, so that the next one continues where
    that stopped, and is removed when the last missing tool is built.
    """

    def __init__(self, cache_dir: Path) -> None:
        self.cache_dir = cache_dir
        self.scratch = cache_dir / "go-build"
        # By the second name earlier versions removed it.
        self._scratches = (self.scratch, cache_dir / "go-build.old")
        self._lock_fd = -1

    def has_leftovers(self) -> bool:
        """Whether scratch of an earlier set-up is there, whole or half removed."""
        return any(each.exists() for each in self._scratches) or own_folders.is_something_aside(
            self.cache_dir
        )

    @contextmanager
    def exclusively(self, waiting: Callable[[str], None]) -> Iterator[None]:
        """Be the only builder; ``waiting`` hears twice a second for whom it waits.

        What ``waiting`` raises ends the wait.
        """
        own_folders.make(self.cache_dir)
        with (self.cache_dir / "build.lock").open("a+") as lock:
            while not _locked(lock.fileno()):
                lock.seek(0)
                waiting(f"waiting for process {lock.read().strip() or '?'}")
                time.sleep(_WAIT_S)
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            self._lock_fd = lock.fileno()
            yield

    def prepare(self) -> None:
        """Make the folders that Go expects; ToolMissing when the disk is too full to start."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.scratch).free
        if free < FREE_BYTES_NEEDED:
            raise ToolMissing(
                f"expected {FREE_BYTES_NEEDED / 1e9:.1f} GB free in {self.cache_dir} to build "
                f"tools, found {free / 1e9:.1f} GB; free some, or set LAB_CACHE_DIR to a folder "
                "on a larger disk"
            )
        # What a killed Go left in its temporary folder helps nobody to resume.
        own_folders.discard(self.scratch / "tmp", within=self.cache_dir, quietly=True)
        for folder in ("tmp", "home"):
            (self.scratch / folder).mkdir(exist_ok=True)

    @contextmanager
    def fetching(self, tools: Sequence[Tool], go: Path) -> Iterator[None]:
        """Have the modules of ``tools`` fetched while the context's body compiles others.

        Fetching waits for the network and compiling for the processor, so the one is
        nearly free beside the other. Only a head start: what is not fetched when the
        context ends, or cannot be, each build fetches for itself, and says why not.
        """
        fetchers = [
            subprocess.Popen(
                [go, "list", "-deps", tool.package],
                cwd=tool.module_dir,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,
                pass_fds=(self._lock_fd,),
            )
            for tool in tools
        ]
        try:
            yield
        finally:
            for fetcher in fetchers:
                with suppress(ProcessLookupError):
                    os.killpg(fetcher.pid, signal.SIGKILL)
                fetcher.wait()

    def _environment(self) -> dict[str, str]:
        goos, goarch = target()
        return go_toolchain.environment(self.scratch) | {"GOOS": goos, "GOARCH": goarch}

    def compile(self, tool: Tool, go: Path, progress: Progress) -> Path:
        """Compile ``tool`` into the scratch folder; ToolMissing with Go's last words if not."""
        binary = self.scratch / tool.name
        log = self.scratch / f"{tool.name}.log"
        status = watched_run(
            [go, "build", "-v", *tool.build_flags, "-o", binary, tool.package],
            log=log,
            tick=lambda elapsed_s: progress(tool.name, _phase(log), elapsed_s, tool.estimate_s),
            env=self._environment(),
            cwd=tool.module_dir,
            # If this process is killed, Go lives on for a while: as long as it does,
            # the lock is held, and the next builder waits instead of meeting it.
            pass_fds=(self._lock_fd,),
        )
        if status != 0:
            raise ToolMissing(_failure(tool, status, log))
        return binary

    def discard(self) -> None:
        """Have the scratch folder removed behind whoever goes on: it can take minutes.

        Set aside first: a half removed module cache under its own name would be
        taken for a whole one by the next build.
        """
        for folder in filter(Path.exists, self._scratches):
            own_folders.set_aside(folder, within=self.cache_dir)
        if own_folders.is_something_aside(self.cache_dir):
            own_folders.remove_behind(self.cache_dir)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _phase(log: Path) -> str:
    """Go loads all modules before it names the first package that it compiles."""
    lines = log.read_text(errors="replace").splitlines()
    if all(line.startswith("go: ") for line in lines):
        return "downloading"
    return "compiling"


def _failure(tool: Tool, status: int, log: Path) -> str:
    """Go's last lines without its own progress: names of packages, and of downloads."""
    said = [
        line
        for line in log.read_text(errors="replace").splitlines()
        if " " in line.strip() and not line.startswith("go: downloading ")
    ]
    last = "\n".join(f"  {line}" for line in said[-_SHOWN_LINES:])
    return (
        f"expected Go to build {tool.name} {tool.version}, found exit status {status}:\n{last}\n"
        f"Mend that (GOPROXY says where modules come from; all output is in {log}) and run the "
        f"command again, it continues where it stopped; or set {tool.setting} to a binary of "
        "that version."
    )
