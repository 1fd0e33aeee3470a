"""Measure the desk's pages in a real Chromium: how soon one sees them, and whether they stay put.

``make bench`` runs this after the rest, at a desk of its own: the board, the room and the list
of a recorded case, and a list of 100,000 requests that is made up for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Final

from chromium import page_before, write
from playwright.sync_api import Page
from promises import Promise, Row, attempt

from lab.domain.case import Case
from lab.domain.load import Window
from tests.browser.conftest import CASE, CHROMIUM, RunningDesk
from tests.support.sample_case import request, sample_case

ROUNDS: Final = 5
MANY: Final = 100_000
CROWDED: Final = "db-timeout-2"
SETTLES_MS: Final = 500

PAGES: Final = {
    "/": ("the board", 0.5),
    f"/cases/{CASE}": ("the room", 0.5),
    f"/cases/{CASE}/traces": ("the list of requests", 0.5),
    f"/cases/{CROWDED}/traces": (f"the list of {MANY:,} requests", 1.0),
    f"/cases/{CROWDED}/traces?sort=latency&order=down&group=route": (
        f"the list of {MANY:,} requests, sorted and grouped",
        1.0,
    ),
}
"""Address → what it is, and within how many seconds one sees it."""

_SEEN_MS: Final = """() => {
  const [page] = performance.getEntriesByType('navigation');
  const [paint] = performance.getEntriesByName('first-contentful-paint');
  // All of a page is in its answer: what was painted before it was read is not yet useful.
  return Math.max(page.domContentLoadedEventEnd, paint.startTime);
}"""
_SHIFT: Final = """() => new Promise((resolve) => {
  let moved = 0;
  const observer = new PerformanceObserver((list) => {
    for (const each of list.getEntries()) moved += each.value;
  });
  observer.observe({ type: 'layout-shift', buffered: true });
  setTimeout(() => resolve(moved), 50);
})"""


def crowded() -> Case:
    """A case of so many requests, slow and failed ones among them."""
    case = sample_case(CROWDED)
    routes = ("POST /checkout", "GET /products", "GET /home")
    many = tuple(
        request(
            f"{n:032x}",
            Window.REFERENCE if n % 2 else Window.CRIME,
            8 * n / MANY if n % 2 else 20 + 12 * n / MANY,
            route=routes[n % 3],
            latency_ms=float(1 + n % 977),
            status=500 if n % 11 == 0 else 201,
        )
        for n in range(MANY)
    )
    return dataclasses.replace(case, evidence=dataclasses.replace(case.evidence, requests=many))


def rows(page: Page, desk: RunningDesk) -> Iterator[Row]:
    """Two of each page: when one sees it, and by how much it moves after that."""
    for path, (name, at_most_s) in PAGES.items():
        seen = Promise(f"{name}: from the address to what one can use", "s", at_most_s)
        moved = Promise(f"{name}: layout shift after its first paint", "", 0.02, "max", max)

        def look(path: str = path, seen: Promise = seen, moved: Promise = moved) -> list[Row]:
            page.goto(desk.url + path)  # Scenarios, and a case from its folder, are read once.
            looks = [_look(page, desk.url + path) for _ in range(ROUNDS)]
            return [
                seen.measured([each / 1000 for each, _ in looks]),
                moved.measured([each for _, each in looks]),
            ]

        yield from attempt([seen, moved], look)


def _look(page: Page, address: str) -> tuple[float, float]:
    """Milliseconds until it is seen, and the sum of what it moved by."""
    page.goto(address)
    page.wait_for_timeout(SETTLES_MS)
    return float(page.evaluate(_SEEN_MS)), float(page.evaluate(_SHIFT))


def measured() -> list[Row]:
    """All rows; without a Chromium there is one that says so."""
    if not CHROMIUM:
        promise = Promise("the desk's pages: from the address to what one can use", "s", 0.5)
        return [promise.skipped("skipped: no Chromium")]
    with page_before(crowded()) as (page, desk):
        return list(rows(page, desk))


if __name__ == "__main__":
    write("The desk's pages", measured)
