"""The command line behind free play."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from lab.adapters import free_play
from lab.adapters.free_play import FreePlay, free_play_command
from lab.adapters.locust_load import clean_environment
from lab.errors import UsageError
from lab.load.most import MOST_VARIABLE, most_users
from lab.settings import Settings
from lab.shop import topology


def command(*arguments: str) -> FreePlay:
    return free_play_command(Settings(port_offset=100), arguments)


def value(play: FreePlay, option: str) -> str | None:
    """The value of ``option``, None where it is not given."""
    if option not in play.argv:
        return None
    return play.argv[play.argv.index(option) + 1]


def test_the_web_ui_is_on_loopback_and_on_the_labs_port() -> None:
    """Free play opens Locust's own page, of this checkout, and nothing to the network."""
    play = command()

    assert (value(play, "--web-host"), value(play, "--web-port")) == (
        topology.HOST,
        str(topology.port("locust_web", 100)),
    )
    assert value(play, "--host") == topology.url("gateway", 100)
    endpoint = play.environment["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert endpoint == topology.url("otelcol_otlp_http", 100)
    assert "--autostart" not in play.argv


def test_arguments_go_through_last() -> None:
    """So they win over the lab's own."""
    play = command("--headless", "--run-time", "1m")

    assert play.argv[-3:] == ["--headless", "--run-time", "1m"]
    assert value(play, "--web-port") is None


@pytest.mark.parametrize("users", [("--users", "5"), ("-u", "5"), ("--users=5",)])
def test_given_users_start_at_once(users: tuple[str, ...]) -> None:
    """All of them, and in the web UI without a click."""
    assert value(command(*users), "--spawn-rate") == "5"
    assert "--autostart" in command(*users).argv
    assert "--autostart" not in command(*users, "--headless").argv
    assert value(command(*users, "--worker"), "--spawn-rate") is None


def test_a_worker_finds_the_master_of_this_checkout() -> None:
    """Master and workers meet on the lab's port, so two checkouts do not mix."""
    port = str(topology.port("locust_master", 100))

    assert value(command("--master"), "--master-bind-port") == port
    assert value(command("--worker"), "--master-port") == port
    assert value(command("--processes", "2"), "--master-bind-port") == port
    assert value(command("--processes", "2"), "--master-port") == port


def test_settings_for_others_do_not_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sampler meant for another service would drop the roots."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")

    assert "OTEL_TRACES_SAMPLER" not in command().environment


def test_actors_write_the_headers_that_the_shop_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """One setting for both; the lab's own variable goes before the standard one."""
    assert command().environment["OTEL_PROPAGATORS"] == "tracecontext,baggage"
    monkeypatch.setenv("OTEL_PROPAGATORS", "jaeger")
    assert command().environment["OTEL_PROPAGATORS"] == "jaeger"
    monkeypatch.setenv("LAB_PROPAGATORS", "b3, baggage")
    assert command().environment["OTEL_PROPAGATORS"] == "b3,baggage"


def test_neither_do_settings_of_the_users_own_locust(monkeypatch: pytest.MonkeyPatch) -> None:
    """Users, a host or a mode meant for another test of theirs; nor do they reach a run's load."""
    for name in ("LOCUST_USERS", "LOCUST_HOST", "LOCUST_MODE_WORKER", "LOCUST_SKIP_MONKEY_PATCH"):
        monkeypatch.setenv(name, "1")

    for environment in (command().environment, clean_environment("b3")):
        assert not [name for name in environment if name.startswith("LOCUST_")]


MEMORY, CORES = 8 * 2**30, 2
MOST = 1000


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cores and enough memory."""
    monkeypatch.setattr(free_play, "_cores", lambda: CORES)
    memory = SimpleNamespace(available=MEMORY)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)


@pytest.mark.parametrize(
    ("free_bytes", "cores", "most"),
    [(MEMORY, CORES, MOST), (2**40, 64, 32_000), (200 * 2**20, 64, 100), (0, 1, 1)],
)
def test_cores_and_memory_bound_the_users(free_bytes: int, cores: int, most: int) -> None:
    """The scarcer of the two; one user is always let in."""
    assert most_users(free_bytes, cores) == most


def refusal(*arguments: str, any_number: bool = False) -> str:
    with pytest.raises(UsageError) as caught:
        free_play_command(Settings(port_offset=100), arguments, any_number=any_number)
    return str(caught.value)


SPELLINGS = [("--users", "{}"), ("--users={}",), ("-u", "{}"), ("-u{}",), ("--us", "{}")]


@pytest.mark.parametrize("spelling", SPELLINGS, ids=" ".join)
def test_more_users_than_the_machine_bears_are_refused(spelling: tuple[str, ...]) -> None:
    """However they are written; the bound itself is let in, and the locustfile learns of it."""
    told = refusal(*(each.format(100_000_000) for each in spelling))
    assert f"expected 1 to {MOST} users" in told
    assert "got 100000000; `lab load --yes-really` lifts the bound" in told
    play = command(*(each.format(MOST) for each in spelling))
    assert play.environment[MOST_VARIABLE] == str(MOST)


@pytest.mark.parametrize("spelling", SPELLINGS, ids=" ".join)
@pytest.mark.parametrize("users", ["0", "-1", "2.5", "many", "1e3", "9" * 5000])
def test_what_is_no_number_of_users_is_refused_by_us(spelling: tuple[str, ...], users: str) -> None:
    """Also where any number is meant, and not by Locust's traceback."""
    for any_number in (False, True):
        arguments = [each.format(users) for each in spelling]
        told = refusal(*arguments, any_number=any_number)
        assert "expected 1" in told or "expected a whole number" in told


@pytest.mark.parametrize("option", ["-r", "--spawn-rate"])
@pytest.mark.parametrize("rate", ["0", "-3", "1001", "1e9", "inf", "nan"])
def test_so_is_a_rate(option: str, rate: str) -> None:
    """Users that start by the thousand are as many."""
    assert f"expected more than 0 to {MOST} users a second to start" in refusal(option, rate)
    assert command("--users", "2", option, "0.5").argv[-1] == "0.5"


@pytest.mark.parametrize("processes", ["0", "-2", "9", "100000"])
def test_so_are_processes(processes: str) -> None:
    """Each is a Locust of its own."""
    assert "expected 1 to 8 processes, or -1 for one a core" in refusal("--processes", processes)
    assert command("--processes", "8").argv[-1] == "8"
    assert command("--processes", "-1").argv[-1] == "-1"


def test_whoever_means_it_may() -> None:
    """The bound is lifted for the page as well."""
    play = free_play_command(Settings(), ("--users", "5000", "-r", "2000"), any_number=True)
    assert MOST_VARIABLE not in play.environment


@pytest.mark.parametrize("option", ["--web-port", "-P", "--master-port", "--master-bind-port"])
@pytest.mark.parametrize("port", ["99999", "0", "-1"])
def test_a_port_that_is_none_is_refused(option: str, port: str) -> None:
    """By itself Locust would print a traceback."""
    assert f"expected a port, 1 to 65535, got {port}" in refusal(option, port)


def test_an_option_without_its_value_is_refused() -> None:
    """As every command refuses it."""
    assert "--users" in refusal("--users")


INTERRUPTED_IN_A_THREAD = """
import signal, threading, time

def interrupt():
    time.sleep(0.5)
    signal.raise_signal(signal.SIGINT)

threading.Thread(target=interrupt).start()
"""


def test_ctrl_c_ends_it_wherever_it_strikes(tmp_path: Path) -> None:
    """Also in a thread, such as the one that sends the spans, which would only print it."""
    thread = tmp_path / "thread.py"
    thread.write_text(INTERRUPTED_IN_A_THREAD)
    play = command("--headless", "--users", "1")
    play.argv[play.argv.index("-f") + 1] += f",{thread}"

    done = subprocess.run(play.argv, env=play.environment, capture_output=True, timeout=60)

    assert done.returncode == 0, done.stderr.decode()
