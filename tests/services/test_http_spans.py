"""Which spans a call to another service leaves, and what of it the caller gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from lab.shop.http import Upstream
from lab.shop.problems import CardDeclined, Rejected, UpstreamFailed, UpstreamTimeout, rejection
from lab.shop.settings import HttpClientSettings
from lab.testing import RecordedSpans, expect, span
from tests.services.in_memory import in_order_of_ends, recorded, story


def answer_of(status: str, body: str = "{}", missing: int = 0) -> bytes:
    """An HTTP answer whose body lacks its last ``missing`` bytes."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body) + missing}\r\n\r\n{body}".encode()


OK = answer_of("200 OK")
HALF = answer_of("200 OK", missing=7)
ERROR = answer_of("500 Oops")
TIMEOUT = answer_of("504 Late")
DECLINED = answer_of("400 No", '{"title":"Card declined","reason":"because..."}')
NOTHING = b""


@pytest.fixture
def spans() -> Iterator[RecordedSpans]:
    with recorded() as spans:
        yield spans


@asynccontextmanager
async def callee(answer: bytes, *, hang_up: bool = False) -> AsyncIterator[str]:
    """A service that gives every request the same answer, then perhaps hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(answer)
                if hang_up:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def call(
    answer: bytes,
    test: Callable[[Upstream], Awaitable[None]],
    *,
    hang_up: bool = False,
    **changes: Any,
) -> None:
    async def whole() -> None:
        async with callee(answer, hang_up=hang_up) as url:
            settings = HttpClientSettings(port=1, **changes)
            upstream = Upstream("catalog", url, timedelta(seconds=0.2), settings)
            try:
                await test(upstream)
            finally:
                await upstream.close()

    asyncio.run(whole())


def attributes(spans: RecordedSpans, key: str) -> list[Any]:
    return [each.attributes.get(key) for each in in_order_of_ends(spans)]


def test_a_call_names_its_peer_and_says_whether_its_connection_is_new(
    spans: RecordedSpans,
) -> None:
    """The second call on a kept-alive connection is marked as reusing it."""

    async def test(upstream: Upstream) -> None:
        await upstream.call("GET", "/")
        await upstream.call("GET", "/")

    call(OK, test)
    assert story(spans) == [("GET", "UNSET", ""), ("GET", "UNSET", "")]
    called = span("GET", kind="client", peer="catalog", no_attributes="http.request.resend_count")
    expect(spans).to_have(called, count=2)
    assert attributes(spans, "http.connection.reused") == [False, True]


def test_without_keep_alive_no_connection_is_used_twice(spans: RecordedSpans) -> None:
    """`keepalive: off` opens a connection a call."""

    async def test(upstream: Upstream) -> None:
        await upstream.call("GET", "/")
        await upstream.call("GET", "/")

    call(OK, test, keepalive=False)
    assert attributes(spans, "http.connection.reused") == [False, False]


def test_an_answer_that_does_not_come(spans: RecordedSpans) -> None:
    """The caller's limit fires: the CLIENT span carries httpx's exception, the caller a timeout."""

    async def test(upstream: Upstream) -> None:
        with pytest.raises(UpstreamTimeout):
            await upstream.call("GET", "/")

    call(NOTHING, test)
    assert story(spans) == [("GET", "ERROR", "httpx.ReadTimeout")]


def test_a_body_that_breaks_off_fails_the_exchange_round_a_green_call(
    spans: RecordedSpans,
) -> None:
    """httpx's span ends at the headers; the exchange's span sees the body fail."""

    async def test(upstream: Upstream) -> None:
        with pytest.raises(UpstreamFailed):
            await upstream.call("GET", "/", exchange="fetch_page")

    call(HALF, test, hang_up=True)
    assert story(spans) == [
        ("GET", "UNSET", ""),
        ("fetch_page", "ERROR", "httpx.RemoteProtocolError"),
    ]


def test_a_call_that_is_given_up_says_so(spans: RecordedSpans) -> None:
    """A call cancelled by its caller is unset, with an event that tells why it ended."""

    async def test(upstream: Upstream) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await upstream.call("GET", "/")

    call(NOTHING, test)
    assert story(spans) == [("GET", "UNSET", "cancelled")]


def test_retries_are_counted_on_their_spans(spans: RecordedSpans) -> None:
    """A failed attempt is repeated as often as allowed, each repeat numbered."""

    async def test(upstream: Upstream) -> None:
        with pytest.raises(UpstreamFailed):
            await upstream.call("GET", "/")

    call(ERROR, test, retries=2)
    assert attributes(spans, "http.request.resend_count") == [None, 1, 2]


@pytest.mark.parametrize(("backoff", "pauses_s"), [("50ms", [0.05, 0.1]), ("off", [0, 0])])
def test_each_retry_waits_twice_as_long(
    spans: RecordedSpans,
    monkeypatch: pytest.MonkeyPatch,
    backoff: str,
    pauses_s: list[float],
) -> None:
    """The pause doubles from retry to retry; `off` tries again at once, none follows the last."""
    paused_s: list[float] = []

    async def pause(delay_s: float) -> None:
        paused_s.append(delay_s)

    monkeypatch.setattr(asyncio, "sleep", pause)

    async def test(upstream: Upstream) -> None:
        with pytest.raises(UpstreamFailed):
            await upstream.call("GET", "/")

    call(ERROR, test, retries=2, backoff=backoff)
    assert paused_s == pauses_s
    expect(spans).to_have("GET", count=3)


@pytest.mark.parametrize(
    ("answer", "problem"), [(ERROR, UpstreamFailed), (TIMEOUT, UpstreamTimeout)]
)
def test_a_callees_failure_is_told_apart_from_its_timeout(
    spans: RecordedSpans, answer: bytes, problem: type[Exception]
) -> None:
    """A callee's 504 stays a timeout on the way up; any other 5xx is a failure."""

    async def test(upstream: Upstream) -> None:
        with pytest.raises(problem):
            await upstream.call("GET", "/")

    call(answer, test)
    expect(spans).to_have(span("GET", status="error"), count=1)


def test_a_callees_no_is_passed_on_in_its_own_words(spans: RecordedSpans) -> None:
    """A 4xx comes back as an answer, and becomes the rejection it tells of."""

    async def test(upstream: Upstream) -> None:
        no = rejection(await upstream.call("GET", "/"))
        assert isinstance(no, CardDeclined)
        assert isinstance(no, Rejected)
        assert (no.status, no.title, no.reason) == (400, "Card declined", "because...")

    call(DECLINED, test)


def test_nobody_listening_is_a_failure(spans: RecordedSpans) -> None:
    """A refused connection is no timeout."""

    async def test() -> None:
        async with callee(OK) as url:
            pass
        upstream = Upstream("catalog", url, timedelta(seconds=0.2), HttpClientSettings(port=1))
        with pytest.raises(UpstreamFailed):
            await upstream.call("GET", "/")
        await upstream.close()

    asyncio.run(test())
    expect(spans).to_have(span("GET", status="error", exception="httpx.ConnectError"), count=1)
    expect(spans).to_have(count=1)
