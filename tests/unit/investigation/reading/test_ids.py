"""An id is understood at every door, however a backend writes it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from lab.adapters.cases.archive import FolderArchive
from lab.cli import app
from lab.domain import ids
from lab.domain.case import Case
from lab.domain.evidence import Evidence
from lab.domain.replay import Replay
from lab.domain.trace import Trace
from lab.errors import UsageError
from lab.investigation.reading.ids import resolve_span, resolve_trace
from lab.investigation.reading.pasted_links import resolve_paste
from tests.support.desk_over_memory import DeskUnderTest
from tests.support.sample_case import sample_case, span_id

OLD = "01bb" * 8
CULPRIT = span_id(OLD, 6)
CASE = sample_case()
TELLING = settings(
    max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


def hex_ids(digits: int, most_zeros: int) -> st.SearchStrategy[str]:
    """Whole ids, every other with leading zeros."""
    zeros = st.one_of(st.just(0), st.integers(1, most_zeros))
    number = st.integers(16 ** (digits - 1), 16**digits - 1).map(f"{{:0{digits}x}}".format)
    return st.tuples(zeros, number).map(lambda both: ("0" * both[0] + both[1])[:digits])


def case_with(trace_id: str, culprit: str) -> Case:
    """The sample case, whose culprit's trace and span are called so."""
    names = {span.span_id: span.span_id for span in CASE.evidence.traces[OLD]} | {CULPRIT: culprit}
    spans = tuple(
        replace(
            span,
            trace_id=trace_id,
            span_id=names[span.span_id],
            parent_id=span.parent_id and names[span.parent_id],
        )
        for span in CASE.evidence.traces[OLD]
    )
    traces = {key: each for key, each in CASE.evidence.traces.items() if key != OLD}
    samples = {
        sample: tuple(trace_id if each == OLD else each for each in found)
        for sample, found in CASE.evidence.samples.items()
    }
    requests = tuple(
        replace(each, trace_id=trace_id) if each.trace_id == OLD else each
        for each in CASE.evidence.requests
    )
    evidence = replace(
        CASE.evidence,
        traces={**traces, trace_id: Trace(trace_id, spans)},
        samples=samples,
        requests=requests,
    )
    return replace(CASE, evidence=evidence)


def written(whole: str) -> tuple[str, ...]:
    """An id as backends write it: whole, without zeros, in capitals, as Datadog's decimal."""
    bare = whole.lstrip("0")
    return (whole, bare, whole.upper(), bare[:10] + "…", str(int(whole[-16:], 16)))


def addresses(trace: str, span: str) -> tuple[str, ...]:
    """Every address that names both."""
    one = {"queries": [{"query": "{ status = error }"}], "panelsState": {}}
    other = {"queries": [{"query": trace}], "panelsState": {"trace": {"spanId": span}}}
    without = {"queries": [{"query": trace}]}
    panes = quote(json.dumps({"a": one, "b": without, "c": other}))
    sides = f"left={quote(json.dumps(without))}&right={quote(json.dumps(other))}"
    return (
        f"http://127.0.0.1:16686/trace/{trace}?uiFind={span}",
        f"https://app.datadoghq.com/apm/trace/{trace}?colorBy=service&spanID={span}&timeHint=1",
        f"http://127.0.0.1:3000/explore?schemaVersion=1&panes={panes}&orgId=1",
        f"http://127.0.0.1:3000/explore?{sides}",
        f"http://127.0.0.1:18123/cases/db-timeout-1/traces/{trace}?span={span}",
        f"http://127.0.0.1:18123/cases/db-timeout-1/traces/{trace}/spans/{span}",
        f"http://127.0.0.1:18123/accuse?trace_id={trace}&span_id={span}",
        f"{trace} {span}",
        f"{trace},{span}",
    )


LOW = st.integers(10**12, 2**64 - 1).map("{:016x}".format)
TRACES = st.tuples(hex_ids(16, 16), LOW).map("".join)
"""Of the lower 64 bits enough that their decimal is nobody's beginning."""

SPANS = hex_ids(16, 6)


@TELLING
@given(trace=TRACES, span=SPANS)
@example(trace="0" + "a" * 31, span="0" + "b" * 15)
@example(trace="0" * 16 + "1234567890123456", span="1234567890123456")
def test_every_paste_is_understood(trace: str, span: str) -> None:
    """However each of its two ids is written, and wherever it was copied."""
    assume(span not in {each.span_id for each in CASE.evidence.traces[OLD]})
    evidence = case_with(trace, span).evidence
    for one, other in zip(written(trace), written(span), strict=True):
        if "…" in one:
            continue
        for paste in addresses(one, other):
            found, suspect = resolve_paste(evidence, paste)
            assert (found.trace_id, suspect and suspect.span_id) == (trace, span), paste


@TELLING
@given(trace=TRACES, span=SPANS)
def test_so_is_each_at_the_terminal(
    tmp_path_factory: pytest.TempPathFactory, trace: str, span: str
) -> None:
    """`trace`, `twin`, and `accuse` with two arguments or with both in one."""
    folder = tmp_path_factory.mktemp("state")
    FolderArchive(folder / "cases").seal(case_with(trace, span))
    environment = {"LAB_STATE_DIR": str(folder)}

    def lab(*words: str) -> str:
        done = CliRunner().invoke(app, words, env=environment)
        assert done.exit_code == 0, (words, done.output)
        return done.output

    for one, other in zip(written(trace), written(span), strict=True):
        for words in ((one, other), (f"{one} {other}",)):
            assert "SOLVED" in lab("accuse", *words, "--mechanism", "timeout"), words
        assert trace in lab("trace", one, "--json")
        assert trace in lab("twin", one, "--json")


@TELLING
@given(trace=TRACES, span=SPANS)
def test_so_is_each_at_the_desk(
    tmp_path_factory: pytest.TempPathFactory, trace: str, span: str
) -> None:
    """In addresses of pages and of the API, in the box and in an accusation by JSON."""
    desk = DeskUnderTest(tmp_path_factory.mktemp("desk"), case_with(trace, span))
    page = f"/cases/db-timeout-1/traces/{trace}"
    for one, other in zip(written(trace), written(span), strict=True):
        here = quote(one)
        shown = desk.get(f"/cases/db-timeout-1/traces/{here}", params={"span": other})
        assert (shown.status_code, shown.url.path) == (200, page)
        assert shown.url.params["span"] == span
        for more in ("", "/waterfall", "/twin"):
            answer = desk.get(f"/api/v1/cases/db-timeout-1/traces/{here}{more}")
            assert answer.status_code == 200, (one, more)
        assert (
            desk.get(f"/cases/db-timeout-1/traces/{here}/spans/{quote(other)}").status_code == 200
        )
        asked = desk.get("/accuse", params={"suspect": f"{one} {other}"})
        assert asked.status_code == 200, one
        assert span in asked.text
        body = {"suspects": [f"{one} {other}"], "mechanism": "timeout"}
        judged = desk.post("/api/v1/cases/db-timeout-1/accusations", json=body)
        assert judged.json()["verdict"] == "solved", (one, judged.text)


@TELLING
@given(salt=st.binary(min_size=16, max_size=16).map(bytes.hex), trace=TRACES, span=SPANS)
def test_so_is_what_a_replay_made_of_them(salt: str, trace: str, span: str) -> None:
    """The way back from a backend that writes the new ids in its own manner."""
    evidence = case_with(trace, span).evidence
    replay = Replay(salt, 0)
    new_trace, new_span = replay.trace_id(trace), replay.span_id(trace, span)
    for one, other in zip(written(new_trace), written(new_span), strict=True):
        found = resolve_trace(evidence, one, [replay])
        assert (found.trace_id, resolve_span(found, other, [replay]).span_id) == (trace, span)


def evidence_of(*trace_ids: str) -> Evidence:
    traces = {each: Trace(each, ()) for each in trace_ids}
    return replace(CASE.evidence, traces=traces, requests=(), samples={})


def test_a_short_form_of_two_is_refused_with_both() -> None:
    """One begins so, the other does without its zero: nobody can say which was meant."""
    short, one, other = "abc", "0abc" + "1" * 28, "abc2" + "2" * 28
    with pytest.raises(UsageError, match="expected one trace, got 'abc', and 2 begin so") as caught:
        resolve_trace(evidence_of(one, other), short)
    assert one in str(caught.value)
    assert other in str(caught.value)
    assert resolve_trace(evidence_of(one, other), "0abc").trace_id == one
    assert resolve_trace(evidence_of(one, other), "abc2").trace_id == other


def test_a_whole_id_means_itself() -> None:
    """Also where another is the same without its zeros."""
    one, other = "0" * 16 + "a" * 16, "a" * 16
    assert ids.meant(other, (one, other)) == (other,)
    assert ids.meant(one, (one, other)) == (one,)


def test_a_decimal_is_one_only_where_no_digits_of_ids_are() -> None:
    """Datadog's 64 bits are the lower half, and 20 digits at most."""
    decimal = "0" * 16 + f"{12345678:016x}"
    assert ids.meant("12345678", (decimal,)) == (decimal,)
    assert ids.meant("12345678", (decimal, "12345678" + "f" * 24)) == ("12345678" + "f" * 24,)
    assert ids.meant("9" * 21, (decimal,)) == ()
    assert ids.meant("0", ("f" * 16 + "0" * 16,)) == ()


@pytest.mark.parametrize("sought", ["", "SELECT", "http.status=500", "bad", "error%20db"])
def test_a_word_sought_in_jaeger_is_no_span(sought: str) -> None:
    """Then only the trace is named."""
    found, span = resolve_paste(
        CASE.evidence, f"http://127.0.0.1:16686/trace/{OLD}?uiFind={sought}"
    )
    assert (found.trace_id, span) == (OLD, None)


def test_what_is_accused_is_told_apart_argument_by_argument(tmp_path: Path) -> None:
    """An address beside two ids; half of a pair is refused."""
    FolderArchive(tmp_path / "cases").seal(CASE)
    environment = {"LAB_STATE_DIR": str(tmp_path)}
    words = ["accuse", "db-timeout-1", f"{OLD} {CULPRIT}", OLD, "--mechanism", "timeout"]
    refused = CliRunner().invoke(app, words, env=environment)
    assert isinstance(refused.exception, UsageError)
    assert "expected pairs of TRACE SPAN" in str(refused.exception)
