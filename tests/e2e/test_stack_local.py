"""The local stack on real parts: up, down, what survives, and what stays untouched."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import secrets
import signal
import socket
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from lab.adapters.stack import processes
from lab.adapters.stack.local import LocalStack
from lab.adapters.stack.postgres import can_start_servers
from lab.adapters.stack.supervisor import Supervisor
from lab.adapters.tools.toolbox import TOOLS
from lab.errors import StackNotReady
from lab.ports.stack import PartStatus
from lab.settings import Settings
from lab.shop.topology import HOST, SERVICES
from tests.support.busy_machine import quickest
from tests.support.lab_under_test import free_offset

pytestmark = pytest.mark.e2e

REASON = can_start_servers()
needs_postgres = pytest.mark.skipif(REASON is not None, reason=f"skipped: {REASON}")


def up(settings: Settings) -> dict[str, PartStatus]:
    """Bring a stack up and return its parts by name."""

    async def bring_up() -> dict[str, PartStatus]:
        return {part.name: part async for part in LocalStack(settings).up()}

    return asyncio.run(bring_up())


def down(settings: Settings) -> None:
    """Bring a stack down."""
    asyncio.run(LocalStack(settings).down())


def status(settings: Settings) -> dict[str, PartStatus]:
    """Ask a stack for its parts by name."""
    return {part.name: part for part in asyncio.run(LocalStack(settings).status())}


def all_ready(settings: Settings) -> dict[str, PartStatus]:
    """The parts of a stack, once every one is ready: one look may miss one that is busy."""
    _until(lambda: all(part.is_ready for part in status(settings).values()))
    return status(settings)


def survivors(settings: Settings) -> dict[int, str]:
    """Every process that belongs to a stack, by the records it keeps."""
    supervisor = Supervisor(settings.run_dir, settings.log_dir, settings.port("supervisor"))
    return processes.survivors(supervisor.births())


@pytest.fixture(scope="module")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of everything that runs here; in the real one others may write meanwhile."""
    home = tmp_path_factory.mktemp("empty")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        yield home


@pytest.fixture(scope="module")
def outside_before(tmp_path_factory: pytest.TempPathFactory, empty_home: Path) -> dict[str, object]:
    """What the machine outside the checkout and the cache looks like before anything runs."""
    return _outside(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def settings(
    tmp_path_factory: pytest.TempPathFactory, outside_before: dict[str, object]
) -> Iterator[Settings]:
    """A stack of its own, up, in a deep folder below a home that nobody else may enter."""
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o700)
    deep = home.joinpath(*["a-folder-with-a-long-name"] * 6)
    settings = Settings(state_dir=deep / ".lab", port_offset=free_offset())
    try:
        up(settings)
        yield settings
    finally:
        down(settings)


@needs_postgres
def test_every_part_and_service_is_up_even_in_a_deep_and_private_folder(
    settings: Settings,
) -> None:
    """`up` ends when every part answers, and `status` says so within a second."""
    parts = all_ready(settings)

    async def look() -> float:
        started = time.monotonic()
        await LocalStack(settings).status()
        return time.monotonic() - started

    assert asyncio.run(quickest(look, below_s=1.0)) < 1.0
    assert set(SERVICES) < set(parts)
    assert all(part.pid and psutil.pid_exists(part.pid) for part in parts.values())
    assert len(str(settings.run_dir)) > 100


@needs_postgres
def test_a_second_up_changes_nothing(settings: Settings) -> None:
    """What runs is left alone: every pid is the same afterwards."""
    before = {name: part.pid for name, part in status(settings).items()}

    up(settings)

    assert {name: part.pid for name, part in status(settings).items()} == before


@needs_postgres
def test_of_two_ups_at_once_one_waits(settings: Settings) -> None:
    """A part that is down is started once, and both see the same whole stack."""
    asyncio.run(LocalStack(settings).stop_part("otelcol"))

    async def both() -> tuple[list[PartStatus], list[PartStatus]]:
        async def one() -> list[PartStatus]:
            return [part async for part in LocalStack(settings).up()]

        return await asyncio.gather(one(), one())

    first, second = asyncio.run(both())

    assert {part.name: part.pid for part in first} == {part.name: part.pid for part in second}
    assert len(list(_starts(settings, "otelcol"))) == 2


@needs_postgres
def test_nothing_outside_the_checkout_and_the_cache_is_changed(
    settings: Settings, outside_before: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No user is made, no mode or owner of any folder on the way to / is changed."""
    assert _outside(tmp_path_factory.getbasetemp()) == outside_before
    home = next(path for path in settings.state_dir.parents if path.name.startswith("home"))
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    owners = {path.lstat().st_uid for path in settings.state_dir.rglob("*")}
    assert owners == {os.getuid()}


@needs_postgres
def test_two_stacks_live_side_by_side(settings: Settings, tmp_path: Path) -> None:
    """Another checkout with another offset comes up and goes down without touching this one."""
    before = {name: part.pid for name, part in status(settings).items()}
    other = Settings(state_dir=tmp_path / ".lab", port_offset=free_offset())
    try:
        assert set(up(other)) == set(before)
        both = {part.pid for part in status(other).values()} & set(before.values())
        assert both == set()
    finally:
        down(other)

    assert survivors(other) == {}
    assert {name: part.pid for name, part in status(settings).items()} == before


@needs_postgres
def test_counters_tell_of_a_part_that_died(settings: Settings) -> None:
    """A part that nobody stopped and that came back is one restart more."""
    before = asyncio.run(LocalStack(settings).counters())
    pid = status(settings)["otelcol"].pid
    assert pid is not None

    os.kill(pid, signal.SIGKILL)
    _until(lambda: status(settings)["otelcol"].is_ready and status(settings)["otelcol"].pid != pid)

    after = asyncio.run(LocalStack(settings).counters())
    assert after.restarts == {**before.restarts, "otelcol": before.restarts["otelcol"] + 1}
    assert after.collector_dropped == 0


@needs_postgres
def test_yesterdays_trace_opens_after_down_and_up(settings: Settings) -> None:
    """Tempo may be killed at `down`: a trace it had taken in opens after the next `up`."""
    trace_id = secrets.token_hex(16)
    _send_span(settings, trace_id, {"order.id": "4711"})
    _trace(settings, trace_id)
    started = time.monotonic()
    down(settings)
    # After 15 s `down` gives the asking up: Tempo, left to itself, takes a minute and more.
    assert time.monotonic() - started < 14.0
    assert survivors(settings) == {}

    up(settings)

    assert "4711" in _trace(settings, trace_id)


@needs_postgres
def test_what_a_killed_supervisor_left_is_ended(settings: Settings) -> None:
    """Its children keep the ports; the next `up` ends exactly them and starts anew."""
    before = status(settings)
    supervisor = next(pid for pid, name in survivors(settings).items() if name == "supervisord")
    os.kill(supervisor, signal.SIGKILL)
    _until(lambda: "supervisord" not in survivors(settings).values())
    assert survivors(settings), "expected orphans, or this test shows nothing"

    up(settings)

    after = all_ready(settings)
    pids = {part.pid for part in before.values()}
    assert pids & {part.pid for part in after.values()} == set()
    assert not any(psutil.pid_exists(pid) for pid in pids if pid)


@needs_postgres
def test_a_part_that_dies_at_its_start_is_named_with_its_last_words(tmp_path: Path) -> None:
    """A broken part ends `up` at once, by name and with the lines it wrote."""
    version = next(tool.version for tool in TOOLS if tool.name == "tempo")
    broken = tmp_path / "tempo"
    broken.write_text(
        "#!/bin/sh\n"
        f'case "$1" in --version) echo "tempo, version {version}" ;;\n'
        "*) echo 'cannot open my folder' >&2; exit 3 ;; esac\n"
    )
    broken.chmod(0o700)
    settings = Settings(state_dir=tmp_path / ".lab", port_offset=free_offset(), tempo_bin=broken)
    try:
        with pytest.raises(StackNotReady) as caught:
            up(settings)
    finally:
        down(settings)

    said = str(caught.value)
    assert said.startswith("tempo is not ready: its process ended")
    assert str(settings.log_dir / "tempo.log") in said
    assert "cannot open my folder" in said
    assert survivors(settings) == {}


def test_a_port_in_use_names_its_holder(tmp_path: Path) -> None:
    """Nothing is started; the message has port, pid, command and the way out."""
    settings = Settings(state_dir=tmp_path / ".lab", port_offset=free_offset())
    with socket.socket() as other:
        other.bind((HOST, settings.port("tempo_http")))
        other.listen()

        with pytest.raises(StackNotReady) as caught:
            up(settings)

    said = str(caught.value)
    assert f"port {settings.port('tempo_http')} (tempo_http) is held by pid {os.getpid()}" in said
    assert Path(sys.executable).name in said
    assert f"LAB_PORT_OFFSET={settings.port_offset + 100}" in said
    assert survivors(settings) == {}


EMAILS = (
    "bob@example.com",
    "bob%40example.com",
    "bob%2540example.com",
    "bob.o-neil+lab@mail.example.co.uk",
    "bob%40example%2Ecom",
    "jürgen@exämple.de",
)
CARDS = (
    "4242424242424242",
    "4242-4242-4242-4242",
    "4242 4242 4242 4242",
    "4242%204242%204242%204242",
    "4242+4242+4242+4242",
    "5555555555554444",
    "2223003122003222",
    "6011 1111 1111 1117",
    "378282246310005",
    "3782-822463-10005",
)
CAPTURED = tuple(
    f"{before}{secret}{after}"
    for secret in (*EMAILS, *CARDS)
    for before, after in (
        ("", ""),
        ("user=", "&page=2"),
        ("user%3D", "%26page%3D2"),
        ("ValueError('", "')"),
        ('{"who": "', '"}'),
        ("line\n", "\nnext"),
    )
)
INNOCENT = {
    "order.id": "4711",
    "order.uuid": "4f1c2b3a-4111-4111-4111-411111111111",
    "some.trace_id": "4111111111111111411111111111111a",
    "all.digits.trace_id": "41111111111111114111111111111111",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
    "price": "42.50",
    "time.ns": "1795364025483491617",
    "time.us": "1795364025483491",
    "time.iso": "2026-11-22T16:13:45.483491Z",
    "dsn": "postgresql://shop:secret@127.0.0.1:5432/users",
    "sku": "SKU-4111-1111",
}


@needs_postgres
def test_no_form_of_personal_data_passes_the_collector(settings: Settings) -> None:
    """Every form in every place is masked, in Tempo and in the copies; look-alikes are not."""
    trace_id = secrets.token_hex(16)
    planted = "\n".join(CAPTURED)
    places = {f"place.{n}": text for n, text in enumerate(CAPTURED)}
    _send_span(settings, trace_id, {**places, "url.query": planted, **INNOCENT}, planted)
    _send_log(settings, trace_id, {**places, **INNOCENT}, planted)

    stored = _trace(settings, trace_id)
    copies = settings.log_dir / "signals-logs.jsonl"
    _until(lambda: copies.exists() and trace_id in copies.read_text("utf-8"))
    copied = next(line for line in copies.read_text("utf-8").splitlines() if trace_id in line)

    for where, text in (("Tempo", stored), ("the copy", copied)):
        leaked = [secret for secret in (*EMAILS, *CARDS) if secret in text]
        assert (where, leaked) == (where, [])
        assert text.count("****") >= len(CAPTURED)
        eaten = {name: value for name, value in INNOCENT.items() if value not in text}
        assert (where, eaten) == (where, {})
        assert '"_name"' not in text
        assert '"_status"' not in text


def _starts(settings: Settings, name: str) -> Iterator[int]:
    supervisor = Supervisor(settings.run_dir, settings.log_dir, settings.port("supervisor"))
    return (birth.pid for birth in supervisor.births() if birth.name == name)


def _outside(base: Path) -> dict[str, object]:
    def facts(path: Path) -> tuple[int, int, int]:
        found = path.stat()
        return found.st_mode, found.st_uid, found.st_gid

    homes = (Path.home(), Path(pwd.getpwuid(os.getuid()).pw_dir))
    return {
        "users": Path("/etc/passwd").read_bytes(),
        "groups": Path("/etc/group").read_bytes(),
        "home": sorted(entry.name for entry in Path.home().iterdir()),
        "folders": {str(path): facts(path) for path in (*homes, base, *base.parents)},
    }


def _until(condition: Any, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if condition():
                return
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


def _attributes(values: Mapping[str, str]) -> list[dict[str, object]]:
    return [{"key": key, "value": {"stringValue": text}} for key, text in values.items()]


def _send_span(
    settings: Settings, trace_id: str, attributes: Mapping[str, str], planted: str = "plain"
) -> None:
    now = time.time_ns()
    exception = {"exception.message": planted, "exception.stacktrace": planted}
    span = {
        "traceId": trace_id,
        "spanId": secrets.token_hex(8),
        "name": f"GET {planted}",
        "kind": 2,
        "startTimeUnixNano": str(now),
        "endTimeUnixNano": str(now + 1_000_000),
        "attributes": _attributes(attributes),
        "status": {"code": 2, "message": planted},
        "events": [
            {"timeUnixNano": str(now), "name": "exception", "attributes": _attributes(exception)}
        ],
    }
    resource = {"attributes": _attributes({"service.name": "auth", "host.owner": planted})}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    _post(settings, "traces", body)


def _send_log(
    settings: Settings, trace_id: str, attributes: Mapping[str, str], planted: str
) -> None:
    record = {
        "timeUnixNano": str(time.time_ns()),
        "traceId": trace_id,
        "body": {"stringValue": planted},
        "attributes": _attributes(attributes),
    }
    resource = {"attributes": _attributes({"service.name": "auth"})}
    body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}
    _post(settings, "logs", body)


def _post(settings: Settings, signal_name: str, body: Mapping[str, object]) -> None:
    url = f"{settings.url('otelcol_otlp_http')}/v1/{signal_name}"
    httpx.post(url, json=body, trust_env=False, timeout=5).raise_for_status()


def _trace(settings: Settings, trace_id: str) -> str:
    """Tempo's whole answer for one trace."""
    url = f"{settings.url('tempo_http')}/api/traces/{trace_id}"
    answer: list[str] = []

    def found() -> bool:
        response = httpx.get(url, trust_env=False, timeout=5)
        if response.status_code == httpx.codes.OK and '"spans"' in response.text:
            answer.append(response.text)
        return bool(answer)

    _until(found)
    return answer[-1]
