from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.domain.bound import parse
from lab.domain.evidence import Sample
from lab.domain.load import Request, Window
from lab.domain.observation import MAX_AFFECTED, MAX_CONTROLS, Observation
from lab.domain.symptom import Harm, Symptom
from lab.investigation.running.looking_round import FEW
from lab.investigation.running.sampling import ONSET, choose, evenly

SYMPTOM = Symptom("POST /checkout", Harm.ERROR, parse(">= 95%"))


def _request(n: int, window: Window, status: int, route: str = "POST /checkout") -> Request:
    return Request(window, float(n), float(n), 5.0, "shopper", route, "birch", status, f"{n:032x}")


def _proven_by(chosen: Mapping[Sample, tuple[str, ...]]) -> Mapping[Sample, tuple[str, ...]]:
    """What the proof asks of what was chosen."""
    return {
        sample: ids
        for sample, ids in chosen.items()
        if sample not in {Sample.OTHERS, Sample.OTHERS_BEFORE}
    }


def test_samples_follow_window_route_and_outcome() -> None:
    """Affected are the failed ones of the crime; other routes are kept beside it."""
    requests = [
        _request(1, Window.REFERENCE, 201),
        _request(2, Window.CRIME, 504),
        _request(3, Window.CRIME, 201),
        _request(4, Window.RECOVERY, 201),
        _request(5, Window.TRANSITION, 504),
        _request(6, Window.CRIME, 504, route="GET /products"),
    ]
    chosen = choose(requests, SYMPTOM, {}, Observation())
    assert chosen == {
        Sample.AFFECTED: (f"{2:032x}",),
        Sample.UNAFFECTED: (f"{3:032x}",),
        Sample.REFERENCE: (f"{1:032x}",),
        Sample.RECOVERY: (f"{4:032x}",),
        Sample.OTHERS: (f"{6:032x}",),
        Sample.OTHERS_BEFORE: (),
    }


def test_where_a_sampler_burned_traces_it_is_among_those_that_it_kept() -> None:
    """Of the crime; before and after it nothing was burned."""
    requests = [
        _request(n, window, status)
        for n, (window, status) in enumerate(
            [
                (Window.REFERENCE, 201), (Window.CRIME, 504), (Window.CRIME, 504),
                (Window.CRIME, 201), (Window.CRIME, 201), (Window.RECOVERY, 201),
            ]
        )
    ]  # fmt: skip
    counts = {"kept": {f"{2:032x}": 1, f"{3:032x}": 1}}
    assert _proven_by(choose(requests, SYMPTOM, counts, Observation(kept="kept"))) == {
        Sample.AFFECTED: (f"{2:032x}",),
        Sample.UNAFFECTED: (f"{3:032x}",),
        Sample.REFERENCE: (f"{0:032x}",),
        Sample.RECOVERY: (f"{5:032x}",),
    }


def test_a_case_may_state_a_sample_of_its_own() -> None:
    requests = [_request(n, Window.CRIME, 504) for n in range(300)]
    requests += [_request(1000 + n, Window.REFERENCE, 201) for n in range(100)]
    chosen = choose(requests, SYMPTOM, {}, Observation(affected=200, controls=70))
    assert len(chosen[Sample.AFFECTED]) == 200
    assert len(chosen[Sample.REFERENCE]) == 70


def test_a_symptom_of_one_actor_and_tenant_leaves_all_others_out() -> None:
    """Neither affected nor controls: whom the briefing does not speak of is no yardstick."""
    symptom = replace(SYMPTOM, actor="wholesaler", tenant="acme")
    mine = replace(_request(1, Window.CRIME, 504), actor="wholesaler", tenant="acme")
    healthy = replace(mine, window=Window.REFERENCE, status=201, trace_id=f"{2:032x}")
    others = [
        replace(mine, actor="shopper"),
        replace(mine, tenant="birch"),
        replace(healthy, tenant="elm"),
    ]
    chosen = choose([mine, healthy, *others], symptom, {}, Observation())
    assert {name: ids for name, ids in _proven_by(chosen).items() if ids} == {
        Sample.AFFECTED: (f"{1:032x}",),
        Sample.REFERENCE: (f"{2:032x}",),
    }
    suffered = [symptom.is_affected(each, {}) for each in (mine, *others)]
    assert suffered == [True, False, False, False]


@pytest.mark.parametrize(
    ("status", "answer_bytes", "is_affected"),
    [(200, 24, True), (200, 200, False), (200, 3000, False), (502, 24, False), (0, 0, False)],
)
def test_a_good_answer_with_next_to_nothing_in_it_is_an_empty_one(
    status: int, answer_bytes: int, is_affected: bool
) -> None:
    """An error page is small as well, and is no empty page."""
    symptom = Symptom("GET /products", Harm.EMPTINESS, parse(">= 95%"), smaller_than_bytes=200)
    answered = _request(1, Window.CRIME, status, route="GET /products")
    assert symptom.is_affected(replace(answered, answer_bytes=answer_bytes), {}) is is_affected


def test_the_onset_is_always_in_the_sample() -> None:
    """The first affected requests meet warm pools, so all of them are taken."""
    requests = [_request(n, Window.CRIME, 504) for n in range(1, 1001)]
    affected = choose(reversed(requests), SYMPTOM, {}, Observation())[Sample.AFFECTED]
    assert len(affected) == MAX_AFFECTED
    assert affected[:ONSET] == tuple(f"{n:032x}" for n in range(1, ONSET + 1))
    assert int(affected[-1], 16) > 980


def test_controls_are_bounded() -> None:
    """No more than fifty of any control, however long the run."""
    requests = [_request(n, Window.REFERENCE, 201) for n in range(500)]
    assert len(choose(requests, SYMPTOM, {}, Observation())[Sample.REFERENCE]) == MAX_CONTROLS


@given(st.lists(st.text(), max_size=300, unique=True), st.integers(1, 60))
def test_an_even_choice_keeps_order_and_never_repeats(items: list[str], count: int) -> None:
    """Whatever the length, at most ``count`` different items come back, in order."""
    chosen = evenly(items, count)
    assert len(chosen) == min(count, len(items))
    positions = [items.index(item) for item in chosen]
    assert positions == sorted(set(positions))


TENANTS = ("acme", "birch", "cedar")


def _busy_shop() -> list[Request]:
    """Two windows of three tenants: purchases, declines, pages of two sizes, a few slow ones."""
    requests = []
    for n in range(600):
        window = Window.REFERENCE if n < 300 else Window.CRIME
        bought = _request(n, window, 201 if n % 40 else 400)
        looked = replace(
            bought, route="GET /products", status=200, answer_bytes=90_000 if n % 4 else 3_000
        )
        made = replace(bought if n % 3 else looked, tenant=TENANTS[n % 7 % 3])
        slow = window is Window.CRIME and n % 25 == 0
        requests.append(replace(made, latency_ms=900.0) if slow else made)
    failing = [
        replace(_request(1000 + n, Window.CRIME, 504), start_s=300.0 + 4 * n, tenant="acme")
        for n in range(70)
    ]
    return [*requests, *failing]


def _kept(requests: list[Request], window: Window) -> list[Request]:
    chosen = choose(requests, SYMPTOM, {}, Observation())
    ids = {trace_id for sample in chosen.values() for trace_id in sample}
    return [each for each in requests if each.trace_id in ids and each.window is window]


@pytest.mark.parametrize("window", [Window.REFERENCE, Window.CRIME])
def test_every_kind_of_request_of_a_window_can_be_looked_at(window: Window) -> None:
    """Each route, tenant, outcome, size of answer and slowness, some of each where there are."""
    requests = _busy_shop()
    for by in (
        lambda each: each.route,
        lambda each: (each.route, each.tenant),
        lambda each: (each.route, each.status),
        lambda each: (each.route, each.answer_bytes),
        lambda each: (each.route, each.latency_ms),
    ):
        there = Counter(by(each) for each in requests if each.window is window)
        kept = Counter(by(each) for each in _kept(requests, window))
        assert {key: min(FEW, count) for key, count in there.items()} == {
            key: min(FEW, count) for key, count in kept.items()
        }


def test_the_first_and_the_last_affected_are_kept() -> None:
    """When it began and when it ended can be seen, however many there were between."""
    requests = [_request(n, Window.CRIME, 504) for n in range(731)]
    affected = choose(requests, SYMPTOM, {}, Observation())[Sample.AFFECTED]
    assert (affected[0], affected[-1]) == (f"{0:032x}", f"{730:032x}")


def test_what_is_kept_beside_the_proof_is_bounded_and_no_part_of_it() -> None:
    """Half as many before as in the incident; the log alone decides, in whatever order it is."""
    requests = [
        replace(_request(n, Window.CRIME, 200, f"GET /{n % 90}"), latency_ms=float(2 ** (n % 9)))
        for n in range(900)
    ]
    requests += [replace(each, window=Window.REFERENCE, trace_id=f"{9000 + n:032x}")
                 for n, each in enumerate(requests)]  # fmt: skip
    requests += [_request(5000 + n, Window.CRIME, 504 if n % 2 else 201) for n in range(99)]
    chosen = choose(requests, SYMPTOM, {}, Observation(controls=40))
    assert len(chosen[Sample.OTHERS]) == 40
    assert len(chosen[Sample.OTHERS_BEFORE]) == 20
    asked = {trace_id for ids in _proven_by(chosen).values() for trace_id in ids}
    assert not asked & {*chosen[Sample.OTHERS], *chosen[Sample.OTHERS_BEFORE]}
    assert choose(reversed(requests), SYMPTOM, {}, Observation(controls=40)) == chosen


def test_of_what_was_burned_nothing_is_asked_for() -> None:
    """Also not to look round by: a search found only some of the incident's."""
    requests = _busy_shop()
    counts = {"kept": {each.trace_id: 1 for each in requests[::4]}}
    chosen = choose(requests, SYMPTOM, counts, Observation(kept="kept"))
    assert chosen[Sample.OTHERS]
    assert set(chosen[Sample.OTHERS]) <= counts["kept"].keys()
