"""Measure what one request costs each part of the lab, and with it what one core carries.

``make bench`` runs this on a stack of its own and writes its section of ``bench/results.md``;
``docs/scale.md`` says what follows. Costs are processor time, user and system, of a part's
processes while requests come by the clock, less what the same part takes while none come.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
import psutil
from promises import MeasurementError, Promise, table
from results import circumstances, write_section

from lab import bootstrap
from lab.adapters.cases.case_folder import read_requests
from lab.domain.instrumentation import Instrumentation
from lab.domain.load import LoadPlan, LoadShape, Window
from lab.investigation.running.run_case import Lab
from lab.settings import Settings
from lab.shop.topology import SERVICES

PORT_OFFSET: Final = 700
KINDS: Final = {"POST /checkout": "shopper", "GET /products/{id}": "window-shopper"}
"""What is mostly asked, and by whom: a purchase, or two services and one query.

A shopper looks at the shelves now and then before a purchase, and that is a request as well.
"""

RATE_PER_S: Final = 12.0
WARM_S: Final = 4.0
MEASURED_S: Final = 20.0
LATE_S: Final = 4.0
"""How long batches, masks and stores go on after the last answer."""

LOAD: Final = "load (Locust)"
PARTS: Final = (*SERVICES, "toxiproxy", "postgres", "otelcol", "tempo", LOAD)

# The design's: at least 0.55 and 0.35 of the bare shop's throughput.
SHARES: Final = {
    "POST /checkout": Promise(
        "processor time of the services for a checkout, over that of the bare shop",
        "times",
        1 / 0.55,
    ),
    "GET /products/{id}": Promise(
        "processor time of the services for a product's page, over that of the bare shop",
        "times",
        1 / 0.35,
    ),
}


@dataclass(frozen=True, slots=True)
class Costs:
    """What ``requests`` cost: milliseconds of a processor each, by part, and spans ended."""

    requests: int
    spans: float
    ms: Mapping[str, float]

    @property
    def services_ms(self) -> float:
        """What the shop's own processes took."""
        return sum(self.ms[name] for name in SERVICES)

    @property
    def all_ms(self) -> float:
        """What everybody took who is on the same machine."""
        return sum(self.ms.values())


def used_s(roots: Mapping[str, int]) -> dict[str, float]:
    """Processor time that each part's processes have taken so far, in seconds.

    ``roots`` has the part's process; its children are the part's as well.
    """
    return {part: sum(map(_time_s, _family(pid))) for part, pid in roots.items()}


def _family(pid: int) -> Iterator[psutil.Process]:
    root = psutil.Process(pid)
    yield root
    yield from root.children(recursive=True)


def _time_s(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):  # Postgres ends a worker of its own now and then.
        times = process.cpu_times()
        return times.user + times.system
    return 0.0


def costs_of(
    idle_s: Mapping[str, float], busy_s: Mapping[str, float], *, requests: int, spans: int
) -> Costs:
    """The costs of a request from what each part took in two times of the same length."""
    if requests == 0:
        raise MeasurementError("expected requests to be answered, none was")
    ms = {part: max(busy_s[part] - idle_s[part], 0.0) * 1000 / requests for part in busy_s}
    return Costs(requests, spans / requests, ms)


async def measured(lab: Lab, actor: str, log: Path) -> Costs:
    """Let nobody come for a while, then one actor by the clock, and compare; ``log`` is new."""
    shape = LoadShape({actor: 1}, rate_per_s=RATE_PER_S)
    plan = LoadPlan(seed=1, shapes={Window.SETTLE: shape, Window.REFERENCE: shape})
    async with lab.load.start(plan, log) as load:
        roots = await _roots(lab)
        await load.enter(Window.SETTLE)
        await asyncio.sleep(WARM_S)
        await load.pause()
        await asyncio.sleep(LATE_S)
        before, spans = used_s(roots), await _spans(lab)
        await asyncio.sleep(MEASURED_S + LATE_S)
        between = used_s(roots)
        await load.enter(Window.REFERENCE)
        await asyncio.sleep(MEASURED_S)
        await load.pause()
        await asyncio.sleep(LATE_S)
        after, ended = used_s(roots), await _spans(lab)
        await load.finish()
    asked = [each for each in read_requests(log) if each.window is Window.REFERENCE]
    return costs_of(
        {part: between[part] - before[part] for part in roots},
        {part: after[part] - between[part] for part in roots},
        requests=len(asked),
        spans=ended - spans,
    )


async def _roots(lab: Lab) -> dict[str, int]:
    known = {part.name: part.pid for part in await lab.stack.status()}
    ours = psutil.Process().children()
    [load] = [each.pid for each in ours if "lab.load" in each.cmdline()]
    return {LOAD: load, **{name: pid for name, pid in known.items() if pid and name in PARTS}}


async def _spans(lab: Lab) -> int:
    return sum((await lab.stack.counters()).spans_ended.values())


def costs_table(found: Mapping[str, Costs]) -> str:
    """A row a part: what each kind of request costs it, and how many a second a core carries."""
    kinds = list(found)
    head = ["Part", *(f"`{kind}`" for kind in kinds), f"`{kinds[0]}` a core carries"]
    lines = [_line(head), _line(["---"] * len(head))]
    for part in PARTS:
        each = [found[kind].ms[part] for kind in kinds]
        lines.append(_line([part, *(f"{ms:.2f} ms" for ms in each), _carried(each[0])]))
    all_ms = [found[kind].all_ms for kind in kinds]
    lines.append(
        _line(["all on one machine", *(f"{ms:.2f} ms" for ms in all_ms), _carried(all_ms[0])])
    )
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _carried(ms: float) -> str:
    # Below a tick of the kernel's clock for each request there is nothing to divide by.
    return f"{1000 / ms:.0f} a second" if ms >= 0.1 else "more than matters"


async def _costs_at(lab: Lab, level: Instrumentation, folder: Path) -> dict[str, Costs]:
    await lab.stack.instrument(level)
    return {
        kind: await measured(lab, actor, folder / f"{level}-{actor}.jsonl")
        for kind, actor in KINDS.items()
    }


async def _section(folder: Path) -> str:
    settings = Settings(state_dir=folder / ".lab", port_offset=PORT_OFFSET)
    stack = bootstrap.stack(settings)
    try:
        async for _ in stack.up():
            pass
        async with bootstrap.lab(settings) as lab:
            bare = await _costs_at(lab, Instrumentation.NONE, folder)
            full = await _costs_at(lab, Instrumentation.FULL, folder)
    finally:
        await stack.down()
    shares = [
        promise.measured([full[kind].services_ms / bare[kind].services_ms])
        for kind, promise in SHARES.items()
    ]
    said = ", ".join(f"`{kind}` {costs.spans:.1f}" for kind, costs in full.items())
    asked = ", ".join(f"{costs.requests} of a {KINDS[kind]}" for kind, costs in full.items())
    what = (
        f"Requests: {asked}, by {RATE_PER_S:.0f} visits a second, the shop instrumented in full; "
        "a shopper's are purchases, now and then with a look at the shelves before them. "
        f"Spans of one request: {said}."
    )
    return "\n\n".join((what, costs_table(full), table(shares)))


def main() -> None:
    """Measure, write, print."""
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        found = anyio.run(_section, Path(folder))
    text = f"{circumstances(load_before, 'make bench')}\n\n{found}"
    write_section("What one request costs", text)
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
