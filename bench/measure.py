"""Measure the numbers the design promises and write them down, misses included.

``make bench`` runs this on a stack of its own and writes ``bench/results.md``. With
``--setup`` it also installs a fresh clone with empty caches, which takes minutes.
Whatever cannot be measured becomes a row that says why; there is always a table.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import anyio
import psutil
from arrival import distinct_spans, probes, spans_ended
from desk_pages import desk_rows
from promises import (
    BY_ID,
    BY_SEARCH,
    DESK_MEMORY,
    DESK_PAGE,
    DISK,
    DOWN,
    FIRST_CASE,
    HOP,
    MEMORY,
    OPENED,
    PROVEN,
    RESTART,
    SETUP,
    SETUP_WORK,
    SPANS,
    UP,
    MeasurementError,
    Promise,
    Row,
    attempt,
    table,
)
from results import circumstances, write_section

from lab import bootstrap
from lab.adapters import loopback
from lab.adapters.stack.shop_control import ShopControl
from lab.adapters.tools import toolbox
from lab.domain.case import Case
from lab.domain.load import Window
from lab.domain.proof import Outcome, ProofVerdict
from lab.investigation.proof.hop import hop_lateness
from lab.settings import CHECKOUT, Settings
from lab.shop.keeper import secret
from lab.shop.topology import SERVICES

PORT_OFFSET: Final = 900
ROUNDS: Final = 5
SCENARIOS: Final = ("db-timeout", "slow-shelves", "card-declined")
MEMORY_AFTER: Final = SCENARIOS[0]
LATE: Final = SCENARIOS[1]
COMMAND_AT_MOST_S: Final = 600.0
SETUP_AT_MOST_S: Final = 3600.0

ELSEWHERE: Final = (
    "Promised and not measured here: the judge's 5 ms for a trace of 500 spans (a unit test "
    "holds it to ten times that)."
)


def proven_row(case: Case) -> Row:
    """What a run came to, and each finding that kept it from *proven*."""
    verdict = case.proof.verdict
    short = [f for f in case.proof.findings if f.outcome is not Outcome.HOLDS]
    why = [f"{f.check}: expected {f.expected}, found {f.measured}" for f in short]
    # A run without a single finding is not proven either.
    count = max(len(short), int(verdict is not ProofVerdict.PROVEN))
    remark = "; ".join((verdict.value, *why))
    return PROVEN.of(case.scenario.id).measured([count], remark)


def hop_row(case: Case) -> Row:
    """The operation over the hurt edge whose lateness is furthest from what was injected."""
    found = hop_lateness(case.scenario, case.evidence)
    if not found:
        raise MeasurementError("expected calls over the hurt edge, found none")
    furthest = max(found, key=lambda each: each.off_ms)
    remark = f"{furthest.operation} late by {furthest.measured_ms:.1f} ms"
    return HOP.of(case.scenario.id).measured([furthest.off_ms], remark)


async def restart_times_s(settings: Settings) -> list[float]:
    """How long each service is away for another setting, and for its own again."""
    keeper = ShopControl(
        settings.url("shop_control"),
        transport=loopback.transport(),
        headers=secret.headers(settings.secret_file),
    )
    times: list[float] = []
    for service in SERVICES:
        for overlay in ({"SHOP_KEEP_ALIVE": "6s"}, {}):
            started = time.monotonic()
            await keeper.configure(service, overlay)
            times.append(time.monotonic() - started)
    return times


def opening_time_s(case: Case, folder: Path) -> float:
    """From the end of the last window until the sealed folder was left alone.

    Sealing ends with a file removed from the folder, which is the folder's last change.
    """
    sealed_s = max(folder.stat().st_mtime, case.opened_unix_s)
    return sealed_s - case.evidence.windows[Window.RECOVERY].end_s


def stack_memory_mib(settings: Settings) -> float:
    """Sum of the proportional set sizes of every process of the stack (Linux)."""
    supervisor = psutil.Process(int((settings.run_dir / "supervisord.pid").read_text()))
    total = 0
    for process in (supervisor, *supervisor.children(recursive=True)):
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            # Postgres ends a backend with its connection.
            continue
    return total / 2**20


def kept_gb(*folders: Path) -> float:
    """What the folders take on disk, a file of several names counted once."""
    files = (
        (Path(root) / name).lstat()
        for folder in folders
        for root, _, names in os.walk(folder)
        for name in names
    )
    blocks = {(file.st_dev, file.st_ino): file.st_blocks for file in files}
    # POSIX leaves the unit open; Linux and macOS count blocks of 512 bytes.
    return sum(blocks.values()) * 512 / 1e9


def setup_rows() -> list[Row]:
    """Clone this checkout's commit, then install and build with nothing cached.

    `make scenario` is ended as soon as it has a case open, and `make tools` goes on from there.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        clone = Path(folder) / "clone"
        # What `make bench` and its user set must not reach the inner `make`.
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LAB_", "MAKE", "MFLAGS"))}
        caches = {f"{name}_CACHE_DIR": f"{folder}/{name}" for name in ("LAB", "PIP", "UV")}
        environment = kept | caches | {"LAB_PORT_OFFSET": str(PORT_OFFSET)}
        _done(["git", "clone", "--quiet", str(CHECKOUT), str(clone)], kept)
        before_s = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        started = time.monotonic()
        make = ["make", "-C", str(clone)]
        until_open(
            [*make, "scenario", f"NAME={MEMORY_AFTER}"], environment, f"Case {MEMORY_AFTER}-1 is"
        )
        first_s = time.monotonic() - started
        _done([*make, "tools"], environment)
        took_s = time.monotonic() - started
        work_s = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before_s
    return [
        FIRST_CASE.measured([first_s]),
        SETUP.measured([took_s / 60]),
        SETUP_WORK.measured([work_s]),
    ]


def until_open(command: Sequence[str], environment: Mapping[str, str], words: str) -> None:
    """Run ``command`` in a terminal until it has said ``words``, then end it by Ctrl-C.

    MeasurementError where it ends without.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        env={**environment, "COLUMNS": "120", "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    said = ""
    try:
        while words not in said:
            said += os.read(ours, 4096).decode(errors="replace")
    except OSError as error:  # Nobody is left who could say something (Linux).
        raise MeasurementError(f"expected {words!r}, found {said[-200:]!r}") from error
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        with suppress(OSError):
            while os.read(ours, 4096):
                pass
        process.wait()
        os.close(ours)


def _done(command: Sequence[str], environment: Mapping[str, str]) -> None:
    done = _run(command, environment, SETUP_AT_MOST_S)
    if done.returncode != 0:
        raise MeasurementError(f"`{command[0]}`: {_end_of(done)}")


def _run(
    command: Sequence[str], environment: Mapping[str, str], within_s: float
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=within_s
    )


def _end_of(done: subprocess.CompletedProcess[str]) -> str:
    """What a command that failed said last."""
    return f"exit {done.returncode}: {(done.stderr or done.stdout).strip()[-200:]}"


class Bench:
    """One stack under measurement, and the rows it gives."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def rows(self, with_setup: bool) -> list[Row]:
        """Every row of the table."""
        rows = attempt([UP, DOWN], self._ups_and_downs)
        for name in SCENARIOS:
            rows += self._scenario(name)
        rows += attempt([BY_ID, BY_SEARCH], self._probes)
        rows += attempt([RESTART], self._restarts)
        rows += attempt([DISK], self._disk)
        if with_setup:
            return rows + attempt([FIRST_CASE, SETUP, SETUP_WORK], setup_rows)
        not_now = "not measured in this run: `make bench SETUP=1`"
        return rows + [each.skipped(not_now) for each in (FIRST_CASE, SETUP, SETUP_WORK)]

    def stop(self) -> None:
        """Leave no process behind, whatever was measured."""
        self._timed("down")

    def _ups_and_downs(self) -> list[Row]:
        """Whole commands, as a user waits for them, after one that does the first set-up."""
        self._timed("up")
        self._timed("down")
        pairs = [(self._timed("up"), self._timed("down")) for _ in range(ROUNDS)]
        ups, downs = zip(*pairs, strict=True)
        return [UP.measured(ups), DOWN.measured(downs)]

    def _scenario(self, name: str) -> list[Row]:
        cases: list[Case] = []

        def run() -> list[Row]:
            cases.append(self._run_case(name))
            return [proven_row(cases[0])]

        rows = attempt([PROVEN.of(name)], run)
        opened, spans, memory = OPENED.of(name), SPANS.of(name), MEMORY.of(name)
        promises = [memory, opened, spans] if name == MEMORY_AFTER else [opened, spans]
        promises += [HOP.of(name)] if name == LATE else []
        if not cases:
            return rows + [promise.failed("no case was opened") for promise in promises]
        if name == MEMORY_AFTER:
            rows += self._memory(memory)
            rows += self._desk(cases[0])
        if name == LATE:
            rows += attempt([HOP.of(name)], lambda: [hop_row(cases[0])])
        rows += attempt([opened], lambda: [opened.measured([self._opening_s(cases[0])])])
        return rows + attempt([spans], lambda: [self._spans(spans, cases[0])])

    def _run_case(self, name: str) -> Case:
        done = self._lab("run", name, "--json")
        try:
            case_id = json.loads(done.stdout)["case"]
        except ValueError as error:
            raise MeasurementError(_end_of(done)) from error
        return bootstrap.archive(self._settings).load(case_id)

    def _memory(self, promise: Promise) -> list[Row]:
        if sys.platform != "linux":
            return [promise.skipped("skipped: not Linux")]
        return attempt([promise], lambda: [promise.measured([stack_memory_mib(self._settings)])])

    def _desk(self, case: Case) -> list[Row]:
        if sys.platform != "linux":
            return [each.skipped("skipped: not Linux") for each in (DESK_PAGE, DESK_MEMORY)]
        return attempt((DESK_PAGE, DESK_MEMORY), lambda: desk_rows(self._settings, case))

    def _opening_s(self, case: Case) -> float:
        return opening_time_s(case, self._settings.cases_dir / case.case_id)

    def _spans(self, promise: Promise, case: Case) -> Row:
        ended = spans_ended(case)
        found = anyio.run(distinct_spans, self._settings, case)
        return promise.measured([abs(ended - found)], f"{ended} ended, {found} found")

    def _probes(self) -> list[Row]:
        by_id, by_search = anyio.run(probes, self._settings)
        return [BY_ID.measured(by_id), BY_SEARCH.measured(by_search)]

    def _restarts(self) -> list[Row]:
        return [RESTART.measured(anyio.run(restart_times_s, self._settings))]

    def _disk(self) -> list[Row]:
        located = [toolbox.find(tool, self._settings) for tool in toolbox.TOOLS]
        built = [each.path.parent for each in located if each is not None]
        return [DISK.measured([kept_gb(CHECKOUT / ".venv", *built)])]

    def _timed(self, word: str) -> float:
        started = time.monotonic()
        done = self._lab(word)
        took_s = time.monotonic() - started
        if done.returncode != 0:
            raise MeasurementError(f"`lab {word}`: {_end_of(done)}")
        return took_s

    def _lab(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "LAB_STATE_DIR": str(self._settings.state_dir),
            "LAB_PORT_OFFSET": str(self._settings.port_offset),
            "LAB_CACHE_DIR": str(self._settings.cache_dir),
        }
        command = [str(Path(sys.executable).with_name("lab")), *words]
        return _run(command, environment, COMMAND_AT_MOST_S)


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--setup", action="store_true", help="also set up from nothing")
    options = parser.parse_args()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        bench = Bench(Settings(state_dir=Path(folder) / ".lab", port_offset=PORT_OFFSET))
        try:
            rows = table(bench.rows(options.setup))
            text = "\n\n".join((circumstances(load_before, "make bench"), rows, ELSEWHERE))
            write_section("Measured", text)
            sys.stdout.write(f"{text}\n")
        finally:
            bench.stop()


if __name__ == "__main__":
    main()
