"""Measure waterfall and map in a real Chromium: how soon there is something to read, and the rest.

``make bench`` runs this after the rest; traces of 2,000 and 10,000 spans, up to 150 below
each other, are made up for it and opened at a desk of its own, which then shows every page of
every recorded case.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import httpx
import psutil
from chromium import page_before, write
from playwright.sync_api import Page
from promises import Promise, Row, attempt

from lab.adapters.cases.archive import FolderArchive
from lab.adapters.cases.recording_file import recordings
from lab.adapters.otlp.traces import assemble
from lab.domain.case import Case
from lab.settings import CHECKOUT
from tests.browser.conftest import CHROMIUM, RunningDesk
from tests.support.sample_case import sample_case, span

ROUNDS: Final = 5
DEPTH: Final = 150
CASE: Final = "db-timeout-2"
READY_WITHIN_MS: Final = 15_000

OPENS: Final = {
    2_000: Promise("2,000 spans: from the address to the first rows", "s", 0.5),
    10_000: Promise("10,000 spans: from the address to the first rows", "s", 2),
}
PAINTS: Final = {
    "#plain tbody tr, #rows [role=row]": Promise(
        "2,000 spans: from the address to the first useful paint", "s", 0.5
    ),
    ".map svg .node": Promise("the map: from the address to the first useful paint", "s", 0.5),
}
STILL: Final = Promise("layout shift after it (CLS), of waterfall and map", "", 0.02, "max", max)
HELD: Final = Promise("memory of the desk after all pages of all recorded cases", "MiB", 100)
FILTER: Final = Promise("2,000 spans: from the last letter to the filtered rows", "ms", 100)
KEY: Final = Promise("2,000 spans: from a key to the focus on another row", "ms", 50)
ROWS: Final = Promise("10,000 spans: rows in the document, at most", "rows", 200, "max", max)

_FILTER_MS: Final = """() => {
  const find = document.querySelector('#find'), started = performance.now();
  find.value = 'step 77';
  find.dispatchEvent(new Event('input'));
  document.querySelector('#rows').getBoundingClientRect();
  const took = performance.now() - started;
  find.value = '';
  find.dispatchEvent(new Event('input'));
  return took;
}"""
_KEY_MS: Final = """(key) => {
  const before = document.activeElement, started = performance.now();
  before.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
  document.activeElement.getBoundingClientRect();
  if (document.activeElement === before) throw new Error(`${key} moved no focus`);
  return performance.now() - started;
}"""
_WATCH: Final = """(useful) => {
  window.shifts = 0;
  new PerformanceObserver((list) => {
    for (const each of list.getEntries()) if (!each.hadRecentInput) window.shifts += each.value;
  }).observe({ type: 'layout-shift', buffered: true });
  const look = () => {
    // What stands in the document in one frame is painted by the next.
    if (!document.querySelector(useful)) requestAnimationFrame(look);
    else requestAnimationFrame(() => (window.painted = performance.now()));
  };
  requestAnimationFrame(look);
}"""
_OPEN_MS: Final = "performance.now()"


def _trace_id(number: int) -> str:
    return f"beef{number:028x}"


def made_up(number: int) -> Case:
    """A case with one trace of so many spans."""
    trace_id = _trace_id(number)
    spans = [
        span(
            trace_id,
            n,
            None if n == 0 else n - 1 if n % DEPTH else 0,
            f"svc{n % 9} step {n}",
            (n, n + 40),
            attributes={"http.route": f"/things/{n}", "tenant_id": "birch", "n": n},
        )
        for n in range(number)
    ]
    case = sample_case(CASE)
    traces = {**case.evidence.traces, trace_id: assemble(trace_id, spans)}
    return dataclasses.replace(case, evidence=dataclasses.replace(case.evidence, traces=traces))


def _pages(cases: Path) -> Iterator[str]:
    """Every page of every recorded case, with the trace of its support code."""
    for scenario, file in recordings(CHECKOUT / "scenarios").items():
        room = f"/cases/{scenario}-1"
        (cases / f"{scenario}-1").mkdir(exist_ok=True)
        with zipfile.ZipFile(file) as recorded:
            recorded.extractall(cases / f"{scenario}-1")
        case = FolderArchive(cases).load(f"{scenario}-1")
        trace = f"/traces/{case.support_code or next(iter(case.evidence.traces))}"
        more = (trace, f"{trace}/flame", f"{trace}/twin", f"/api/v1{room}{trace}/waterfall")
        for path in ("", "/traces", "/logs", "/contrast", "/background", "/map", "/accuse", *more):
            yield path if path.startswith("/api") else room + path


class Bench:
    """A page in front of a desk, and what it takes."""

    def __init__(self, page: Page, desk: RunningDesk) -> None:
        self._page = page
        self._desk = desk

    def rows(self) -> Iterator[Row]:
        """Every row of the table."""
        for number, promise in OPENS.items():
            yield from attempt([promise], self._opening(number, promise))
            if number == min(OPENS):
                yield from attempt([FILTER, KEY], self._use)
        yield from attempt([ROWS], self._document)
        yield from attempt([*PAINTS.values(), STILL], self._paints)
        yield from attempt([HELD], self._all_pages)

    def _paints(self) -> list[Row]:
        paths = ((CASE, "traces", _trace_id(min(OPENS))), (CASE, "map"))
        rows, shifts = [], list[float]()
        for (useful, promise), path in zip(PAINTS.items(), paths, strict=True):
            opened = [self._paint(useful, self._desk.path(*path)) for _ in range(ROUNDS)]
            rows.append(promise.measured([painted_s for painted_s, _ in opened]))
            shifts += [shift for _, shift in opened]
        return [*rows, STILL.measured(shifts)]

    def _paint(self, useful: str, address: str) -> tuple[float, float]:
        """Seconds until the first useful paint, and by how much things moved in the next second."""
        browser = self._page.context.browser
        assert browser is not None
        with browser.new_context(viewport={"width": 1280, "height": 860}) as context:
            page = context.new_page()
            page.add_init_script(f"({_WATCH})({json.dumps(useful)})")
            page.goto(address)
            page.wait_for_function("window.painted", timeout=READY_WITHIN_MS)
            page.wait_for_timeout(1_000)
            painted_ms, shift = page.evaluate("[window.painted, window.shifts]")
            return float(painted_ms) / 1000, float(shift)

    def _all_pages(self) -> list[Row]:
        process = self._desk.process
        assert process is not None
        with httpx.Client(base_url=self._desk.url, timeout=60, trust_env=False) as client:
            for path in _pages(self._desk.state_dir / "cases"):
                client.get(path).raise_for_status()
        return [HELD.measured([psutil.Process(process.pid).memory_full_info().pss / 2**20])]

    def _opening(self, number: int, promise: Promise) -> Callable[[], Sequence[Row]]:
        return lambda: [promise.measured([self._open_s(number) for _ in range(ROUNDS)])]

    def _open_s(self, number: int) -> float:
        self._page.goto(self._desk.path(CASE, "traces", _trace_id(number)))
        self._page.wait_for_selector("#waterfall[data-ready]", timeout=READY_WITHIN_MS)
        # The page's own clock began with the request for it.
        return float(self._page.evaluate(_OPEN_MS)) / 1000

    def _use(self) -> list[Row]:
        self._page.locator("#rows [role=row]").first.focus()
        keys = ["ArrowDown", "End", "Home", "PageDown", "ArrowUp"] * ROUNDS
        return [
            FILTER.measured([float(self._page.evaluate(_FILTER_MS)) for _ in range(ROUNDS)]),
            KEY.measured([float(self._page.evaluate(_KEY_MS, key)) for key in keys]),
        ]

    def _document(self) -> list[Row]:
        counts = []
        for part in (0, 0.3, 0.7, 1):
            self._page.locator("#grid").evaluate(
                "(grid, part) => grid.scrollTo(0, part * grid.scrollHeight)", part
            )
            self._page.wait_for_timeout(100)
            counts.append(self._page.locator("#rows [role=row]").count())
        return [ROWS.measured(counts)]


def measured() -> list[Row]:
    """All rows; without a Chromium each says so."""
    if not CHROMIUM:
        promises = (*OPENS.values(), FILTER, KEY, ROWS, *PAINTS.values(), STILL, HELD)
        return [promise.skipped("skipped: no Chromium") for promise in promises]
    small, large = (made_up(number) for number in OPENS)
    traces = {**small.evidence.traces, **large.evidence.traces}
    evidence = dataclasses.replace(large.evidence, traces=traces)
    with page_before(dataclasses.replace(large, evidence=evidence)) as (page, desk):
        return list(Bench(page, desk).rows())


if __name__ == "__main__":
    write("The waterfall", measured)
