"""The running stack keeps to itself: who may reach it, and what it may write."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest

from lab import bootstrap
from lab.domain.fault import Fault, Toxic
from lab.settings import CHECKOUT, Settings
from lab.shop.keeper import secret
from lab.shop.topology import EDGES, HOST, PORTS, SERVICES
from tests.support.lab_under_test import PROOF_WITHIN_S, LabUnderTest, lab_up

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ELSEWHERE = "http://shop.example.com"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CLOSED = {
    *("locust_web", "locust_master", "grafana", "prometheus", "loki", "loki_grpc"),
    *("prometheus_inside", "tempo_memberlist"),
    *("jaeger", "jaeger_inside", "jaeger_otlp_grpc", "jaeger_health", "jaeger_metrics"),
}
"""Ports that `lab up` keeps free and opens nothing on; a Tempo alone gossips with nobody."""

HTTP_PARTS = (
    *SERVICES,
    *("tempo_http", "otelcol_otlp_http", "otelcol_health", "otelcol_metrics"),
    *("warden", "shop_control", "toxiproxy", "supervisor", "desk"),
)


@dataclass(frozen=True)
class Answer:
    """What a part said to a request."""

    status: int
    headers: dict[str, str]


def ask(
    port: int,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """One request, as a page in a browser could be made to send it."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()})
    finally:
        connection.close()


# --- who may reach it ---


def listeners(process: psutil.Process) -> list[tuple[str, int]]:
    """Address and port of everything a process and its children listen on, TCP and UDP."""
    found = []
    for each in (process, *process.children(recursive=True)):
        # A database's processes come and go.
        with suppress(psutil.NoSuchProcess):
            for connection in each.net_connections("inet"):
                waits = connection.type == socket.SOCK_DGRAM and not connection.raddr
                if waits or connection.status == psutil.CONN_LISTEN:
                    found.append((connection.laddr.ip, connection.laddr.port))
    return found


def open_to_others(process: psutil.Process) -> list[tuple[str, int]]:
    """Those of them that another machine could reach."""
    return [
        (address, port)
        for address, port in listeners(process)
        if not ipaddress.ip_address(address.partition("%")[0]).is_loopback
    ]


def supervisord(lab: LabUnderTest) -> psutil.Process:
    """The process that every other of the stack descends from."""
    return psutil.Process(int((lab.settings.run_dir / "supervisord.pid").read_text()))


def test_every_listener_of_the_stack_is_on_loopback(lab: LabUnderTest) -> None:
    """TCP and UDP, IPv4 and IPv6, of every process below the supervisor."""
    root = supervisord(lab)
    ours = {lab.settings.port(name) for name in PORTS.keys() - CLOSED}
    assert lab.processes() <= {root.pid, *(each.pid for each in root.children(recursive=True))}
    assert open_to_others(root) == []
    assert {port for _, port in listeners(root)} >= ours
    assert len(ours) > len(EDGES) + len(SERVICES)


@pytest.mark.parametrize(
    ("family", "kind", "address"),
    [
        (socket.AF_INET, socket.SOCK_STREAM, "0.0.0.0"),
        (socket.AF_INET, socket.SOCK_DGRAM, "0.0.0.0"),
        (socket.AF_INET6, socket.SOCK_STREAM, "::"),
        (socket.AF_INET6, socket.SOCK_DGRAM, "::"),
    ],
)
def test_a_listener_that_is_open_to_others_is_found(
    family: socket.AddressFamily, kind: socket.SocketKind, address: str
) -> None:
    """The check above does reject."""
    if family == socket.AF_INET6 and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with socket.socket(family, kind) as listener:
        listener.bind((address, 0))
        if kind == socket.SOCK_STREAM:
            listener.listen()
        port = listener.getsockname()[1]
        assert (address, port) in open_to_others(psutil.Process())


@pytest.mark.parametrize(
    ("part", "path"), [("warden", "/leases/current"), ("shop_control", "/services"), ("desk", "/")]
)
def test_what_controls_the_lab_answers_no_page_of_another_site(
    lab: LabUnderTest, part: str, path: str
) -> None:
    """A foreign name for 127.0.0.1 and a foreign origin are refused, whatever is asked."""
    port = lab.settings.port(part)
    for method in ("GET", "POST", "PUT", "DELETE"):
        for host in ("shop.example.com", f"shop.example.com:{port}", "127.0.0.1.example.com"):
            assert ask(port, method, path, {"Host": host}).status in {400, 403, 501}
        assert ask(port, method, path, {"Origin": ELSEWHERE}).status in {403, 501}
        assert ask(port, method, path, {"Origin": "null"}).status in {403, 501}
    told = dict(secret.headers(lab.settings.secret_file))
    assert ask(port, "GET", path, told).status == 200
    assert ask(port, "GET", path, told | {"Host": f"localhost:{port}"}).status == 200


@pytest.mark.parametrize(
    ("part", "method", "path"),
    [("warden", "POST", "/leases"), ("shop_control", "PUT", "/services/bank")],
)
def test_what_controls_the_lab_takes_no_endless_body(
    lab: LabUnderTest, part: str, method: str, path: str
) -> None:
    """64 KiB are enough for any lease and any environment."""
    port = lab.settings.port(part)
    too_long = b'{"environment": {"A": "' + b"x" * 64 * 1024 + b'"}}'
    told = {**JSON, **secret.headers(lab.settings.secret_file)}
    assert ask(port, method, path, told, too_long).status == 413
    assert ask(port, method, path, told, b'{"A": 1}').status in {400, 422}


CONTROLS = [
    ("warden", "GET", "/leases/current"),
    ("warden", "GET", "/edges"),
    ("warden", "POST", "/leases"),
    ("warden", "POST", "/heal"),
    ("shop_control", "GET", "/services"),
    ("shop_control", "PUT", "/services/bank"),
    ("shop_control", "PUT", "/services"),
    ("toxiproxy", "GET", "/proxies"),
    ("toxiproxy", "POST", "/proxies"),
    ("toxiproxy", "POST", "/reset"),
    ("toxiproxy", "POST", "/proxies/auth-users_db/toxics"),
    ("toxiproxy", "DELETE", "/proxies/auth-users_db"),
]


@pytest.mark.parametrize(("part", "method", "path"), CONTROLS)
def test_what_controls_the_lab_answers_only_who_tells_its_secret(
    lab: LabUnderTest, part: str, method: str, path: str
) -> None:
    """Any account of this machine reaches loopback; the secret's file only its owner reads."""
    port = lab.settings.port(part)
    body = b'{"environment": {}}' if method != "GET" else None
    for headers in (JSON, JSON | {secret.HEADER: "Bearer guessed"}):
        assert ask(port, method, path, headers, body).status == 401
    assert lab.settings.secret_file is not None
    assert stat.S_IMODE(lab.settings.secret_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(lab.settings.state_dir.stat().st_mode) == 0o700


def test_no_secret_stands_where_others_can_see_it(lab: LabUnderTest) -> None:
    """Neither in a command line nor in an environment; a path may."""
    told = secret.read(lab.settings.secret_file)
    assert told
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            assert told not in " ".join(process.cmdline())
            assert told not in str(process.environ())


def test_the_supervisor_asks_for_its_password(lab: LabUnderTest) -> None:
    """Its page and its calls could end every part."""
    port = lab.settings.port("supervisor")
    assert ask(port, "GET", "/").status == 401
    assert ask(port, "POST", "/RPC2", body=b"<methodCall/>").status == 401
    assert ask(port, "GET", "/", {"Authorization": "Basic bGFiOmxhYg=="}).status == 401


def test_toxiproxy_answers_no_browser_even_with_its_secret(lab: LabUnderTest) -> None:
    """Neither what says that it is one, nor what calls it by a rebound name."""
    port = lab.settings.port("toxiproxy")
    told = dict(secret.headers(lab.settings.secret_file))
    page = told | {"User-Agent": "Mozilla/5.0 (X11; Linux)"}
    assert ask(port, "GET", "/proxies", page).status == 403
    assert ask(port, "GET", "/proxies", told | {"Host": f"evil.example:{port}"}).status == 403
    assert ask(port, "GET", "/proxies", told).status == 200


@pytest.mark.parametrize(
    ("part", "path"),
    [
        *(("tempo_http", path) for path in ("/shutdown", "/flush", "/ingester/ring", "/config")),
        *(("tempo_http", path) for path in ("/api/../shutdown", "/api//../flush", "//shutdown")),
        *(("tempo_http", path) for path in ("/api/%2e%2e/shutdown", "/status/config", "/")),
        *(("otelcol_otlp_http", path) for path in ("/", "/v1/traces/x", "/debug/pprof/")),
    ],
)
def test_what_could_stop_or_change_a_store_does_not_exist(
    lab: LabUnderTest, part: str, path: str
) -> None:
    """Not for a link in a page, nor for any program that knows no more than the port."""
    port = lab.settings.port(part)
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert ask(port, method, path).status in {301, 307, 404, 405}
    assert ask(lab.settings.port("tempo_http"), "GET", "/ready").status == 200


def test_no_page_reads_or_writes_a_store_under_a_rebound_name(lab: LabUnderTest) -> None:
    """Its requests then are of one origin, and look as the store's own would."""
    for part, method, path in (
        ("tempo_http", "GET", "/api/search"),
        ("otelcol_otlp_http", "POST", "/v1/traces"),
    ):
        port = lab.settings.port(part)
        name = f"shop.example.com:{port}"
        for headers in ({"Host": name}, {"Host": name, "Origin": f"http://{name}"}):
            body = b'{"resourceSpans": []}' if method == "POST" else None
            assert ask(port, method, path, headers | JSON, body).status == 403


def test_a_strangers_proxy_is_named_and_removed(lab: LabUnderTest) -> None:
    """`lab doctor` and `lab run` say what it is, and `lab heal` what it removed."""
    port = lab.settings.port("toxiproxy")
    told = dict(secret.headers(lab.settings.secret_file)) | JSON
    warden = lab.settings.port("warden")
    spy = f'{{"name": "spy", "listen": "{HOST}:0", "upstream": "{HOST}:{warden}"}}'
    assert ask(port, "POST", "/proxies", told, spy.encode()).status == 201
    moved = f'{{"upstream": "{HOST}:{warden}"}}'.encode()
    assert ask(port, "POST", "/proxies/payments-bank", told, moved).status == 200

    doctor = lab.run("doctor", "--json")
    assert doctor.returncode == 1
    edges = next(each for each in json.loads(doctor.stdout) if each["name"] == "edges")
    assert edges["level"] == "fail"
    assert "spy: a proxy of no edge" in edges["found"]
    assert "payments-bank" in edges["found"]
    refused = lab.run("run", "db-timeout")
    assert refused.returncode != 0
    assert "spy" in refused.stderr
    healed = lab.run("heal")
    assert healed.returncode == 0
    assert "2 removed; the shop is clean" in healed.stdout
    assert "spy: a proxy of no edge" in healed.stdout
    assert lab.run("doctor").returncode == 0


@pytest.mark.parametrize("part", HTTP_PARTS)
def test_no_part_lets_a_page_of_another_site_read_it(lab: LabUnderTest, part: str) -> None:
    """Nobody hands out a CORS header to anybody but the shop's own page, which is none of these."""
    port = lab.settings.port(part)
    asks = {"Origin": ELSEWHERE, "Access-Control-Request-Method": "POST"}
    for path in ("/", "/products", "/login", "/v1/traces", "/api/search"):
        for method in ("GET", "OPTIONS", "POST"):
            answer = ask(port, method, path, asks)
            assert "access-control-allow-origin" not in answer.headers, (method, path)


ASKS_TO_SEND_SPANS = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type",
}


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_shops_own_page_may_send_spans_to_the_collector(lab: LabUnderTest, name: str) -> None:
    """Under both names of this machine; and it alone is told so, not everybody."""
    port = lab.settings.port("otelcol_otlp_http")
    page = f"http://{name}:{lab.settings.port('gateway')}"
    asked = ask(port, "OPTIONS", "/v1/traces", {"Origin": page, **ASKS_TO_SEND_SPANS})
    assert asked.headers["access-control-allow-origin"] == page
    sent = ask(port, "POST", "/v1/traces", {"Origin": page, **JSON}, b'{"resourceSpans": []}')
    assert (sent.status, sent.headers["access-control-allow-origin"]) == (200, page)


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1:{desk}",
        "http://127.0.0.1:{gateway}0",
        "https://127.0.0.1:{gateway}",
        "http://shop.example.com:{gateway}",
        "http://127.0.0.1",
        "null",
    ],
)
def test_no_other_page_may_send_spans(lab: LabUnderTest, origin: str) -> None:
    """Not one of another port, scheme or host, and none without an origin."""
    ports = {name: lab.settings.port(name) for name in ("desk", "gateway")}
    asks = {"Origin": origin.format(**ports), **ASKS_TO_SEND_SPANS}
    port = lab.settings.port("otelcol_otlp_http")
    for method in ("OPTIONS", "POST"):
        answer = ask(port, method, "/v1/traces", asks | JSON, b"{}")
        assert "access-control-allow-origin" not in answer.headers, method


@contextmanager
def free_play(lab: LabUnderTest) -> Iterator[psutil.Process]:
    """`lab load` with its page up, as long as the context lasts."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(lab.command("load"), env=lab.environment, stdout=quiet, stderr=quiet)
    try:
        deadline = time.monotonic() + 30
        while lab.settings.port("locust_web") not in {
            port for _, port in listeners(psutil.Process(process.pid))
        }:
            assert process.poll() is None
            assert time.monotonic() < deadline, "Locust's page did not come up"
            time.sleep(0.2)
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)


def test_only_its_own_page_drives_the_free_load(lab: LabUnderTest) -> None:
    """Else any page could have the lab put load on any host."""
    port = lab.settings.port("locust_web")
    swarm = b"user_count=1&spawn_rate=1&host=http%3A%2F%2Fshop.example.com"
    with free_play(lab) as process:
        assert open_to_others(process) == []
        assert ask(port, "POST", "/swarm", FORM | {"Origin": ELSEWHERE}, swarm).status == 403
        assert ask(port, "POST", "/swarm", FORM | {"Host": "shop.example.com"}, swarm).status == 403
        assert ask(port, "GET", "/", {"Origin": ELSEWHERE}).status == 403
        assert ask(port, "GET", "/").status == 200
        assert ask(port, "GET", "/", {"Origin": f"http://{HOST}:{port}"}).status == 200


# --- what it may write ---


def test_what_names_the_culprit_or_opens_a_door_is_for_its_owner_alone(lab: LabUnderTest) -> None:
    """The lease, the supervisor's password and the databases: nobody else on the machine."""
    run_dir = lab.settings.run_dir

    async def mode_of_lease() -> int:
        async with bootstrap.lab(lab.settings) as parts:
            harmless = Fault("auditor-ledger_db", Toxic.LATENCY, {"latency": 1})
            lease = await parts.warden.take(
                holder="a test", faults=[harmless], conditions={}, ttl_s=10
            )
            try:
                return stat.S_IMODE((run_dir / "lease.json").stat().st_mode)
            finally:
                await parts.warden.release(lease.lease_id)

    assert anyio.run(mode_of_lease) == 0o600
    assert stat.S_IMODE((run_dir / "supervisord.conf").stat().st_mode) == 0o600
    assert stat.S_IMODE((lab.settings.data_dir / "postgres").stat().st_mode) == 0o700


def _tree(*folders: Path) -> dict[Path, tuple[float, int]]:
    """Every file and folder below ``folders``, with what a write would change."""
    return {
        path: (status.st_mtime, status.st_size)
        for folder in folders
        for path in folder.rglob("*")
        if (status := path.lstat())
    }


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what a checkout needs to run, with a case of a few seconds in it."""
    copy = tmp_path / "checkout"
    for name in ("lab", "scenarios", "deploy"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CHECKOUT / name, copy / name, ignore=ignored)
    quick = copy / "scenarios" / "slow-shelves" / "scenario.yaml"
    windows = "windows: {reference: 2s, crime: 2s, recovery: 5s}"
    lines = quick.read_text().splitlines()
    changed = [windows if line.startswith("windows:") else line for line in lines]
    assert windows in changed
    quick.write_text("\n".join(changed) + "\n")
    return copy


@pytest.mark.timeout(PROOF_WITHIN_S + 120)
def test_files_are_written_below_the_state_folder_alone(tmp_path: Path, checkout: Path) -> None:
    """Not in the checkout, nor at home, nor among temporary files, nor where the user stands.

    The cache of built tools is the one other place; whoever builds writes there. Each file
    is its owner's alone, also where somebody opens the folder.
    """
    watched = {name: tmp_path / name for name in ("home", "tmp", "here")}
    for folder in watched.values():
        folder.mkdir()
    places = {
        "HOME": str(watched["home"]),
        "TMPDIR": str(watched["tmp"]),
        # Python takes the copy's code, wherever it is called from.
        "PYTHONPATH": str(checkout),
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LAB_CACHE_DIR": str(Settings().cache_dir),
        "LAB_SCENARIOS_DIR": str(checkout / "scenarios"),
    }
    watched_all = (checkout, *watched.values(), Settings().cache_dir)
    before = _tree(*watched_all)
    with lab_up(checkout / ".lab", **places) as lab:
        here: dict[str, Any] = {"cwd": watched["here"], "stdout": subprocess.DEVNULL}
        for words in (
            *(("run", "slow-shelves"), ("traces",), ("proof", "--reveal")),
            *(("doctor",), ("heal",), ("run", "no-such-case")),
        ):
            done = lab.start(*words, **here)
            # A machine that is busy with others makes a run wait for calm, and try again.
            _, said = done.communicate(timeout=PROOF_WITHIN_S)
            assert done.returncode in {0, 1, 2, 64}, (words, said)
        assert lab.json("cases"), "the run above left no case"
    after = _tree(*watched_all)
    touched = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    state = {path for path in touched if (checkout / ".lab") in (path, *path.parents)}
    assert state
    assert touched == state
    left = [path for path in (checkout / ".lab").rglob("*") if path.is_file()]
    assert [path for path in left if stat.S_IMODE(path.stat().st_mode) & 0o077] == []
