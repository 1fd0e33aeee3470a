"""The three signals: as many buckets as a chart can show, whatever a case says of its windows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.domain.evidence import Interval
from lab.domain.load import Window
from lab.investigation.reading.edge_signals import MOST_BUCKETS, signals
from tests.support.sample_case import sample_case


@pytest.mark.parametrize("step_s", [1e-9, 0.01, 0.3, 1.0, 7.0, 1e6])
@pytest.mark.parametrize("length_s", [0.5, 599.5, 3600.0, 1e6])
def test_buckets_are_few_however_fine_the_step_and_long_the_windows(
    step_s: float, length_s: float
) -> None:
    """The step grows by whole multiples, the buckets cover all, and no request is lost."""
    evidence = sample_case().evidence
    start_s = evidence.windows[Window.REFERENCE].start_s
    crime = Interval(start_s, start_s + length_s)
    found = signals(replace(evidence, windows={Window.CRIME: crime}), step_s=step_s)
    assert 1 <= len(found.buckets) <= MOST_BUCKETS
    assert found.end_s >= length_s * (1 - 1e-9)
    assert found.step_s / step_s == pytest.approx(round(found.step_s / step_s))
    counted = sum(bucket.requests for bucket in found.buckets)
    assert counted == sum(
        each.window in (Window.REFERENCE, Window.CRIME, Window.RECOVERY)
        for each in evidence.requests
    )


def test_a_case_of_usual_length_keeps_its_seconds() -> None:
    """Only what nobody could see is drawn together."""
    assert signals(sample_case().evidence).step_s == 1.0
