"""The shop from the command line: the parent, one service alone, or the migrations."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import NoReturn

from lab.shop import topology


def main() -> None:
    """Parse and do; ``python -m lab.shop --help`` tells what."""
    parser = argparse.ArgumentParser(prog="python -m lab.shop", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    parent = commands.add_parser("parent", help="fork the seven services and control them")
    parent.add_argument("--port-offset", type=int, default=0)
    parent.add_argument(
        "--secret-file", type=Path, help="whoever changes a service has to tell what is in it"
    )
    where = parent.add_mutually_exclusive_group(required=True)
    where.add_argument("--log-dir", type=Path)
    where.add_argument(
        "--only", choices=topology.SERVICES, help="this one, in a container, by host names"
    )
    commands.add_parser(
        "migrate", help="create the databases and bring them up to date (PGHOST, PGPORT, PGUSER, …)"
    )
    instrumented = commands.add_parser(
        "instrumented", help="one service in a container, under opentelemetry-instrument"
    )
    instrumented.add_argument("service", choices=topology.SERVICES)
    for service in topology.SERVICES:
        commands.add_parser(service, help="this service alone, as its environment says")
    arguments = parser.parse_args()
    if arguments.command == "parent":
        _run_parent(arguments.port_offset, arguments.log_dir, arguments.only, arguments.secret_file)
    elif arguments.command == "instrumented":
        _instrument(arguments.service)
    elif arguments.command == "migrate":
        _migrate()
    else:
        _serve(arguments.command)


def _run_parent(
    offset: int, log_dir: Path | None, only: str | None, secret_file: Path | None
) -> None:
    from lab.shop.keeper import parent

    parent.run(offset=offset, log_dir=log_dir, only=only, secret_file=secret_file)


def _instrument(service: str) -> NoReturn:
    """Become ``opentelemetry-instrument python -m lab.shop SERVICE``.

    Its environment is the topology's; whatever a deployment sets goes before it.
    """
    from lab.shop.keeper.environment import service_environment

    known = service_environment(
        service,
        postgres_user=os.environ.get("PGUSER", "shop"),
        postgres_password=os.environ.get("PGPASSWORD", ""),
        by_name=True,
    )
    command = ("opentelemetry-instrument", sys.executable, "-m", "lab.shop", service)
    os.execvpe(command[0], command, {**known, **os.environ})  # noqa: S606 -- it is to be this one


def _serve(service: str) -> None:
    from lab.shop.service import serve
    from lab.shop.telemetry import SpanCounter

    serve(service, SpanCounter(memoryview(bytearray(8))))


def _migrate() -> None:
    from lab.shop.migrate import migrate

    host, port = os.environ.get("PGHOST", topology.HOST), os.environ.get("PGPORT", "5432")
    for name in asyncio.run(migrate(lambda database: f"postgresql://{host}:{port}/{database}")):
        sys.stdout.write(f"applied {name}\n")


if __name__ == "__main__":
    main()
