"""Measure the waterfall in a real Chromium: how soon it opens, filters and answers a key.

``make bench`` runs this after the rest; traces of 2,000 and 10,000 spans, up to 150 below
each other, are made up for it and opened at a desk of its own.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, sync_playwright
from promises import Promise, Row, attempt, table
from results import circumstances, write_section

from lab.adapters.otlp.traces import assemble
from lab.domain.case import Case
from lab.settings import CHECKOUT
from tests.browser.conftest import CHROMIUM, RunningDesk, desk_over
from tests.support.sample_case import sample_case, span

ROUNDS: Final = 5
DEPTH: Final = 150
CASE: Final = "db-timeout-2"
READY_WITHIN_MS: Final = 15_000

OPENS: Final = {
    2_000: Promise("2,000 spans: from the address to the first rows", "s", 0.5),
    10_000: Promise("10,000 spans: from the address to the first rows", "s", 2),
}
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
        promises = (*OPENS.values(), FILTER, KEY, ROWS)
        return [promise.skipped("skipped: no Chromium") for promise in promises]
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        desk_over(Path(folder) / "state") as desk,
        sync_playwright() as playwright,
    ):
        small, large = (made_up(number) for number in OPENS)
        traces = {**small.evidence.traces, **large.evidence.traces}
        evidence = dataclasses.replace(large.evidence, traces=traces)
        desk.add(dataclasses.replace(large, evidence=evidence))
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        return list(Bench(page, desk).rows())


def main() -> None:
    """Measure, write, print."""
    load_before = os.getloadavg()[0]
    text = f"{circumstances(load_before, 'make bench')}\n\n{table(measured())}"
    write_section("The waterfall", text)
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.path.insert(0, str(CHECKOUT))
    main()
