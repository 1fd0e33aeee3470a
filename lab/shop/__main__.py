"""The shop from the command line: the parent, one service alone, or the migrations."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from lab.shop import topology


def main() -> None:
    """Parse and do; ``python -m lab.shop --help`` tells what."""
    parser = argparse.ArgumentParser(prog="python -m lab.shop", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    parent = commands.add_parser("parent", help="fork the seven services and control them")
    parent.add_argument("--port-offset", type=int, default=0)
    parent.add_argument("--log-dir", type=Path, required=True)
    commands.add_parser(
        "migrate", help="create the databases and bring them up to date (PGHOST, PGPORT, PGUSER, …)"
    )
    for service in topology.SERVICES:
        commands.add_parser(service, help="this service alone, as its environment says")
    arguments = parser.parse_args()
    if arguments.command == "parent":
        _run_parent(arguments.port_offset, arguments.log_dir)
    elif arguments.command == "migrate":
        _migrate()
    else:
        _serve(arguments.command)


def _run_parent(offset: int, log_dir: Path) -> None:
    from lab.shop import parent

    parent.run(offset=offset, log_dir=log_dir)


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
