"""Whatever answers at Tempo's port: a clear error, or as much of the truth as it holds."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import gzip
import io
import json
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from lab.adapters.cases.archive import FolderArchive
from lab.adapters.clock import SystemClock
from lab.adapters.otlp.traces import MOST_SPANS, read_traces, trace_to_otlp
from lab.adapters.store_http import MOST_BYTES
from lab.adapters.tempo import TempoStore
from lab.domain.accusation import Accusation
from lab.domain.case import Case
from lab.domain.evidence import Evidence, Sample
from lab.domain.mechanism import Mechanism
from lab.domain.proof import ProofVerdict
from lab.domain.trace import Trace
from lab.domain.verdict import VerdictClass
from lab.errors import TraceStoreError
from lab.investigation.proof.prove import explain, pick_support_code, prove
from lab.investigation.running.collect import collect
from lab.investigation.solving.judge import judge
from lab.terminal.trace_tree import trace_tree
from tests.support.fuzz import fuzz
from tests.support.sample_case import fatal_trace, sample_case

CASE = sample_case()
AFFECTED = CASE.evidence.samples[Sample.AFFECTED]
TRACE_ID = AFFECTED[0]
OTHER_ID = "ef" * 16
FEW_SECONDS = 60.0
"""What no answer may cost, on however busy a machine; the worst takes 4 s on a calm one."""


def answering(
    content: bytes | str, status: int = 200, headers: Mapping[str, str] | None = None
) -> Callable[[httpx.Request], httpx.Response]:
    """Gives this answer to every question."""
    return lambda _: httpx.Response(status, content=content, headers=headers)


def ask(answer: Callable[[httpx.Request], httpx.Response], **options: Any) -> Trace | None:
    """What the store makes of ``answer`` when it is asked for `TRACE_ID`."""

    async def fetch() -> Trace | None:
        transport = httpx.MockTransport(answer)
        async with TempoStore("http://tempo", transport=transport, **options) as store:
            return await store.trace(TRACE_ID)

    return asyncio.run(fetch())


def refusal(answer: Callable[[httpx.Request], httpx.Response], **options: Any) -> str:
    """Why the store does not take ``answer``."""
    with pytest.raises(TraceStoreError) as refused:
        ask(answer, **options)
    assert len(str(refused.value)) < 800
    return str(refused.value)


def span(number: int, parent: int | str | None = None, **changes: Any) -> dict[str, Any]:
    """One span as Tempo writes it; a field set to ``...`` is left out."""
    named = f"{parent:016x}" if isinstance(parent, int) else parent
    given = {
        "traceId": TRACE_ID,
        "spanId": f"{number:016x}",
        "parentSpanId": named or "",
        "name": "SELECT",
        "kind": "SPAN_KIND_CLIENT",
        "startTimeUnixNano": "1700000020000000000",
        "endTimeUnixNano": "1700000021001000000",
        "status": {"code": "STATUS_CODE_ERROR"},
        **changes,
    }
    return {key: value for key, value in given.items() if value is not ...}


def document(*spans: Any) -> dict[str, Any]:
    """Tempo's answer with these spans, all of them auth's."""
    name = {"key": "service.name", "value": {"stringValue": "auth"}}
    scopes = [{"spans": list(spans)}]
    return {
        "trace": {"resourceSpans": [{"resource": {"attributes": [name]}, "scopeSpans": scopes}]}
    }


def read(*spans: Any) -> Trace:
    """The trace that Tempo's answer with these spans is taken for."""
    found = ask(answering(json.dumps(document(*spans))))
    assert found is not None
    return found


def with_trace(trace: Trace) -> Case:
    """The sample case, one of whose affected traces is this one."""
    traces = {**CASE.evidence.traces, trace.trace_id: trace}
    return dataclasses.replace(CASE, evidence=dataclasses.replace(CASE.evidence, traces=traces))


def use(trace: Trace) -> None:
    """Do with a trace all that the lab ever does; it ends, and soon."""
    case, began = with_trace(trace), time.monotonic()
    prove(case.scenario, case.evidence)
    explain(case.scenario, case.evidence)
    pick_support_code(case.scenario, case.evidence)
    for each in trace.spans[:3]:
        accusation = Accusation(((trace.trace_id, each.span_id),), (Mechanism.TIMEOUT,))
        assert judge(case.scenario, case.evidence, accusation).text
    drawing = io.StringIO()
    Console(file=drawing, width=100).print(trace_tree(trace, case.evidence, attributes=True))
    assert "\x1b" not in drawing.getvalue()
    drawing.getvalue().encode()
    again = read_traces(json.loads(json.dumps(trace_to_otlp(trace))))
    # Written as text because NaN is no equal of itself.
    assert repr(again) == repr({trace.trace_id: trace} if trace.spans else {})
    assert time.monotonic() - began < FEW_SECONDS


# --- any answer --------------------------------------------------------------------------

texts = st.text(max_size=8) | st.sampled_from(["\ud800", "\x1b[2J", "[red]", "a" * 3000, "\u202e"])


def pairs(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({"key": texts, "value": value})


int64s = st.integers(-(2**63), 2**63 - 1)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none() | st.just({}),
        st.fixed_dictionaries({"stringValue": texts}),
        st.fixed_dictionaries({"bytesValue": st.sampled_from(["", "AAE="])}),
        st.fixed_dictionaries({"boolValue": st.booleans()}),
        st.fixed_dictionaries({"intValue": int64s | int64s.map(str)}),
        st.fixed_dictionaries({"doubleValue": st.floats() | st.sampled_from(["NaN", "-Infinity"])}),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda found: {"arrayValue": {"values": found}}),
        st.lists(pairs(inner), max_size=3).map(lambda found: {"kvlistValue": {"values": found}}),
    ),
    max_leaves=6,
)


attributes = st.none() | st.lists(pairs(values), max_size=3)
events = st.fixed_dictionaries(
    {"name": st.sampled_from(["exception", "retry"]), "attributes": attributes}
)
sound_spans = st.builds(
    span,
    st.integers(1, 6),
    st.none() | st.integers(1, 8),
    traceId=st.sampled_from([TRACE_ID] * 4 + [TRACE_ID.upper(), OTHER_ID]),
    name=texts,
    kind=st.integers(0, 5) | st.sampled_from(["SPAN_KIND_SERVER", None, ...]),
    startTimeUnixNano=st.integers(0, 2**64 - 1).map(str) | st.just(...),
    endTimeUnixNano=st.integers(0, 2**64 - 1),
    status=st.none() | st.fixed_dictionaries({"code": st.integers(0, 2), "message": texts}),
    attributes=attributes,
    events=st.none() | st.lists(events, max_size=2),
    links=st.none() | st.just([{"traceId": OTHER_ID, "spanId": "ab" * 8}]),
)
FIELDS = (
    "traceId",
    "spanId",
    "parentSpanId",
    "name",
    "kind",
    "startTimeUnixNano",
    "status",
    "events",
)
JUNK: tuple[Any, ...] = (
    "", "zz", "A" * 16, "0" * 16, "ab" * 40, "soon", "9" * 5000, "AAAA", "SPAN_KIND_ACTOR",
    -1, 0, 9, 1.5, 1e300, 2**70, True, None, [], {}, [[]], [None], [3], {"code": 7}, {"a": {}},
)  # fmt: skip


@fuzz(100)
@given(st.lists(sound_spans, min_size=1, max_size=6))
def test_whatever_otlp_allows_is_reasoned_about(found: list[dict[str, Any]]) -> None:
    """Every type of value, missing fields, other traces' spans, tangled parents, absurd times."""
    found[0]["traceId"] = TRACE_ID
    use(read(*found))


@fuzz(150)
@given(
    st.lists(sound_spans, min_size=1, max_size=3),
    st.lists(st.tuples(st.sampled_from(FIELDS), st.sampled_from(JUNK)), min_size=1, max_size=2),
)
def test_what_otlp_forbids_is_one_error_or_a_smaller_truth(
    found: list[dict[str, Any]], wrong: list[tuple[str, Any]]
) -> None:
    """A field that cannot be meant is refused; one that can be, is used like any other."""
    found[0].update(wrong)
    with contextlib.suppress(TraceStoreError):
        trace = ask(answering(json.dumps(document(*found))))
        use(trace or Trace(TRACE_ID, ()))


def test_an_answer_cut_anywhere_is_an_error() -> None:
    """No beginning of an answer passes for the whole of it."""
    for end in range(0, len(WHOLE), 7):
        assert "expected" in refusal(answering(WHOLE[:end]))


@fuzz(60)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 7), st.none() | st.integers(1, 9), st.integers(0, 90), st.integers(0, 90)
        ),
        min_size=1,
        max_size=9,
    )
)
def test_any_tangle_of_parents_and_clocks_is_reasoned_about(
    shape: list[tuple[int, int | None, int, int]],
) -> None:
    """Cycles, orphans, several roots, duplicates, children before parents, ends before starts."""
    trace = read(
        *(
            span(n, parent, startTimeUnixNano=str(start), endTimeUnixNano=str(end))
            for n, parent, start, end in shape
        )
    )
    use(trace)
    named = {n: parent for n, parent, *_ in reversed(shape)}
    if any(n in ancestry(named, n) for n in named):
        assert not trace.is_whole


def ancestry(parents: dict[int, int | None], start: int) -> set[int | None]:
    """All that ``start`` stands below, itself too where it stands on a cycle."""
    found: set[int | None] = set()
    current = parents.get(start)
    while current is not None and current not in found:
        found.add(current)
        current = parents.get(current)
    return found


# --- named answers -----------------------------------------------------------------------

WHOLE = json.dumps(document(span(1), span(2, 1)))
ANSWERS: dict[str, tuple[Callable[[httpx.Request], httpx.Response], str]] = {
    "cut short": (answering(WHOLE[:-20]), "expected JSON"),
    "nothing": (answering(b""), "expected JSON"),
    "a page of HTML": (answering("<html>It works!</html>"), "expected JSON"),
    "a page in no charset": (
        answering("<html>", headers={"Content-Type": "text/html; charset=hex"}),
        "expected JSON",
    ),
    "a page of HTML and 502": (answering("<html>Bad gateway", 502), "expected 200, found 502"),
    "an error of Tempo's": (answering('{"error": "ring"}', 500), "expected 200, found 500"),
    "no content": (answering(b"", 204), "expected 200, found 204"),
    "a list": (answering("[]"), "expected a trace"),
    "a text": (answering('"ok"'), "expected a trace"),
    "null": (answering("null"), "expected a trace"),
    "no UTF-8": (answering(b'{"trace": "\xff"}'), "expected JSON"),
    "bottomless JSON": (answering("[" * 100_000), "nested less deeply"),
    "a number of 5000 digits": (answering("9" * 5000), "expected JSON"),
    "spans of another trace": (
        answering(json.dumps(document(span(1, traceId=OTHER_ID)))),
        f"expected spans of the trace asked for, got {OTHER_ID}",
    ),
    "an id too long": (
        answering(json.dumps(document(span(1, traceId="ab" * 17)))),
        "32 hex digits",
    ),
    "an id too short": (answering(json.dumps(document(span(1, spanId="abcd")))), "16 hex"),
    "no id": (answering(json.dumps(document(span(1, spanId=...)))), "an id of 8 bytes"),
    "an id of zeros": (answering(json.dumps(document(span(0)))), "not all zero"),
    "an unknown kind": (answering(json.dumps(document(span(1, kind=9)))), "SPAN_KIND_UNSPECIFIED"),
    "time before 1970": (
        answering(json.dumps(document(span(1, startTimeUnixNano="-1")))),
        "expected nanoseconds since 1970",
    ),
    "100,000 spans": (
        answering(json.dumps(document(*(span(n + 1, n) for n in range(100_000))))),
        f"an answer of more than {MOST_BYTES // 2**20} MiB",
    ),
    "100,000 short spans": (
        answering(
            json.dumps(
                document(*({"traceId": TRACE_ID, "spanId": f"{n:016x}"} for n in range(1, 100_001)))
            )
        ),
        f"at most {MOST_SPANS} spans",
    ),
    "a chain of 10,000 spans": (
        answering(json.dumps(document(*(span(n + 1, n, name=...) for n in range(MOST_SPANS))))),
        "at most 500 spans below each other",
    ),
    "a packed bomb": (
        answering(
            gzip.compress(gzip.compress(b"[" + b"0," * 2**22)),
            headers={"Content-Encoding": "gzip, gzip"},
        ),
        "an answer packed as 'gzip, gzip', which was not asked for",
    ),
    "packed rubbish": (answering(b"rubbish", headers={"Content-Encoding": "br"}), "packed as 'br'"),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_what_tempo_never_says_is_refused_in_so_many_words(what: str) -> None:
    """Each names the place that was asked, what was expected and what came, and soon."""
    answer, says = ANSWERS[what]
    began = time.monotonic()
    said = refusal(answer, deadline_s=FEW_SECONDS)
    assert says in said
    assert "http://tempo" in said
    assert time.monotonic() - began < FEW_SECONDS


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_an_answer_without_end_costs_no_more_than_the_limit(packed: bool) -> None:
    """Bytes that keep coming are refused while they stream, long before the memory is full."""

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            # Far beyond the limit, and not beyond the memory of whoever breaks it.
            for _ in range(16):
                yield b" " * (MOST_BYTES // 4)

    headers = {"Content-Encoding": "gzip"} if packed else {}
    tracemalloc.start()
    try:
        said = refusal(
            lambda _: httpx.Response(200, stream=Endless(), headers=headers), deadline_s=FEW_SECONDS
        )
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "packed as 'gzip'" in said if packed else "more than 16 MiB" in said
    assert most_bytes < 4 * MOST_BYTES


def test_a_tempo_that_takes_the_question_and_says_nothing_meets_the_deadline() -> None:
    """A connection that is accepted and never answered is given up."""

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.sleep(FEW_SECONDS)
        finally:
            writer.close()

    async def story() -> None:
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        async with TempoStore(url, deadline_s=0.3, search_deadline_s=0.3) as store:
            for question in (
                store.trace(TRACE_ID),
                store.search("{}", start_s=0, end_s=1),
                store.spans_received(),
            ):
                with pytest.raises(TraceStoreError, match=r"no answer within 0\.3 s"):
                    await question
        server.close()

    began = time.monotonic()
    asyncio.run(story())
    assert time.monotonic() - began < FEW_SECONDS / 2


FOUND: dict[str, str] = {
    "no list": '{"traces": 3}',
    "no traces": '{"traces": [3]}',
    "no id": '{"traces": [{}]}',
    "a number": '{"traces": [{"traceID": 7}]}',
    "a path": '{"traces": [{"traceID": "../../metrics"}]}',
    "an id too long": f'{{"traces": [{{"traceID": "{"a" * 33}"}}]}}',
    "cut short": '{"traces": [{"traceID": "ab',
    "a list": "[]",
}


@pytest.mark.parametrize("what", FOUND)
def test_a_search_answers_with_ids_or_not_at_all(what: str) -> None:
    """What is no id of a trace is never asked for later."""

    async def search() -> frozenset[str]:
        transport = httpx.MockTransport(answering(FOUND[what]))
        async with TempoStore("http://tempo", transport=transport) as store:
            return await store.search("{}", start_s=0, end_s=1)

    with pytest.raises(TraceStoreError, match=r"GET http://tempo/api/search.*expected"):
        asyncio.run(search())


@pytest.mark.parametrize(
    "page",
    [
        "<html>It works!</html>",
        "",
        "otelcol_receiver_accepted_spans_total 7\n",
        "tempo_distributor_spans_received_total NaN\n",
        "tempo_distributor_spans_received_total +Inf\n",
        "tempo_distributor_spans_received_total many\n",
    ],
)
def test_a_page_that_is_no_counter_of_tempo_s_is_not_zero(page: str) -> None:
    """An unreadable count must not look like a store in which nothing moves."""

    async def count() -> int:
        transport = httpx.MockTransport(answering(page))
        async with TempoStore("http://tempo", transport=transport) as store:
            return await store.spans_received()

    with pytest.raises(TraceStoreError, match=r"GET http://tempo/metrics: expected"):
        asyncio.run(count())


def test_a_page_of_counters_without_end_is_read_in_time() -> None:
    """A label list that never closes is no trap for whoever looks for its end."""
    page = "tempo_distributor_spans_received_total{x\n"
    page = (page * (2**20 // len(page))) + "tempo_distributor_spans_received_total 7\n"

    async def count() -> int:
        transport = httpx.MockTransport(answering(page))
        async with TempoStore("http://tempo", transport=transport) as store:
            return await store.spans_received()

    began = time.monotonic()
    assert asyncio.run(count()) == 7
    assert time.monotonic() - began < FEW_SECONDS


# --- a smaller truth ---------------------------------------------------------------------


def test_base64_and_upper_case_ids_mean_the_same_trace() -> None:
    """However an id is spelt, its spans are found under the id that was asked for."""
    packed = base64.b64encode(bytes.fromhex(TRACE_ID)).decode()
    trace = read(span(1), span(2, 1, traceId=TRACE_ID.upper()), span(3, 1, traceId=packed))
    assert len(trace.spans) == 3
    assert trace.is_whole


TANGLES: dict[str, list[dict[str, Any]]] = {
    "its own parent": [span(1, 1), span(2, 1)],
    "two that are each other's": [span(1, 2), span(2, 1)],
    "a cycle beside the root": [span(1), span(2, 3), span(3, 2)],
    "two roots": [span(1), span(2)],
    "an orphan": [span(1), span(2, 9)],
    "only orphans": [span(1, 8), span(2, 9)],
}


@pytest.mark.parametrize("what", TANGLES)
def test_a_tangled_trace_is_shown_but_never_believed(what: str) -> None:
    """It is drawn and says what is wrong with it; a run whose traces are all so is incomplete."""
    trace = read(*TANGLES[what])
    use(trace)
    drawing = io.StringIO()
    Console(file=drawing, width=100).print(trace_tree(trace, CASE.evidence))
    assert "NOT WHOLE: " in drawing.getvalue()
    assert not drawing.getvalue().rstrip().endswith("NOT WHOLE:")
    tangled = {
        each: dataclasses.replace(trace, trace_id=each, spans=trace.spans) for each in AFFECTED
    }
    evidence = dataclasses.replace(CASE.evidence, traces={**CASE.evidence.traces, **tangled})
    assert evidence.whole_traces(Sample.AFFECTED) == ()
    assert prove(CASE.scenario, evidence).verdict is not ProofVerdict.PROVEN
    assert pick_support_code(CASE.scenario, evidence) is None


def test_clocks_that_disagree_cost_no_span_and_no_negative_time() -> None:
    """A child that starts before its parent and ends after it is kept; times are clipped.

    The one without a start stands last.
    """
    trace = read(
        span(1, startTimeUnixNano="2000000000", endTimeUnixNano="3000000000"),
        span(2, 1, startTimeUnixNano="1000000000", endTimeUnixNano="5000000000"),
        span(3, 1, startTimeUnixNano="9000000000", endTimeUnixNano="8000000000"),
        span(4, 3, startTimeUnixNano="0", endTimeUnixNano="0"),
    )
    assert trace.is_whole
    assert len(trace.spans) == 4
    assert [each.duration_ms for each in trace] == [4000, 1000, 0, 0]
    assert all(0 <= trace.self_time_ms(each) <= each.duration_ms for each in trace)
    use(trace)


@pytest.mark.parametrize("shape", ["chains", "fan", "pairs"])
def test_the_largest_trace_that_is_taken_is_reasoned_about_in_seconds(shape: str) -> None:
    """Ten thousand culprits in one trace, however they hang together."""
    depth = {"chains": 499, "fan": 1, "pairs": 2}[shape]
    trace = read(
        *(
            span(n + 1, (n if n % depth else 1) if n else None, startTimeUnixNano=str(10**9 + n))
            for n in range(MOST_SPANS)
        )
    )
    assert trace.is_whole
    use(trace)


def test_a_store_that_lies_about_some_traces_costs_only_those() -> None:
    """Collecting ends at its deadline; what could not be settled is named, with a reason."""
    good = {each: json.dumps({"trace": trace_to_otlp(fatal_trace(each))}) for each in AFFECTED[4:]}
    lies = dict(
        zip(
            AFFECTED[:4],
            [
                "<html>",
                json.dumps(document(*({"traceId": OTHER_ID, "spanId": "ab" * 8},))),
                json.dumps(document(span(1, 1, traceId=AFFECTED[2]))),
                json.dumps(document(*(span(n + 1, traceId=AFFECTED[3]) for n in range(2)))),
            ],
            strict=True,
        )
    )

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/metrics":
            return httpx.Response(200, text="tempo_distributor_spans_received_total 7\n")
        return httpx.Response(200, text=(good | lies)[request.url.path.rpartition("/")[2]])

    async def gather() -> Evidence:
        async with TempoStore("http://tempo", transport=httpx.MockTransport(answer)) as store:
            collected = await collect(
                store, SystemClock(), {Sample.AFFECTED: AFFECTED}, deadline_s=3.0
            )
        assert collected.unsettled == set(lies)
        assert collected.settled.keys() == good.keys()
        assert collected.problem is not None
        return dataclasses.replace(CASE.evidence, traces=collected.settled)

    began = time.monotonic()
    evidence = asyncio.run(gather())
    assert time.monotonic() - began < FEW_SECONDS
    assert prove(CASE.scenario, evidence).verdict is not ProofVerdict.PROVEN


def test_what_was_read_of_a_hostile_trace_is_kept_in_a_case_and_read_back(tmp_path: Path) -> None:
    """Whatever a span carries, a case folder holds it, and grading works on what it gives back."""
    nested: dict[str, Any] = {"stringValue": '"\\'}
    for _ in range(16):
        nested = {"kvlistValue": {"values": [{"key": '"', "value": nested}]}}
    trace = read(
        span(1, name="\x1b[2J\ud800\u202e[red]", kind=0, status=None, attributes=None, links=None),
        span(2, 1, name="a" * 2**20, attributes=[{"key": "\ud800" * 1000, "value": nested}]),
        span(3, 1, name=None, startTimeUnixNano=None, endTimeUnixNano=str(2**63)),
        span(4, 3, attributes=[{"key": "n", "value": {"doubleValue": "-Infinity"}}]),
    )
    use(trace)
    archive = FolderArchive(tmp_path)
    case = with_trace(trace)
    archive.working_folder(case.case_id)
    archive.seal(case)

    kept = archive.load(case.case_id).evidence

    assert kept.traces[TRACE_ID] == trace
    accusation = Accusation(((TRACE_ID, trace.spans[0].span_id),), (Mechanism.TIMEOUT,))
    assert judge(case.scenario, kept, accusation).verdict is not VerdictClass.SOLVED
