"""Free play: the command line and environment of a Locust with the lab's actors."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, NoReturn

import psutil

from lab.adapters.locust_load import PACKAGE_ROOT, clean_environment
from lab.errors import UsageError
from lab.load.most import (
    MOST_VARIABLE,
    PROCESSES_A_CORE,
    most_users,
    rate_problem,
    users_problem,
)
from lab.settings import Settings
from lab.shop import topology

PORTS: Final = range(1, 65536)


class FreePlay(NamedTuple):
    """A Locust command line and its environment, to be exec'ed."""

    argv: list[str]
    environment: dict[str, str]


class _Options(argparse.ArgumentParser):
    """Of Locust's options those that matter here, abbreviated or not, as Locust reads them."""

    def __init__(self) -> None:
        super().__init__(add_help=False, prog="lab load")
        self.add_argument("-u", "--users", type=_whole)
        self.add_argument("-r", "--spawn-rate", type=float)
        self.add_argument("--processes", type=_whole)
        for port in ("--master-bind-port", "--master-port"):
            self.add_argument(port, type=_port)
        self.add_argument("-P", "--web-port", type=_port)
        for flag in ("--headless", "--master", "--worker"):
            self.add_argument(flag, action="store_true")

    def error(self, message: str) -> NoReturn:
        """Refuse as every command does; by itself a parser would end the process."""
        raise UsageError(f"expected what Locust takes, found: {message}; `lab load -- --help`")


def free_play_command(
    settings: Settings, arguments: Sequence[str], *, any_number: bool = False
) -> FreePlay:
    """The command behind ``lab load``: Locust's own web UI with the lab's actors.

    ``arguments`` go through to Locust (``--users 20``, ``--headless``, ``--master``,
    ``--worker`` …). With users the load starts at once. Everything listens on loopback.
    UsageError for more than the machine bears, here as well as on the page; with
    ``any_number`` whoever plays has said that they mean it.
    """
    most = None if any_number else most_users(psutil.virtual_memory().available, _cores())
    given = _Options().parse_known_args(list(arguments))[0]
    _check(given, most)
    options = ["--host", settings.url("gateway")]
    # A declined card is a failed request to Locust, and no reason to exit with 1.
    options += ["--exit-code-on-error", "0"]
    options += _ports(settings, given) + _start(given)
    locustfile = PACKAGE_ROOT / "lab" / "load" / "locustfile.py"
    return FreePlay(
        argv=[sys.executable, "-m", "locust", "-f", str(locustfile), *options, *arguments],
        environment={
            **clean_environment(settings.propagators),
            "OTEL_EXPORTER_OTLP_ENDPOINT": settings.url("otelcol_otlp_http"),
            **({} if most is None else {MOST_VARIABLE: str(most)}),
        },
    )


def _cores() -> int:
    return os.cpu_count() or 1


def _whole(text: str) -> int:
    if not text.removeprefix("-").isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text[:40]!r}")
    return int(text)


def _port(text: str) -> int:
    if _whole(text) not in PORTS:
        raise argparse.ArgumentTypeError(f"expected a port, {PORTS[0]} to {PORTS[-1]}, got {text}")
    return int(text)


def _check(given: argparse.Namespace, most: int | None) -> None:
    checks: tuple[tuple[float | None, Callable[..., str | None]], ...] = (
        (given.users, users_problem),
        (given.spawn_rate, rate_problem),
    )
    problems = [check(value, most) for value, check in checks if value is not None]
    processes = given.processes
    if processes is not None and processes != -1:
        bound = most and PROCESSES_A_CORE * _cores()
        if processes < 1 or (bound is not None and processes > bound):
            problems.append(
                f"expected {'1 or more' if bound is None else f'1 to {bound}'} processes, "
                f"or -1 for one a core, got {processes}"
            )
    if any(problems):
        raise UsageError("\n".join(filter(None, problems)))


def _ports(settings: Settings, given: argparse.Namespace) -> list[str]:
    """Where this checkout's Locust listens, and where its workers find their master."""
    web, master = str(settings.port("locust_web")), str(settings.port("locust_master"))
    options = []
    if not given.worker and not given.headless:
        options += ["--web-host", topology.HOST, "--web-port", web]
    if given.master or given.processes is not None:
        options += ["--master-bind-host", topology.HOST, "--master-bind-port", master]
    if given.worker or given.processes is not None:
        options += ["--master-port", master]
    return options


def _start(given: argparse.Namespace) -> list[str]:
    """What makes given users start, all of them at once."""
    if given.users is None or given.worker:
        return []
    return ["--spawn-rate", str(given.users)] + ([] if given.headless else ["--autostart"])
