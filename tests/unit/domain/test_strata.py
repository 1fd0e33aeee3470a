"""For how many requests a kept trace stands, and what is counted by that."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.domain.load import Request, Window, percentile, weighted_percentile
from lab.domain.strata import Coverage, kind, recorded, size, standing, stands_for


def _request(
    n: int, *, route: str = "POST /checkout", status: int = 201, latency_ms: float = 20.0
) -> Request:
    return Request(
        Window.CRIME, float(n), float(n), latency_ms, "shopper", route, "acme", status, f"{n:032x}"
    )


def test_the_weights_of_a_stratum_add_up_to_its_requests() -> None:
    """Whatever was kept of it, as long as something was; of what nothing is kept, nobody stands."""
    requests = [
        *(_request(n, status=504, latency_ms=1000.0) for n in range(96)),
        *(_request(100 + n) for n in range(64)),
        *(_request(200 + n, route="GET /products") for n in range(24)),
    ]
    kept = [each.trace_id for each in (*requests[:25], *requests[100:104])]
    weights = stands_for(requests, kept, {})
    failed, well = kept[:25], kept[25:]
    assert sum(weights[each] for each in failed) == pytest.approx(96)
    assert sum(weights[each] for each in well) == pytest.approx(64)
    assert weights.keys() == set(kept)


def test_a_weighted_share_is_the_share_of_all_though_the_sample_is_lopsided() -> None:
    """60 of 100 fail; 25 and 25 are kept; by heads that is a half."""
    requests = [_request(n, status=400 if n % 5 < 3 else 201) for n in range(200)]
    dealt = Random(1)
    failing = [each.trace_id for each in requests if each.is_rejected]
    well = [each.trace_id for each in requests if not each.is_rejected]
    kept = [*dealt.sample(failing, 25), *dealt.sample(well, 25)]
    weights = stands_for(requests, kept, {})
    share = sum(weights[each] for each in kept if each in failing) / sum(weights.values())
    assert share == pytest.approx(0.60)


def test_a_slow_one_stands_for_no_quick_one() -> None:
    """So percentiles of a sample that has all slow ones are those of everybody."""
    requests = [_request(n, latency_ms=1200.0 if n < 30 else 20.0) for n in range(300)]
    kept = [each.trace_id for each in (*requests[:30], *requests[30::9])]
    weights = stands_for(requests, kept, {})
    took = [
        (each.latency_ms, weights[each.trace_id]) for each in requests if each.trace_id in weights
    ]
    for share in (0.50, 0.89, 0.90, 0.91, 0.99):
        assert weighted_percentile(took, share) == percentile(
            [each.latency_ms for each in requests], share
        )


def test_what_was_recorded_parts_a_kind_where_each_part_was_kept() -> None:
    """Nine of ten have a hole, and half of those that were kept: nine of ten they stand for."""
    requests = [_request(n) for n in range(100)]
    counts = {"whole": {each.trace_id: 1 for each in requests[::10]}}
    kept = [each.trace_id for each in (*requests[::10], *requests[1::10])]
    weights = stands_for(requests, kept, counts)
    assert sum(weights[each] for each in counts["whole"]) == pytest.approx(10)
    assert sum(weights.values()) == pytest.approx(100)


def test_what_a_sampler_burned_is_stood_for_by_what_it_left() -> None:
    """Where records say that none of a part was kept, they part nothing."""
    requests = [_request(n) for n in range(100)]
    counts = {"kept": {each.trace_id: 1 for each in requests[::4]}}
    weights = stands_for(requests, counts["kept"], counts)
    assert set(weights.values()) == {4.0}


requests_of_all_sorts = st.lists(
    st.builds(
        _request,
        st.integers(0, 10_000),
        route=st.sampled_from(["GET /products", "POST /checkout"]),
        status=st.sampled_from([0, 200, 201, 400, 504]),
        latency_ms=st.floats(0, 10_000),
    ),
    max_size=80,
    unique_by=lambda request: request.trace_id,
)


@given(requests_of_all_sorts, st.randoms(use_true_random=False))
def test_in_every_population_strata_are_counted_once(
    requests: list[Request], dealt: Random
) -> None:
    """All weights are at least one, and each stratum's add up to its requests, or to nothing."""
    kept = {each.trace_id for each in requests if dealt.random() < 0.4}
    counts = {"calls": {each.trace_id: 1 for each in requests if dealt.random() < 0.5}}
    weights = stands_for(requests, kept, counts)
    assert weights.keys() == kept
    assert all(weight >= 1 for weight in weights.values())
    for each in requests:
        like = [
            other for other in requests if (kind(other), size(other)) == (kind(each), size(each))
        ]
        parted = [other for other in like if recorded(other, counts) == recorded(each, counts)]
        sums = {
            round(sum(weights.get(other.trace_id, 0.0) for other in part), 6)
            for part in (like, parted)
        }
        assert sums & {len(like), len(parted), 0}


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_with_equal_weights_a_percentile_is_the_usual_one(
    values: list[float], share: float
) -> None:
    """Up to rounding of the rank: the next value at most."""
    found = weighted_percentile([(value, 3.0) for value in values], share)
    ordered = sorted(values)
    rank = ordered.index(percentile(values, share))
    assert found in ordered[max(0, rank - 1) : rank + 2]


def test_a_coverage_says_all_only_where_it_is_all() -> None:
    """Kept traces are never called all traces."""
    assert str(Coverage(44, 310, 320)) == "44 kept traces, which stand for 310 of 320 requests"
    assert "one alone" not in str(Coverage(44, 310, 320, 32.0))
    assert "one alone" not in str(Coverage(4, 40, 40, 20.0)), "few, and each stands for many"
    assert str(Coverage(44, 310, 320, 33.0)).endswith("310 of 320 requests, one alone for 33")
    assert str(Coverage(44, 320, 320)) == "44 kept traces, which stand for all of 320 requests"


def test_what_a_trace_stands_for_is_said_in_words() -> None:
    assert standing(1.0) == "stands for itself"
    assert standing(96 / 25) == "stands for 3.84 requests like it"


def test_a_record_that_parts_nothing_hinders_no_other() -> None:
    """A sampler kept one in four, and of those as many with a hole as without."""
    requests = [_request(n) for n in range(400)]
    whole = requests[::10]
    left = [*whole[:20], *requests[1:161:8]]
    counts = {
        "kept": {each.trace_id: 1 for each in left},
        "whole": {each.trace_id: 3 for each in whole},
    }
    weights = stands_for(requests, counts["kept"], counts)
    assert sum(weights[each.trace_id] for each in whole[:20]) == pytest.approx(40)
    assert sum(weights.values()) == pytest.approx(400)
