"""The desk at work: how long its pages take, and what it holds in memory afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import httpx
import psutil
from promises import DESK_MEMORY, DESK_PAGE, Row

from lab.adapters.stack.processes import pid_listening_on
from lab.domain.case import Case
from lab.settings import Settings

ROUNDS = 5


def desk_rows(settings: Settings, case: Case) -> Sequence[Row]:
    """Read the case at the stack's own desk, page by page, several times over."""
    took = list(_took_s(settings, case))
    pid = pid_listening_on(settings.port("desk"))
    if pid is None:
        return [DESK_PAGE.measured(took), DESK_MEMORY.failed("nobody listens at the desk's port")]
    held_mib = psutil.Process(pid).memory_full_info().pss / 2**20
    return [DESK_PAGE.measured(took), DESK_MEMORY.measured([held_mib])]


def _took_s(settings: Settings, case: Case) -> Iterator[float]:
    room = f"/cases/{case.case_id}"
    trace = case.support_code or next(iter(case.evidence.traces))
    pages = (
        "",
        "/traces?kept=any&sort=latency&order=down",
        f"/traces/{trace}",
        "/contrast",
        "/map",
    )
    with httpx.Client(base_url=settings.url("desk"), timeout=30, trust_env=False) as client:
        for first in ("/", room):  # These read every scenario, and the case from its folder.
            client.get(first).raise_for_status()
        for _ in range(ROUNDS):
            for path in pages:
                started_s = time.monotonic()
                client.get(room + path).raise_for_status()
                yield time.monotonic() - started_s
