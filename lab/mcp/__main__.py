"""``python -m lab.mcp TASK``: a task file of the benchmark over standard input and output.

This is all of the lab that goes into a task's container: it knows no case, no truth and no judge.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lab.errors import LabError
from lab.mcp import lighten_the_sdk
from lab.mcp.exam import ExamRoom
from lab.mcp.task_file import read


def main() -> None:
    """Serve until standard input is closed; exits with 64 where the task cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m lab.mcp", description=__doc__)
    parser.add_argument("task", type=Path, help="the task file")
    parser.add_argument("--accusation", type=Path, default=Path("accusation.json"))
    parser.add_argument("--profile", choices=("all", "jaeger", "tempo"), default="all")
    given = parser.parse_args()
    try:
        room = ExamRoom(read(given.task), given.accusation)
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(64)
    lighten_the_sdk()
    import anyio

    from lab.mcp.server import Opening, serve_stdio

    anyio.run(serve_stdio, Opening(lambda: room), given.profile)


if __name__ == "__main__":
    main()
