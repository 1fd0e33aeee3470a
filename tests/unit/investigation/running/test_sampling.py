from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.domain.bound import parse
from lab.domain.evidence import Sample
from lab.domain.load import Request, Window
from lab.domain.observation import MAX_AFFECTED, MAX_CONTROLS, Observation
from lab.domain.symptom import Harm, Symptom
from lab.investigation.running.sampling import ONSET, choose, evenly

SYMPTOM = Symptom("POST /checkout", Harm.ERROR, parse(">= 95%"))


def _request(n: int, window: Window, status: int, route: str = "POST /checkout") -> Request:
    return Request(window, float(n), float(n), 5.0, "shopper", route, "birch", status, f"{n:032x}")


def test_samples_follow_window_route_and_outcome() -> None:
    """Affected are the failed ones of the crime; other routes and transitions are nobody's."""
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
    assert choose(requests, SYMPTOM, counts, Observation(kept="kept")) == {
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
    assert {name: ids for name, ids in chosen.items() if ids} == {
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
