"""Evidence of small runs that prove their case, for tests to spoil."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from lab.domain.evidence import Evidence, Sample
from lab.domain.load import Request, Window
from lab.domain.scenario import Scenario
from lab.domain.trace import Trace
from lab.scenario_file import load
from tests.support.traces import (
    declined_checkout,
    evidence,
    healthy_checkout,
    page,
    request,
    silent_login_check,
)

SCENARIOS = Path(__file__).parents[2] / "scenarios"
# Their stories are told here in a few traces, which do not show all that their texts speak of.
DB_TIMEOUT = replace(load(SCENARIOS / "db-timeout"), exhibits={})
SLOW_SHELVES = replace(load(SCENARIOS / "slow-shelves"), exhibits={})
CARD_DECLINED = replace(load(SCENARIOS / "card-declined"), exhibits={})

_WINDOW_OF = {
    Sample.REFERENCE: Window.REFERENCE,
    Sample.AFFECTED: Window.CRIME,
    Sample.UNAFFECTED: Window.CRIME,
    Sample.RECOVERY: Window.RECOVERY,
}

Draw = Callable[[str], Trace]


@dataclass
class Run:
    """A run to be: add requests, with or without their trace; then ask for its evidence."""

    scenario: Scenario
    requests: list[Request] = field(default_factory=list)
    samples: dict[Sample, list[Trace]] = field(default_factory=dict)
    lost: dict[Sample, list[str]] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def add(
        self,
        sample: Sample,
        how_many: int,
        draw: Draw | None = None,
        *,
        status: int = 201,
        latency_ms: float = 30.0,
        start_s: float | None = None,
    ) -> Run:
        """``how_many`` requests of the symptom's route; with ``draw``, their traces as well."""
        for _ in range(how_many):
            trace_id = f"{next(self._numbers):032x}"
            self.requests.append(
                request(
                    trace_id,
                    _WINDOW_OF[sample],
                    route=self.scenario.symptom.route,
                    status=status,
                    latency_ms=latency_ms,
                    start_s=start_s,
                )
            )
            if draw is not None:
                self.samples.setdefault(sample, []).append(draw(trace_id))
        return self

    def without(self, *samples: Sample) -> Run:
        """The run less the traces and requests of these samples."""
        windows = {_WINDOW_OF[sample] for sample in samples}
        kept = [each for each in self.requests if each.window not in windows]
        left = {sample: found for sample, found in self.samples.items() if sample not in samples}
        return replace(self, requests=kept, samples=left)

    def lose(self, sample: Sample, how_many: int) -> Run:
        """As many traces of a sample were asked for and never came."""
        ids: Sequence[str] = [f"{next(self._numbers):032x}" for _ in range(how_many)]
        self.lost.setdefault(sample, []).extend(ids)
        return self

    def evidence(self) -> Evidence:
        """What the run left behind."""
        return evidence(self.requests, self.samples, lost=self.lost)


def warm(trace_id: str) -> Trace:
    return silent_login_check(trace_id, warm=True)


def cold(trace_id: str) -> Trace:
    return silent_login_check(trace_id, warm=False)


def slow_page(trace_id: str) -> Trace:
    return page(trace_id, 151)


def db_timeout() -> Run:
    """Every checkout dies at auth: two on a warm connection, the others on a new one."""
    return (
        Run(DB_TIMEOUT)
        .add(Sample.REFERENCE, 20, healthy_checkout)
        .add(Sample.AFFECTED, 2, warm, status=504, latency_ms=1008, start_s=10.0)
        .add(Sample.AFFECTED, 18, cold, status=504, latency_ms=408)
        .add(Sample.AFFECTED, 100, status=504, latency_ms=408)
        .add(Sample.RECOVERY, 20, healthy_checkout)
    )


def slow_shelves() -> Run:
    """Every page is late by two round trips."""
    return (
        Run(SLOW_SHELVES)
        .add(Sample.REFERENCE, 20, page, status=200, latency_ms=20)
        .add(Sample.AFFECTED, 20, slow_page, status=200, latency_ms=316)
        .add(Sample.AFFECTED, 100, status=200, latency_ms=316)
        .add(Sample.RECOVERY, 20, page, status=200, latency_ms=20)
    )


def card_declined() -> Run:
    """Six of ten customers come with an expired card, where it was one of fifty."""
    return (
        Run(CARD_DECLINED)
        .add(Sample.REFERENCE, 49, healthy_checkout)
        .add(Sample.REFERENCE, 1, declined_checkout, status=400)
        .add(Sample.AFFECTED, 20, declined_checkout, status=400)
        .add(Sample.AFFECTED, 52, status=400)
        .add(Sample.UNAFFECTED, 20, healthy_checkout)
        .add(Sample.UNAFFECTED, 28)
        .add(Sample.RECOVERY, 50, healthy_checkout)
    )
