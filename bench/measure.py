"""Measure the numbers the design promises and write them down, misses included.

``make bench`` runs this on a stack of its own and writes ``bench/results.md``.
With ``--setup`` it also builds the tools in an empty cache, which takes minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import anyio
import httpx
import psutil

from lab import bootstrap
from lab.domain.case import Case
from lab.domain.journal import Step
from lab.domain.load import percentile
from lab.settings import CHECKOUT, Settings

RESULTS: Final = CHECKOUT / "bench" / "results.md"
ROUNDS: Final = 5
PROBES: Final = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One promise: what was measured, in which unit, and the most it may be."""

    what: str
    unit: str
    at_most: float
    values: tuple[float, ...]
    judged: Callable[[Sequence[float]], float] = statistics.median
    judged_name: str = "median"

    def line(self) -> str:
        """The row as Markdown."""
        low, mid, high = min(self.values), statistics.median(self.values), max(self.values)
        judged = self.judged(self.values)
        verdict = "holds" if judged <= self.at_most else "**missed**"
        spread = f"{low:.2f} / {mid:.2f} / {high:.2f} {self.unit} (n={len(self.values)})"
        promise = f"≤ {self.at_most:g} {self.unit}"
        return (
            f"| {self.what} | {spread} | {self.judged_name} {judged:.2f} | {promise} | {verdict} |"
        )


def lab(settings: Settings, *words: str) -> str:
    """Run ``lab WORDS`` on the stack under measurement; its standard output."""
    environment = {
        **os.environ,
        "LAB_STATE_DIR": str(settings.state_dir),
        "LAB_PORT_OFFSET": str(settings.port_offset),
        "LAB_CACHE_DIR": str(settings.cache_dir),
    }
    done = subprocess.run(
        [sys.executable, "-m", "lab", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"`lab {' '.join(words)}` failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def timed(action: Callable[[], object]) -> float:
    """Seconds that ``action`` takes."""
    started = time.monotonic()
    action()
    return time.monotonic() - started


def up_and_down(settings: Settings) -> tuple[Row, Row]:
    """Whole commands, as a user waits for them, after one that does the first set-up."""
    lab(settings, "up")
    lab(settings, "down")
    ups, downs = [], []
    for _ in range(ROUNDS):
        ups.append(timed(lambda: lab(settings, "up")))
        downs.append(timed(lambda: lab(settings, "down")))
    return (
        Row("`lab up`, set-up done", "s", 4, tuple(ups)),
        Row("`lab down`", "s", 4, tuple(downs)),
    )


def stack_memory_mib(settings: Settings) -> float:
    """Sum of the proportional set sizes of every process of the stack, in MiB (Linux)."""
    supervisor = int((settings.run_dir / "supervisord.pid").read_text())
    family = [psutil.Process(supervisor), *psutil.Process(supervisor).children(recursive=True)]
    return sum(process.memory_full_info().pss for process in family) / 2**20


def opening_time_s(case: Case) -> float:
    """From the end of the last window to the case being written."""
    closed = [
        entry.monotonic_s
        for entry in case.journal
        if entry.step is Step.RECOVERY and entry.event == "window closed"
    ]
    ended = [entry.monotonic_s for entry in case.journal if entry.step is Step.OPENED]
    return ended[-1] - closed[-1]


async def distinct_spans(settings: Settings, case: Case) -> tuple[int, int]:
    """Distinct span ids Tempo has of the run's interval, and spans ended by the counters."""
    windows = case.evidence.windows.values()
    start_s = case.journal[0].time_unix_s
    end_s = max(window.end_s for window in windows) + 15
    seen: set[str] = set()
    async with bootstrap.lab(settings) as parts:
        ids = await parts.store.search("{}", start_s=start_s, end_s=end_s)
        limiter = anyio.CapacityLimiter(8)

        async def fetch(trace_id: str) -> None:
            async with limiter:
                trace = await parts.store.trace(trace_id)
            seen.update(span.span_id for span in trace or ())

        async with anyio.create_task_group() as group:
            for trace_id in ids:
                group.start_soon(fetch, trace_id)
    balance = next(f for f in case.proof.findings if f.check == "spans received")
    return len(seen), int(balance.expected.split()[1])


async def trace_by_id_s(settings: Settings) -> tuple[float, ...]:
    """From a request's answer to its whole trace by id, for `PROBES` checkouts."""
    gateway = settings.url("gateway")
    waits = []
    async with bootstrap.lab(settings) as parts, httpx.AsyncClient(timeout=10) as client:
        user = {"email": "user0001@example.com", "password": "password-0001"}
        token = (await client.post(f"{gateway}/login", json=user)).json()["token"]
        for number in range(PROBES):
            trace_id = f"{time.time_ns():032x}"
            answer = await client.get(
                f"{gateway}/products/{number + 1}",
                headers={
                    "Authorization": f"Bearer {token}",
                    "traceparent": f"00-{trace_id}-{number + 1:016x}-01",
                },
            )
            answer.raise_for_status()
            started = time.monotonic()
            # Its root is ours and is never sent, so whole is: that span alone is missing.
            while True:
                trace = await parts.store.trace(trace_id)
                if trace and trace.missing_parents == {f"{number + 1:016x}"}:
                    break
                await asyncio.sleep(0.02)
            waits.append(time.monotonic() - started)
    return tuple(waits)


def setup_time_s() -> float:
    """Build every tool in an empty cache."""
    with tempfile.TemporaryDirectory() as empty:
        environment = {**os.environ, "LAB_CACHE_DIR": empty}
        command = [sys.executable, "-m", "lab", "tools", "--build"]
        return timed(lambda: subprocess.run(command, env=environment, check=True))


def measure(settings: Settings, with_setup: bool) -> list[str]:
    """Every row of the table, in the order of the design."""
    rows = [*up_and_down(settings)]
    result = json.loads(lab(settings, "run", "db-timeout", "--json"))
    case = bootstrap.archive(settings).load(result["case"])
    if sys.platform == "linux":
        rows.append(Row("memory of the stack (PSS)", "MiB", 900, (stack_memory_mib(settings),)))
    rows.append(Row("case opened after its last window", "s", 8, (opening_time_s(case),)))
    rows.append(
        Row(
            "whole trace by id after the answer",
            "s",
            1,
            anyio.run(trace_by_id_s, settings),
            judged=lambda values: percentile(values, 0.95),
            judged_name="p95",
        )
    )
    seen, ended = anyio.run(distinct_spans, settings, case)
    rows.append(Row("spans lost in a db-timeout run", "spans", 0, (float(ended - seen),)))
    if with_setup:
        rows.append(Row("tools from an empty cache", "min", 8, (setup_time_s() / 60,)))
    remark = f"\ndb-timeout: {result['verdict']}, {ended} spans ended, {seen} distinct ids found.\n"
    return [*(row.line() for row in rows), remark]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--setup", action="store_true", help="also build the tools from nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(state_dir=Path(folder) / ".lab", port_offset=900)
        try:
            lines = measure(settings, options.setup)
        finally:
            lab(settings, "down")
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    python = f"Python {platform.python_version()}"
    head = [
        "# Measured",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {machine}, {python}. `make bench` writes this file.",
        "Measured: min / median / max.",
        "",
        "| What | Measured | Judged | Promised | |",
        "|---|---|---|---|---|",
    ]
    RESULTS.write_text("\n".join([*head, *lines]), encoding="utf-8")
    print(RESULTS.read_text(encoding="utf-8"))  # noqa: T201


if __name__ == "__main__":
    main()
