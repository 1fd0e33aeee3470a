"""Run a program that listens on a socket, without the one that an earlier run left.

Called as ``python -m lab.adapters.stack.fresh_socket SOCKET PROGRAM WORDS…``. Who was killed
leaves its socket behind, and nobody can listen where one is. The process becomes the program.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main(socket: str, *command: str) -> None:
    """Remove ``socket``, then be ``command``."""
    Path(socket).unlink(missing_ok=True)
    os.execvp(command[0], command)  # noqa: S606 -- the words are the stack's own


if __name__ == "__main__":
    main(*sys.argv[1:])
