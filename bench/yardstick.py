"""What tells a slow machine from slow code: the bare libraries, measured in the same sitting."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

LIBRARIES: Final = (sys.executable, "-c", "import typer, rich, pydantic")
"""What no command of the lab can do without."""

WITHIN_S: Final = 120


def as_a_user_has_it(place: Path) -> dict[str, str]:
    """This environment, with bytecode kept below ``place``.

    After the first run of a command nobody waits for the compiler; where bytecode may not be
    written beside the sources, as in many containers, each run would be measured with it.
    """
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(place / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def processor_s(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """What one run of ``command`` took of the processors, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=WITHIN_S
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def told(bare_s: Sequence[float]) -> str:
    """The sentence that says what the bare libraries took, round by round, in seconds."""
    if not bare_s:
        return "The bare libraries beside it could not be measured."
    numbers = min(bare_s), statistics.median(bare_s), max(bare_s)
    return (
        f"In the same sitting `python {' '.join(LIBRARIES[1:])}` took "
        f"{' / '.join(f'{each:.2f}' for each in numbers)} s (n={len(bare_s)}): where that is "
        "more than elsewhere, the machine was slower, and not the lab."
    )
