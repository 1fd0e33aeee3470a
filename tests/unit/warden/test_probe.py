"""The probe through an edge, against callees of every mood."""

from __future__ import annotations

import asyncio
import time

import pytest

from lab.shop.topology import HOST
from lab.warden.probe import EdgeProbe
from tests.support.warden_parts import free_ports

SSL_REQUEST = bytes.fromhex("0000000804d2162f")
"""As in the protocol's documentation: length 8, code 80877103."""

SILENCE_S = 10.0
"""How long a silent callee holds out: far longer than anybody should wait for it."""


def probe(edge: str, answer: bytes | None) -> tuple[str | None, bytes]:
    """What the probe of ``edge`` says of a callee that gives ``answer``, and what it was sent."""
    asked = b""

    async def callee(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked = await reader.read(4096)
        if answer is None:
            await asyncio.sleep(SILENCE_S)
        else:
            writer.write(answer)
        writer.close()

    async def story() -> str | None:
        server = await asyncio.start_server(callee, HOST, 0)
        async with server:
            return await EdgeProbe({edge: server.sockets[0].getsockname()[1]})(edge)

    return asyncio.run(story()), asked


@pytest.mark.parametrize("answer", [b"N", b"S"])
def test_a_postgres_that_answers_has_a_working_edge(answer: bytes) -> None:
    """Whether it speaks TLS does not matter."""
    assert probe("auth-users_db", answer) == (None, SSL_REQUEST)


def test_a_healthy_service_has_a_working_edge() -> None:
    """It is asked for its health, which is not traced, and without trace context."""
    problem, asked = probe("payments-bank", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert problem is None
    assert asked.startswith(b"GET /healthz ")
    assert b"traceparent" not in asked.lower()


@pytest.mark.parametrize(
    ("edge", "answer"),
    [
        ("auth-users_db", b""),
        ("auth-users_db", b"E"),
        ("payments-bank", b""),
        ("payments-bank", b"HTTP/1.1 503 Service Unavailable\r\n\r\n"),
        ("payments-bank", b"220 mail.example ESMTP\r\n"),
    ],
)
def test_any_other_answer_is_a_problem(edge: str, answer: bytes) -> None:
    """The problem names the edge and what came."""
    problem, _ = probe(edge, answer)
    assert problem is not None
    assert problem.startswith(edge)


def test_nobody_listening_is_a_problem() -> None:
    """A cut edge refuses connections."""
    problem = asyncio.run(EdgeProbe({"payments-bank": free_ports(1)[0]})("payments-bank"))
    assert problem is not None


def test_silence_is_given_up_after_a_second() -> None:
    """As under a `timeout` toxic."""
    start_s = time.monotonic()
    problem, _ = probe("auth-users_db", None)
    assert problem == "auth-users_db: no answer within 1 s"
    assert time.monotonic() - start_s < SILENCE_S / 2
