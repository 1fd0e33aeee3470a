"""Measure what is promised of a stranger's traces: 50 MB of a shop like OpenTelemetry's demo.

``make bench`` runs this too; it needs no stack. Case folders lie in a temporary place.
``strangers.py FILE`` writes the file alone, to look at or to import by hand.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
from promises import (
    DEMO_IMPORT,
    DEMO_IMPORT_MEMORY,
    DEMO_LIST,
    DEMO_LIST_SIZE,
    DEMO_TRACES,
    DEMO_TRACES_MEMORY,
    MeasurementError,
    Row,
    attempt,
    table,
)
from results import circumstances, write_section
from yardstick import LIBRARIES, as_a_user_has_it, processor_s, told

from lab.settings import Settings

PORT_OFFSET: Final = 920
TRACES: Final = 10_000
SPANS_A_TRACE: Final = 4
TRACES_A_BATCH: Final = 50
ATTRIBUTES: Final = 10
SEED: Final = 1
ROUNDS: Final = 5
WITHIN_S: Final = 60.0

SERVICES: Final = (
    "frontend", "cart", "checkout", "payment", "shipping", "email", "currency",
    "product-catalog", "recommendation", "ad",
)  # fmt: skip
BEGAN_NS: Final = 1_700_000_000_000_000_000

ELSEWHERE: Final = (
    "Held by tests: every format comes to the same spans, a hostile file takes time by its length "
    "alone (`tests/unit/adapters`), and of 10,000 damaged files each ends without a traceback and "
    "with every span kept, dropped or told as skipped (`tests/adversity`)."
)


def batches(traces: int, dice: random.Random) -> Iterator[dict[str, Any]]:
    """Documents as the Collector's file exporter writes them, spans of a trace by service."""
    waiting: dict[str, list[dict[str, Any]]] = {}
    for number in range(traces):
        for span in _spans(number, dice):
            waiting.setdefault(SERVICES[(number + span["depth"]) % len(SERVICES)], []).append(
                {key: value for key, value in span.items() if key != "depth"}
            )
        if number % TRACES_A_BATCH == TRACES_A_BATCH - 1 or number == traces - 1:
            yield {"resourceSpans": [_group(name, spans, dice) for name, spans in waiting.items()]}
            waiting = {}


def _spans(number: int, dice: random.Random) -> Iterator[dict[str, Any]]:
    trace_id, parent = f"{dice.getrandbits(128) | 1:032x}", ""
    for depth in range(SPANS_A_TRACE):
        span_id = f"{dice.getrandbits(64) | 1:016x}"
        start_ns = BEGAN_NS + number * 10_000_000 + depth * 1_000_000
        yield {
            "depth": depth,
            "traceId": trace_id,
            "spanId": span_id,
            "parentSpanId": parent,
            "name": f"operation {depth}",
            "kind": 2,
            "startTimeUnixNano": str(start_ns),
            "endTimeUnixNano": str(start_ns + 10_000_000 - 2_000_000 * depth),
            "attributes": _attributes(ATTRIBUTES, dice),
            "events": [
                {
                    "timeUnixNano": str(start_ns),
                    "name": "message",
                    "attributes": _attributes(1, dice),
                }
            ],
            "status": {"code": 2} if dice.random() < 0.01 else {},
        }
        parent = span_id


def _event(time_ns: int, dice: random.Random) -> dict[str, Any]:
    return {"timeUnixNano": str(time_ns), "name": "message", "attributes": _attributes(1, dice)}


def _group(name: str, spans: list[dict[str, Any]], dice: random.Random) -> dict[str, Any]:
    service = {"key": "service.name", "value": {"stringValue": name}}
    return {
        "resource": {"attributes": [service, *_attributes(8, dice)]},
        "scopeSpans": [{"scope": {"name": "demo", "version": "1.0.0"}, "spans": spans}],
    }


def _attributes(count: int, dice: random.Random) -> list[dict[str, Any]]:
    return [
        {
            "key": f"app.some.attribute.{n}",
            "value": {"stringValue": f"value-{dice.getrandbits(64):016x}"},
        }
        for n in range(count)
    ]


def write_demo(path: Path, traces: int = TRACES) -> int:
    """Write the file, the same each time; how many spans are in it."""
    dice = random.Random(SEED)  # noqa: S311 -- the same file each time
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(each) + "\n" for each in batches(traces, dice))
    return traces * SPANS_A_TRACE


class Strangers:
    """One state folder under measurement, and the rows it gives."""

    def __init__(self, settings: Settings, place: Path) -> None:
        self._settings = settings
        self._place = place
        self.bare_s: list[float] = []
        self._environment = {
            **as_a_user_has_it(place),
            "LAB_STATE_DIR": str(settings.state_dir),
            "LAB_PORT_OFFSET": str(settings.port_offset),
        }

    def rows(self) -> list[Row]:
        """Every row of the table."""
        return [
            *attempt([DEMO_IMPORT, DEMO_IMPORT_MEMORY], self._imported),
            *attempt([DEMO_TRACES, DEMO_TRACES_MEMORY], self._listed),
            *attempt([DEMO_LIST, DEMO_LIST_SIZE], self._shown),
        ]

    def _imported(self) -> Sequence[Row]:
        path, small = self._place / "demo.jsonl", self._place / "small.jsonl"
        write_demo(small, 1)
        self._command("import", str(small), "--name", "small")
        spans = write_demo(path)
        took_s, memory_mib = self._command("import", str(path), "--name", "demo")
        remark = f"{TRACES} traces, {spans} spans, {path.stat().st_size / 1e6:.0f} MB"
        path.unlink()
        return [
            DEMO_IMPORT.measured([took_s], remark),
            DEMO_IMPORT_MEMORY.measured([memory_mib]),
        ]

    def _listed(self) -> Sequence[Row]:
        asked = "traces", "demo-1", "--limit", "3"
        self._command(*asked)  # Which compiles what it needs.
        processor_s(LIBRARIES, self._environment)
        ended = []
        for _ in range(ROUNDS):
            ended.append(self._command(*asked))
            self.bare_s.append(processor_s(LIBRARIES, self._environment))
        return [
            DEMO_TRACES.measured([each for each, _ in ended]),
            DEMO_TRACES_MEMORY.measured([each for _, each in ended]),
        ]

    def _shown(self) -> Sequence[Row]:
        """By desks that have shown another list before, and never this one."""
        shown = [self._first_list() for _ in range(ROUNDS)]
        return [
            DEMO_LIST.measured([took_s for took_s, _ in shown]),
            DEMO_LIST_SIZE.measured([kilobytes for _, kilobytes in shown[:1]]),
        ]

    def _first_list(self) -> tuple[float, float]:
        """What one desk takes for it: processor time in seconds, and the page's size in kB."""
        address = self._settings.url("desk")
        words = (self._lab(), "desk")
        with subprocess.Popen(words, env=self._environment, stderr=subprocess.DEVNULL) as desk:
            try:
                give_up = time.monotonic() + WITHIN_S
                while not self._answers(f"{address}/cases/small-1"):
                    if time.monotonic() > give_up:
                        raise MeasurementError(f"no desk within {WITHIN_S:g} s")
                    time.sleep(0.1)
                before = psutil.Process(desk.pid).cpu_times()
                page = httpx.get(f"{address}/cases/demo-1", timeout=WITHIN_S, trust_env=False)
                after = psutil.Process(desk.pid).cpu_times()
                page.raise_for_status()
            finally:
                desk.terminate()
        took_s = after.user + after.system - before.user - before.system
        return took_s, len(page.content) / 1000

    def _answers(self, address: str) -> bool:
        try:
            return httpx.get(address, timeout=5, trust_env=False).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _lab(self) -> str:
        return str(Path(sys.executable).with_name("lab"))

    def _command(self, *words: str) -> tuple[float, float]:
        """Run one command to its end: seconds of processor time, and the most memory in MiB."""
        with (self._place / "said").open("w+b") as said:
            process = subprocess.Popen(
                [self._lab(), *words], env=self._environment, stdout=said, stderr=said
            )
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                said.seek(0)
                raise MeasurementError(f"`lab {words[0]}`: {said.read()[-300:]!r}")
        # Linux counts kibibytes, macOS bytes.
        unit = 1 if sys.platform == "darwin" else 1024
        return used.ru_utime + used.ru_stime, used.ru_maxrss * unit / 2**20


def main() -> None:
    """Measure, write, print; or only write the file that is measured by."""
    if len(sys.argv) > 1:
        write_demo(Path(sys.argv[1]))
        return
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        settings = Settings(state_dir=place / ".lab", port_offset=PORT_OFFSET)
        strangers = Strangers(settings, place)
        rows = table(strangers.rows())
    about = circumstances(load_before, "make bench"), told(strangers.bare_s)
    text = "\n\n".join((*about, rows, ELSEWHERE))
    write_section("Strangers' traces", text)
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
