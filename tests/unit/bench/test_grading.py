"""The grader: it says what the judge says, and each way to be wrong scores what it should."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from lab.bench.grading import Unreadable, check, grade, nothing_said, verdict
from lab.bench.tasks import Task, answer_of, tasks_of
from lab.domain.accusation import Accusation
from lab.domain.case import Case
from lab.domain.mechanism import Mechanism, Scope
from lab.investigation.solving.judge import judge
from tests.support.recorded_cases import RECORDINGS, recorded

TRIED = 20
"""Accusations of each case."""

Found = dict[str, Any]


def said(**more: Any) -> Found:
    return check({"format": "deadspan-accusation-1", **more})


def as_file(accusation: Accusation) -> Found:
    return said(
        nobody=accusation.nobody,
        spans=[list(pair) for pair in accusation.spans],
        mechanisms=[each.value for each in accusation.mechanisms],
        scope=accusation.scope.value if accusation.scope else None,
    )


def tries(case: Case, answer: Found) -> list[Accusation]:
    """Culprits, those that look guilty, anybody, pairs of them, and nobody."""
    dice = random.Random(case.scenario.id)
    guilty = [(t, s) for t, spans in answer["guilty"].items() for s in spans]
    suspects = [(t, s) for t, spans in answer["acquitted"].items() for s in spans]
    anybody = [(t.trace_id, s.span_id) for t in case.evidence.traces.values() for s in t]
    own = case.scenario.truth.mechanism
    found = [Accusation((), (), nobody=True), Accusation((), (own,), nobody=True)]
    for pool in (guilty, suspects, anybody, [*guilty, *suspects, *dice.sample(anybody, 15)]):
        for _ in range(TRIED // 4 if pool else 0):
            pairs = tuple(dice.sample(pool, min(dice.choice((1, 1, 2)), len(pool))))
            how = tuple(dice.choice((own, *Mechanism)) for _ in pairs)
            found.append(Accusation(pairs, how, scope=dice.choice((None, *Scope))))
    return [*found, Accusation((("f" * 32, "f" * 16),), (own,))]


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_grader_says_what_the_judge_says(name: str) -> None:
    """Class by class, on every recorded case."""
    case = recorded(name)
    answer = answer_of(case)
    known = {(t.trace_id, s.span_id) for t in case.evidence.traces.values() for s in t}
    for accusation in tries(case, answer):
        judged = judge(case.scenario, case.evidence, accusation).verdict.value
        assert verdict(as_file(accusation), answer, known) == judged, accusation


@cache
def tasks(name: str) -> Mapping[str, Task]:
    return {each.answer["kind"]: each for each in tasks_of(recorded(name), 1)}


def scores(task: Task, **accusation: Any) -> Found:
    return grade(said(**accusation), task.answer, task.document)


@pytest.mark.parametrize("name", ["db-timeout", "charged-twice", "locked-drawer", "card-declined"])
def test_the_oracle_scores_everything_in_all_four_tasks(name: str) -> None:
    """One culprit, two, one in a trace of its own, and nobody."""
    for kind, task in tasks(name).items():
        found = grade(check(task.answer["oracle"]), task.answer, task.document)
        wanted = {"solved", "right_span", "right_mechanism", "right_scope", "path_named"}
        assert {found[key] for key in wanted} <= {1.0, None}, kind
        assert found["solved"] == 1.0
        assert found["evidence_shown"] == found["evidence_cited"]
        assert task.answer["nobody"] is (kind.endswith("healthy") or name == "card-declined")


def test_who_says_nothing_scores_nothing() -> None:
    """Neither a solution nor a false accusation."""
    for task in tasks("db-timeout").values():
        found = nothing_said(task.answer)
        assert (found["verdict"], found["solved"]) == ("none", 0.0)
        assert found["false_accusation"] in {None, 0.0}


def test_each_mutant_scores_what_it_should() -> None:
    """Of a case with one culprit: who is near the answer gets what is right of it, and no more."""
    task = tasks("db-timeout")["recorded"]
    answer, oracle = task.answer, task.answer["oracle"]
    [[trace, culprit]] = oracle["spans"]
    spans = {
        span["spanId"]: resource["resource"]["attributes"]
        for document in task.document["traces"]
        for resource in document["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
        if span["traceId"] == trace
    }
    own = json.dumps(spans[culprit])
    neighbour = next(
        s for s, of in spans.items() if json.dumps(of) == own and s not in answer["guilty"][trace]
    )
    decoy = next(s for s, how in answer["acquitted"][trace].items() if s != neighbour)
    claim = {"mechanisms": oracle["mechanisms"], "scope": oracle["scope"]}
    everything = [[trace, each] for each in spans]

    def row(**accusation: Any) -> tuple[Any, ...]:
        found = scores(task, **accusation)
        keys = ("solved", "right_span", "right_mechanism", "path_named")
        return (found["verdict"], *(found[key] for key in keys))

    assert row(spans=[[trace, culprit]], **claim) == ("solved", 1.0, 1.0, 1.0, 0.0)
    wrong = {**claim, "mechanisms": ["latency"]}
    assert row(spans=[[trace, culprit]], **wrong) == ("close", 0.0, 1.0, 0.0, 0.0)
    assert row(spans=[[trace, culprit]], mechanisms=[])[1:4] == (0.0, 1.0, 0.0)
    assert row(spans=[[trace, neighbour]], **claim)[1:] == (0.0, 0.0, 0.0, 0.0)
    assert row(spans=[[trace, decoy]], **claim)[1:] == (0.0, 0.0, 0.0, 0.0)
    assert row(spans=everything, **claim)[1:] == (0.0, 0.0, 0.0, 0.0)
    assert row(spans=[["0" * 32, culprit]], **claim) == ("unknown-trace", 0.0, 0.0, 0.0, 0.0)
    assert row(nobody=True) == ("somebody", 0.0, 0.0, 0.0, 0.0)


def test_half_of_two_is_close() -> None:
    """Both parties are asked for."""
    task = tasks("charged-twice")["variant"]
    oracle = task.answer["oracle"]
    found = scores(
        task, spans=oracle["spans"][:1], mechanisms=oracle["mechanisms"][:1], scope=oracle["scope"]
    )
    assert (found["verdict"], found["right_span"], found["solved"]) == ("close", 1.0, 0.0)


def test_in_a_healthy_twin_every_accusation_is_false() -> None:
    """And nobody is right."""
    task = tasks("db-timeout")["variant healthy"]
    trace = task.document["traces"][0]["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    pair = [trace["traceId"], trace["spanId"]]
    found = scores(task, spans=[pair], mechanisms=["timeout"])
    assert (found["solved"], found["false_accusation"], found["right_span"]) == (0.0, 1.0, None)
    assert scores(task, nobody=True)["solved"] == 1.0
    assert scores(task, nobody=True, mechanisms=["business-rejection"])["verdict"] == "close"
    assert scores(task, nobody=True, spans=[pair])["solved"] == 0.0


def test_a_path_goes_from_the_edge_through_every_service() -> None:
    """Spans inside a service may be left out, in between; order, ends and services may not."""
    task = tasks("db-timeout")["recorded"]
    oracle = task.answer["oracle"]
    [[trace, culprit]] = oracle["spans"]
    way = [tuple(each) for each in task.answer["guilty"][trace][culprit]["path"]]
    claim = {"spans": oracle["spans"], "mechanisms": oracle["mechanisms"]}
    whole = [list(each[:2]) for each in way]
    sparse = [
        each for n, each in enumerate(whole) if n in {0, len(way) - 1} or way[n][2] != way[n - 1][2]
    ]
    assert len({each[2] for each in way}) > 2
    last_service = way[-1][2]
    lacking = [e for e, of in zip(whole, way, strict=True) if of[2] == last_service]
    for path, is_right in (
        (whole, 1.0),
        (sparse, 1.0),
        ([], 0.0),
        (whole[::-1], 0.0),
        (whole[1:], 0.0),
        (whole[:-1], 0.0),
        (lacking, 0.0),
        ([*whole, ["0" * 32, "0" * 16]], 0.0),
        ([whole[0], *whole], 0.0),
    ):
        assert scores(task, path=path, **claim)["path_named"] == is_right, path


def test_evidence_is_looked_up_again() -> None:
    """Each claim is borne out by its span, or it is not; and an empty one claims nothing."""
    task = tasks("db-timeout")["recorded"]
    [claim] = task.answer["oracle"]["evidence"]
    right = claim["shows"]
    for shows, is_shown in (
        (right, 1),
        ({**right, "duration_ms": right["duration_ms"] * 1.01}, 1),
        ({**right, "duration_ms": right["duration_ms"] * 1.5}, 0),
        ({**right, "status": "ok"}, 0),
        ({"operation": "something else"}, 0),
        ({"duration_ms": "1000"}, 0),
        ({"attributes": {"no.such": "thing"}}, 0),
        ({"exception": "NoSuchError"}, 0),
        ({"self_ms": -1.0}, 0),
        ({"mood": "bad"}, 0),
        ({}, 0),
    ):
        found = scores(task, nobody=True, evidence=[{**claim, "shows": shows}])
        assert (found["evidence_cited"], found["evidence_shown"]) == (1, is_shown), shows
    stranger = {**claim, "span_id": "0" * 16}
    assert scores(task, nobody=True, evidence=[stranger])["evidence_shown"] == 0


def test_every_problem_of_an_accusation_is_told() -> None:
    """It is not read at all then."""
    wrong = {
        "format": "other",
        "spans": [["one"]],
        "path": "none",
        "mechanisms": [1],
        "nobody": "yes",
        "scope": 1,
        "evidence": [{}],
        "calls": -1,
        "seconds": "fast",
        "truth": "mine",
    }
    with pytest.raises(Unreadable) as caught:
        check(wrong)
    for key in wrong:
        assert f"{key}: expected" in str(caught.value)
    with pytest.raises(Unreadable, match="expected an object"):
        check([])
