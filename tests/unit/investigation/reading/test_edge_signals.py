"""The three signals: as many buckets as a chart can show, whatever a case says of its windows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.domain.evidence import Evidence, Interval
from lab.domain.load import Window
from lab.investigation.reading.edge_signals import INSTANCE, MOST_BUCKETS, restarts, signals
from tests.support.recorded_cases import RECORDINGS, recorded
from tests.support.sample_case import healthy_trace, sample_case


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


def with_processes(*parts: tuple[str, float, dict[str, str]]) -> Evidence:
    """Traces that begin so many seconds after the start, each from another process of auth."""
    evidence = sample_case().evidence
    zero_s = evidence.windows[Window.REFERENCE].start_s
    traces = {}
    for n, (instance, at_s, more) in enumerate(parts, start=1):
        trace = healthy_trace(f"{n:032x}", zero_s + at_s)
        spans = tuple(
            replace(span, resource={**span.resource, INSTANCE: instance, **more})
            if span.service == "auth"
            else span
            for span in trace.spans
        )
        traces[trace.trace_id] = replace(trace, spans=spans)
    return replace(evidence, traces=traces)


def test_a_process_that_takes_over_is_a_restart() -> None:
    """Between the last span of one and the first of the next, with what its resource changed."""
    old, new = {"service.version": "1.0.0"}, {"service.version": "1.1.0", "process.pid": "7"}
    [found] = restarts(with_processes(("a", 1, old), ("a", 3, old), ("b", 9, new), ("b", 10, new)))
    assert (found.service, found.changed) == ("auth", {"service.version": ("1.0.0", "1.1.0")})
    assert found.after_s == pytest.approx(3, abs=0.1)
    assert found.by_s == pytest.approx(9, abs=0.1)


def test_a_replica_is_no_restart() -> None:
    """Two that answer side by side; where one of them goes and another comes, that is one."""
    beside: list[tuple[str, float, dict[str, str]]] = [
        ("a", 1, {}),
        ("b", 2, {}),
        ("a", 3, {}),
        ("b", 4, {}),
    ]
    assert restarts(with_processes(*beside)) == ()
    [found] = restarts(with_processes(*beside, ("c", 9, {}), ("b", 10, {})))
    assert found.by_s == pytest.approx(9, abs=0.1)


def test_who_names_no_process_shows_no_restart() -> None:
    """Nothing is guessed."""
    assert restarts(sample_case().evidence) == ()


def test_restarts_are_read_from_spans_alone() -> None:
    """Of every recorded case the same, whatever its scenario and records say."""
    for name in sorted(RECORDINGS)[::9]:
        evidence = recorded(name).evidence
        bare = replace(evidence, joins=(), records={}, logs=(), samples={})
        assert restarts(bare) == restarts(evidence)
        assert all(each.after_s <= each.by_s for each in restarts(evidence))
