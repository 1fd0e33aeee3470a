"""What every trace store does; Tempo and Jaeger are asked too where they can be started."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx
import pytest

from lab.adapters import backends
from lab.adapters.clock import SystemClock
from lab.adapters.jaeger import LONGEST_TRACE_S, MOST_A_PAGE, PAGE_S, JaegerStore
from lab.adapters.memory.trace_store import MemoryTraceStore
from lab.adapters.otlp.traces import assemble, write_traces
from lab.adapters.tempo import TempoStore
from lab.adapters.tools import toolbox
from lab.domain.evidence import Sample
from lab.domain.trace import Event, Kind, Span, Status, Trace
from lab.errors import NeedsTraceQL, ToolMissing, TraceStoreError
from lab.investigation.running.collect import collect
from lab.ports.trace_store import TraceStore
from lab.settings import CHECKOUT, Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Given(Protocol):
    """A store under test, and a way to put spans into it."""

    @property
    def store(self) -> TraceStore: ...

    async def receive(self, *traces: Trace) -> None: ...


@dataclass
class GivenMemory:
    store: MemoryTraceStore

    async def receive(self, *traces: Trace) -> None:
        for trace in traces:
            self.store.receive(trace.spans)


@dataclass
class GivenReal:
    store: TempoStore | JaegerStore
    otlp_url: str

    async def receive(self, *traces: Trace) -> None:
        async with httpx.AsyncClient() as client:
            for n in range(0, len(traces), 50):
                answer = await client.post(
                    f"{self.otlp_url}/v1/traces", json=write_traces(traces[n : n + 50])
                )
                answer.raise_for_status()


# --- a real Tempo, a real Jaeger ----------------------------------------------------------


@dataclass(frozen=True)
class Running:
    """A store as a process, and where it is asked, counted and given spans."""

    http_url: str
    otlp_url: str
    metrics_url: str = ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def binary_of(name: str) -> Path:
    tool = next(tool for tool in toolbox.ALL_TOOLS if tool.name == name)
    try:
        located = toolbox.find(tool, Settings())
    except ToolMissing:
        located = None
    if located is None:
        pytest.skip(f"skipped: no {name} here; `lab tools --build {name}` builds one")
    return located.path


@pytest.fixture(scope="module")
def tempo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One Tempo for this module, with the lab's own configuration."""
    binary = binary_of("tempo")
    folder = tmp_path_factory.mktemp("tempo")
    ports = {name: free_port() for name in ("http", "grpc", "memberlist", "otlp", "otlp_grpc")}
    environment = os.environ | {
        "TEMPO_HOST": "127.0.0.1",
        "TEMPO_HTTP_HOST": "127.0.0.1",
        "TEMPO_HTTP_PORT": str(ports["http"]),
        "TEMPO_GRPC_PORT": str(ports["grpc"]),
        "TEMPO_OTLP_GRPC": f"127.0.0.1:{ports['otlp_grpc']}",
        "TEST_OTLP_HTTP": f"127.0.0.1:{ports['otlp']}",
        "TEMPO_MEMBERLIST_PORT": str(ports["memberlist"]),
        "TEMPO_DATA_DIR": str(folder),
    }
    # The lab's own, and a way in for whoever has no Collector.
    grpc = "endpoint: ${TEMPO_OTLP_GRPC}\n"
    own = (CHECKOUT / "deploy" / "tempo" / "tempo.yaml").read_text()
    config = folder / "tempo.yaml"
    config.write_text(
        own.replace(grpc, grpc + "        http:\n          endpoint: ${TEST_OTLP_HTTP}\n")
    )
    command = [str(binary), f"-config.file={config}", "-config.expand-env=true"]
    http_url = f"http://127.0.0.1:{ports['http']}"
    with started(command, environment, folder, ready=f"{http_url}/ready"):
        yield Running(http_url, f"http://127.0.0.1:{ports['otlp']}")


@pytest.fixture(scope="module")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One Jaeger for this module, with the lab's own configuration."""
    binary = binary_of("jaeger")
    folder = tmp_path_factory.mktemp("jaeger")
    ports = {name: free_port() for name in ("query", "otlp_grpc", "otlp", "health", "metrics")}
    environment = os.environ | {
        "JAEGER_OTLP_GRPC": f"127.0.0.1:{ports['otlp_grpc']}",
        "JAEGER_QUERY": f"127.0.0.1:{ports['query']}",
        "JAEGER_QUERY_SOCKET": "jaeger.sock:1",
        "JAEGER_BASE_PATH": "/hidden",
        "JAEGER_PAGES": str(CHECKOUT / "deploy" / "jaeger" / "pages"),
        "JAEGER_HEALTH": f"127.0.0.1:{ports['health']}",
        "JAEGER_METRICS_HOST": "127.0.0.1",
        "JAEGER_METRICS_PORT": str(ports["metrics"]),
        "TEST_OTLP_HTTP": f"127.0.0.1:{ports['otlp']}",
    }
    grpc = "endpoint: ${env:JAEGER_OTLP_GRPC}\n"
    own = (CHECKOUT / "deploy" / "jaeger" / "jaeger.yaml").read_text()
    config = folder / "jaeger.yaml"
    config.write_text(
        own.replace(grpc, grpc + "      http:\n        endpoint: ${env:TEST_OTLP_HTTP}\n")
    )
    ready = f"http://127.0.0.1:{ports['health']}/status"
    with started([str(binary), "--config", str(config)], environment, folder, ready=ready):
        yield Running(
            f"http://127.0.0.1:{ports['query']}/hidden",
            f"http://127.0.0.1:{ports['otlp']}",
            f"http://127.0.0.1:{ports['metrics']}",
        )


@contextlib.contextmanager
def started(
    command: list[str], environment: dict[str, str], folder: Path, *, ready: str
) -> Iterator[None]:
    """The program at work, from when ``ready`` answers 200 to the end of the context."""
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, cwd=folder)
    try:
        deadline = time.monotonic() + 60
        while not answers(ready):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{command[0]} did not become ready:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(params=["memory", "tempo", "jaeger"])
async def given(request: pytest.FixtureRequest) -> AsyncIterator[Given]:
    if request.param == "memory":
        yield GivenMemory(MemoryTraceStore())
        return
    running: Running = request.getfixturevalue(request.param)
    if request.param == "tempo":
        async with TempoStore(running.http_url) as tempo_store:
            yield GivenReal(tempo_store, running.otlp_url)
        return
    async with JaegerStore(running.http_url, running.metrics_url) as jaeger_store:
        yield GivenReal(jaeger_store, running.otlp_url)


# --- spans -------------------------------------------------------------------------------


def new_trace(*, spans: int = 3, trace_id: str | None = None, ago_s: float = 1.0) -> Trace:
    """A root and, in one chain below it, the other spans; just now."""
    trace_id = trace_id or secrets.token_hex(16)
    start_ns = time.time_ns() - int(ago_s * 1e9)
    ids = [secrets.token_hex(8) for _ in range(spans)]
    return assemble(
        trace_id,
        [
            Span(
                trace_id=trace_id,
                span_id=ids[n],
                parent_id=ids[n - 1] if n else None,
                name="SELECT" if n else "POST /checkout",
                kind=Kind.CLIENT,
                service="auth" if n else "storefront",
                start_ns=start_ns + n * 1_000_000,
                end_ns=start_ns + 500_000_000 - n * 1_000_000,
                status=Status.ERROR if n == spans - 1 else Status.UNSET,
                status_message="TimeoutError" if n == spans - 1 else "",
                attributes={"service.peer.name": "users_db", "pool.size": 10, "cold": True},
                events=(
                    Event("exception", start_ns + 5_000_000, {"exception.type": "TimeoutError"}),
                ),
                resource={"service.name": "auth" if n else "storefront"},
            )
            for n in range(spans)
        ],
    )


def renamed(trace: Trace, *, service: str, name: str, cold: bool) -> Trace:
    """``trace`` with its last span of that service and name; the only one is its root."""
    last = dataclasses.replace(
        trace.spans[-1], service=service, name=name, attributes={"cold": cold},
        resource={"service.name": service},
    )  # fmt: skip
    return assemble(trace.trace_id, [*trace.spans[:-1], last])


async def eventually(ask: Callable[[], Awaitable[object]], expected: object) -> None:
    """A store answers a moment after it took spans in."""
    deadline = time.monotonic() + 30
    while (found := await ask()) != expected:
        if time.monotonic() > deadline:
            assert found == expected
        await asyncio.sleep(0.1)


# --- the contract ------------------------------------------------------------------------


async def test_a_trace_comes_back_as_it_was_sent(given: Given) -> None:
    """Names, times, status, attributes, events and resource survive the store."""
    trace = new_trace()
    await given.receive(trace)
    await eventually(lambda: given.store.trace(trace.trace_id), trace)


async def test_an_unknown_trace_is_none(given: Given) -> None:
    """A trace nobody sent is not there, and that is no error."""
    assert await given.store.trace(secrets.token_hex(16)) is None


async def test_a_trace_grows_with_every_span_received(given: Given) -> None:
    """What came so far is given, and a late span is in the next answer."""
    trace = new_trace(spans=4)
    early = assemble(trace.trace_id, trace.spans[:2])
    await given.receive(early)
    await eventually(lambda: given.store.trace(trace.trace_id), early)
    await given.receive(assemble(trace.trace_id, trace.spans[2:]))
    await eventually(lambda: given.store.trace(trace.trace_id), trace)


async def test_an_id_with_leading_zeros_is_found_whole(given: Given) -> None:
    """A search answers with all 32 digits, whatever the store strips."""
    trace = new_trace(trace_id="000000" + secrets.token_hex(13))
    await given.receive(trace)
    await eventually(lambda: given.store.trace(trace.trace_id), trace)
    now_s = time.time()

    async def is_found() -> object:
        found = await given.store.search(
            '{ name = "SELECT" && status = error }', start_s=now_s - 60, end_s=now_s + 60
        )
        return trace.trace_id in found

    await eventually(is_found, True)


async def test_a_search_outside_the_interval_finds_nothing(given: Given) -> None:
    """Only traces of the interval asked for are answered."""
    await given.receive(new_trace())
    assert await given.store.search("{ }", start_s=1000, end_s=2000) == frozenset()


@pytest.mark.parametrize("real", ["tempo", "jaeger"])
async def test_both_stores_find_the_same_traces(request: pytest.FixtureRequest, real: str) -> None:
    """What the scenarios search for, of traces that answer and traces that nearly do."""
    running: Running = request.getfixturevalue(real)
    store = (
        TempoStore(running.http_url)
        if real == "tempo"
        else JaegerStore(running.http_url, running.metrics_url)
    )
    word = f"job-{secrets.token_hex(4)}"
    orphan, whole, other = new_trace(spans=1), new_trace(), new_trace()
    orphan = renamed(orphan, service=word, name="process outbox", cold=False)
    whole = renamed(whole, service=word, name="process outbox", cold=True)
    async with store:
        await GivenReal(store, running.otlp_url).receive(orphan, whole, other)
        now_s = time.time()

        async def found(query: str) -> frozenset[str]:
            return await store.search(query, start_s=now_s - 60, end_s=now_s + 60)

        wanted = {
            f'{{ resource.service.name = "{word}" && name = "process outbox" }}': (orphan, whole),
            f'{{ trace:rootService =~ "nobody|{word}" }}': (orphan,),
            f'{{ resource.service.name = "{word}" && span.cold = false }}': (orphan,),
            f'{{ resource.service.name = "{word}" && kind = server }}': (),
        }
        for query, traces in wanted.items():
            expected = frozenset(trace.trace_id for trace in traces)
            await eventually(lambda query=query: found(query), expected)  # type: ignore[misc]


async def test_spans_received_counts_every_span(given: Given) -> None:
    """The counter moves by exactly what was sent, so that a loss can be seen."""
    before = await given.store.spans_received()
    await given.receive(new_trace(spans=7))
    await eventually(given.store.spans_received, before + 7)


async def test_a_case_worth_of_traces_is_collected(given: Given) -> None:
    """Traces of 23 spans settle, all of them, as they were sent (`make bench` times 250)."""
    traces = [new_trace(spans=23) for _ in range(60)]
    await given.receive(*traces)
    samples = {Sample.AFFECTED: tuple(trace.trace_id for trace in traces)}
    collected = await collect(given.store, SystemClock(), samples, deadline_s=60)
    assert collected.unsettled == frozenset()
    assert collected.traces == {trace.trace_id: trace for trace in traces}


# --- a store without TraceQL --------------------------------------------------------------


async def test_a_crowded_moment_is_read_in_halves(jaeger: Running) -> None:
    """An answer that is full may lack some, so it is not taken for all."""
    traces = [new_trace(spans=2, ago_s=1 + n / 100) for n in range(2 * MOST_A_PAGE)]
    async with JaegerStore(jaeger.http_url, jaeger.metrics_url) as store:
        await GivenReal(store, jaeger.otlp_url).receive(*traces)
        now_s = time.time()

        async def lacking() -> object:
            found = await store.search("{ kind = client }", start_s=now_s - 60, end_s=now_s)
            return {trace.trace_id for trace in traces} - found

        await eventually(lacking, set())


@pytest.mark.parametrize("query", ["{ duration > 3s }", '{ name = "a" } >> { status = error }'])
async def test_what_only_traceql_says_is_refused_by_jaeger(query: str) -> None:
    """Before anything is asked of it, with the part that is beyond predicates."""
    async with JaegerStore("http://jaeger", "http://jaeger") as store:
        with pytest.raises(NeedsTraceQL, match="needs TraceQL"):
            await store.search(query, start_s=0, end_s=1)


# --- a store that fails ------------------------------------------------------------------


async def test_a_store_in_memory_that_is_gone_is_an_error() -> None:
    """The fake fails as the real one does."""
    store = MemoryTraceStore()
    store.break_off()
    with pytest.raises(TraceStoreError):
        await store.trace("ab" * 16)


async def test_a_tempo_that_is_gone_is_an_error_that_says_what_to_do() -> None:
    """Nothing listens: the message names the address and the way out."""
    async with TempoStore(f"http://127.0.0.1:{free_port()}") as store:
        with pytest.raises(TraceStoreError, match=r"127\.0\.0\.1.*`lab up` starts it"):
            await store.trace("ab" * 16)
        with pytest.raises(TraceStoreError):
            await store.search("{ }", start_s=0, end_s=1)
        with pytest.raises(TraceStoreError):
            await store.spans_received()


async def test_a_tempo_that_trickles_meets_the_deadline() -> None:
    """An answer whose bytes keep coming and never end is cut at the deadline."""

    class Trickle(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                await asyncio.sleep(0.01)
                yield b" "

    transport = httpx.MockTransport(lambda _request: httpx.Response(200, stream=Trickle()))
    async with TempoStore("http://tempo", deadline_s=0.2, transport=transport) as store:
        began = time.monotonic()
        with pytest.raises(TraceStoreError, match=r"no answer within 0\.2 s"):
            await store.trace("ab" * 16)
        assert time.monotonic() - began < 2


async def test_a_search_may_take_longer_than_a_look_up() -> None:
    """It reads a log that grows; neither is waited for without an end."""

    async def answer_late(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.5)
        return httpx.Response(200, json={"traces": []})

    late = httpx.MockTransport(answer_late)
    hurried = TempoStore("http://tempo", deadline_s=0.1, search_deadline_s=5, transport=late)
    async with hurried as store:
        with pytest.raises(TraceStoreError, match=r"no answer within 0\.1 s"):
            await store.trace("ab" * 16)
        assert await store.search("{ }", start_s=0, end_s=1) == frozenset()
    async with TempoStore("http://tempo", search_deadline_s=0.2, transport=late) as store:
        with pytest.raises(TraceStoreError, match=r"no answer within 0\.2 s"):
            await store.search("{ }", start_s=0, end_s=1)


@pytest.mark.parametrize("proxied", [False, True])
async def test_a_proxy_of_the_users_is_for_a_tempo_elsewhere(
    monkeypatch: pytest.MonkeyPatch, proxied: bool
) -> None:
    """Nothing of the lab's own goes through it; a Tempo of the outside world is asked by it."""
    asked: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        if proxied:
            async with backends.Asking("http://tempo.invalid:3200", "Tempo", {}) as theirs:
                with pytest.raises(TraceStoreError):
                    await theirs.ask_json("/metrics")
        else:
            async with TempoStore("http://tempo.invalid:3200") as store:
                with pytest.raises(TraceStoreError):
                    await store.spans_received()
    assert asked == ([b"GET http://tempo.invalid:3200/metrics HTTP/1.1\r\n"] if proxied else [])


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, text="empty ring"),
        httpx.Response(200, text='{"trace": {"resourceSpans": ['),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"trace": {"resourceSpans": 3}}),
        httpx.Response(200, json=[]),
        httpx.Response(302, headers={"location": "/login"}),
    ],
    ids=["500", "truncated", "html", "malformed", "array", "redirect"],
)
async def test_an_undocumented_answer_is_an_error(answer: httpx.Response) -> None:
    """Whatever else answers at Tempo's port is refused by name, in every call."""
    transport = httpx.MockTransport(lambda _request: answer)
    async with TempoStore("http://tempo", transport=transport) as store:
        with pytest.raises(TraceStoreError, match=r"GET http://tempo/.*expected .*, found"):
            await store.trace("ab" * 16)
    if answer.status_code != 200 or not answer.text.startswith("{"):
        async with TempoStore("http://tempo", transport=transport) as store:
            with pytest.raises(TraceStoreError):
                await store.search("{ }", start_s=0, end_s=1)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, text="panic"),
        httpx.Response(200, text='{"result": {"resourceSpans": ['),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"result": {"resourceSpans": 3}}),
        httpx.Response(200, json={"resourceSpans": []}),
        httpx.Response(200, json=[]),
        httpx.Response(302, headers={"location": "/login"}),
    ],
    ids=["500", "truncated", "html", "malformed", "no result", "array", "redirect"],
)
async def test_an_undocumented_answer_of_jaegers_is_an_error(answer: httpx.Response) -> None:
    """By id, in a search and of its counters."""
    transport = httpx.MockTransport(lambda _request: answer)
    async with JaegerStore("http://jaeger", "http://metrics", transport=transport) as store:
        with pytest.raises(TraceStoreError, match=r"GET http://jaeger/.*expected .*, found"):
            await store.trace("ab" * 16)
        with pytest.raises(TraceStoreError, match=r"GET http://jaeger/.*expected .*, found"):
            await store.search("{ }", start_s=0, end_s=1)
        with pytest.raises(TraceStoreError, match=r"GET http://metrics/.*Jaeger's own counters"):
            await store.spans_received()


async def test_what_jaeger_was_sent_in_answer_to_an_id_must_be_of_that_id() -> None:
    """Spans of another trace are no answer."""
    other = {"result": write_traces([new_trace()])}
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json=other))
    async with JaegerStore("http://jaeger", "http://jaeger", transport=transport) as store:
        with pytest.raises(TraceStoreError, match="spans of the trace asked for"):
            await store.trace("ab" * 16)


async def test_a_jaeger_that_is_gone_is_an_error_that_says_what_to_do() -> None:
    """Nothing listens: the message names the address and the way out."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    async with JaegerStore(nowhere, nowhere) as store:
        with pytest.raises(TraceStoreError, match=r"Jaeger.*127\.0\.0\.1.*`lab up` starts it"):
            await store.trace("ab" * 16)
        with pytest.raises(TraceStoreError):
            await store.search("{ }", start_s=0, end_s=1)
        with pytest.raises(TraceStoreError):
            await store.spans_received()


async def test_what_was_read_long_after_its_time_is_not_read_again() -> None:
    """A run asks until the answer stays: only what may still change is asked for each time."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["query.start_time_min"])
        return httpx.Response(404)

    transport = httpx.MockTransport(answer)
    now_s = time.time()
    async with JaegerStore("http://jaeger", "http://jaeger", transport=transport) as store:
        await store.search("{ }", start_s=now_s - 100, end_s=now_s)
        first = len(asked)
        await store.search("{ }", start_s=now_s - 100, end_s=now_s)
    again = asked[first:]
    assert set(again) < set(asked[:first])
    assert len(again) <= LONGEST_TRACE_S / PAGE_S + 1


@pytest.mark.parametrize("trace_id", ["", "abc", "../metrics", "g" * 32, "a" * 33])
async def test_what_is_no_trace_id_is_refused_before_it_is_sent(trace_id: str) -> None:
    """No path but a trace's is ever asked for."""
    tempo_store, jaeger_store = TempoStore("http://tempo"), JaegerStore("http://j", "http://j")
    async with tempo_store, jaeger_store:
        for store in (tempo_store, jaeger_store):
            with pytest.raises(TraceStoreError, match="32 hex digits"):
                await store.trace(trace_id)


@pytest.mark.parametrize("empty", [httpx.Response(404), httpx.Response(200, json={"trace": {}})])
async def test_both_answers_to_an_unknown_trace_are_understood(empty: httpx.Response) -> None:
    """Versions of Tempo differ in how they say that they know nothing."""
    transport = httpx.MockTransport(lambda _request: empty)
    async with TempoStore("http://tempo", transport=transport) as store:
        assert await store.trace("ab" * 16) is None


async def test_spans_of_all_tenants_are_added_up() -> None:
    """The counter comes once for each tenant, in either of Prometheus' number forms."""
    text = (
        "# TYPE tempo_distributor_spans_received_total counter\n"
        'tempo_distributor_spans_received_total{tenant="single-tenant"} 1.5e+03\n'
        'tempo_distributor_spans_received_total{tenant="other"} 7\n'
        "tempo_distributor_spans_received_total_other 100\n"
    )
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, text=text))
    async with TempoStore("http://tempo", transport=transport) as store:
        assert await store.spans_received() == 1507
