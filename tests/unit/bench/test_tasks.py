"""Tasks of recorded cases: what is told, what is not, and that a seed decides all of it."""

from __future__ import annotations

import gzip
import json
from functools import cache

import pytest

from lab.bench.tasks import NAMES, PUBLIC_SEED, Task, tasks_of
from lab.domain.evidence import Sample
from lab.domain.load import Window
from lab.mcp.task_file import of_document
from tests.support.recorded_cases import recorded
from tests.support.spoilers import secrets_of

NAME = "slow-shelves"


@cache
def tasks(seed: int = PUBLIC_SEED) -> dict[str, Task]:
    return {each.answer["kind"]: each for each in tasks_of(recorded(NAME), seed)}


def test_a_case_makes_four_tasks_that_are_the_same_each_time() -> None:
    """Itself, a variant, and a healthy twin of each; of another seed all are others."""
    assert list(tasks()) == ["recorded", "recorded healthy", "variant", "variant healthy"]
    again = {each.answer["kind"]: each for each in tasks_of(recorded(NAME), PUBLIC_SEED)}
    assert again == tasks()
    ids = {each.task_id for seed in (PUBLIC_SEED, 7) for each in tasks(seed).values()}
    assert len(ids) == 8
    both = [json.dumps(tasks(seed)["recorded"].document["traces"]) for seed in (PUBLIC_SEED, 7)]
    assert both[0] != both[1]


@pytest.mark.parametrize("kind", list(tasks()))
def test_no_task_holds_anything_of_its_answer(kind: str) -> None:
    """Nor an id by which it could be looked up in the recording."""
    case, task = recorded(NAME), tasks()[kind]
    text = json.dumps(task.document)
    for secret in (*secrets_of(case), case.scenario.id, case.case_id):
        assert secret not in text
        assert json.dumps(secret)[1:-1] not in text
    old = {t.trace_id for t in case.evidence.traces.values()}
    old |= {span.span_id for trace in case.evidence.traces.values() for span in trace}
    assert not [each for each in old if each in text]


def test_an_answer_speaks_of_spans_that_are_there() -> None:
    """In the variant too, of which traces are left out; its culprit is not among them."""
    for kind in ("recorded", "variant"):
        task = tasks()[kind]
        kept = {
            (span["traceId"], span["spanId"])
            for document in task.document["traces"]
            for resource in document["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        }
        assert all(tuple(each) in kept for each in task.answer["oracle"]["spans"])
        assert all(tuple(each) in kept for each in task.answer["oracle"]["path"])
    sizes = {kind: len(each.document["traces"]) for kind, each in tasks().items()}
    assert 0.4 * sizes["recorded"] < sizes["variant"] < 0.8 * sizes["recorded"]


def test_a_variant_calls_every_service_otherwise() -> None:
    """In spans, in the message and in log lines alike; an operation keeps what else it says."""
    old = {span.service for trace in recorded(NAME).evidence.traces.values() for span in trace}
    dossier = of_document(tasks()["variant"].document)
    new = {span.service for trace in dossier.traces for span in trace}
    assert new <= set(NAMES)
    assert len(new) == len(old)
    assert {line.service for line in dossier.lines} <= set(NAMES)
    assert of_document(tasks()["recorded"].document).traces[0].spans[0].service in old


def test_a_healthy_twin_is_the_time_before_in_two_halves() -> None:
    """With as many windows as its case, the same message, and a customer of its own."""
    case = recorded(NAME)
    for kind in ("recorded", "variant"):
        dossier = of_document(tasks()[f"{kind} healthy"].document)
        sick = of_document(tasks()[kind].document)
        assert set(dossier.evidence.windows) == {Window.REFERENCE, Window.CRIME}
        assert set(sick.evidence.windows) == {Window.REFERENCE, Window.CRIME}
        before = sum(e.window is Window.REFERENCE for e in case.evidence.requests)
        assert len(dossier.requests) == before
        assert dossier.title == sick.title
        assert dossier.evidence.samples[Sample.REFERENCE]
        called = [each for each in dossier.evidence.traces if each in dossier.briefing]
        assert len(called) == 1
        assert dossier.period(dossier.evidence.traces[called[0]]) == "incident"


def test_times_are_moved_together() -> None:
    """So that a span lies where its request does."""
    case, dossier = recorded(NAME), of_document(tasks()["recorded"].document)
    old, new = case.evidence.windows[Window.CRIME], dossier.evidence.windows[Window.CRIME]
    assert abs(new.length_s - old.length_s) < 1e-3
    assert abs(new.start_s - old.start_s) > 1
    for trace in dossier.traces[:20]:
        request = dossier.requests[trace.trace_id]
        assert abs(trace.spans[0].start_ns / 1e9 - request.start_s) < 1.0
    lines = [each for each in dossier.lines if each.trace_id]
    assert all(line.window in {"before", "incident", None} for line in lines)


def test_a_task_is_small_enough_to_be_carried() -> None:
    """Compressed, well below a megabyte."""
    for task in tasks().values():
        assert len(gzip.compress(json.dumps(task.document).encode())) < 1_000_000
