"""Which of the Collector's files are read for a stack, and what they ask of the machine.

Each file below ``deploy/otelcol`` is merged over those before it: the one that
every stack has, then metrics and logs, then a second backend.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lab.errors import ToolMissing, UsageError
from lab.settings import CHECKOUT, Settings

FOLDER: Final = CHECKOUT / "deploy" / "otelcol"


def files(settings: Settings) -> tuple[Path, ...]:
    """The files in the order in which they are merged."""
    names = ["collector"]
    if settings.signals == "full":
        names.append("signals")
    if settings.backend is not None:
        names.append(f"backend-{settings.backend}")
    if settings.store != "tempo":
        names.append(f"store-{settings.store}")
    return tuple(FOLDER / f"{name}.yaml" for name in names)


def options(settings: Settings) -> tuple[str, ...]:
    """The same as words of a command line."""
    return tuple(word for path in files(settings) for word in ("--config", str(path)))


def make_copies(settings: Settings) -> None:
    """Make the files of the masked copies for their owner alone, where they are missing.

    The Collector would make them for everybody, and keeps the mode of those that are there.
    """
    for signal in ("logs", "metrics"):
        copy = settings.log_dir / f"signals-{signal}.jsonl"
        copy.touch()
        copy.chmod(0o600)


def check_backend(settings: Settings, environment: Mapping[str, str]) -> None:
    """Raise what keeps a second backend from working, before anything is started.

    ToolMissing for a Collector without the exporter, UsageError for a key that is
    missing. What the key is, no message says.
    """
    if settings.backend != "datadog":
        return
    if settings.otelcol_bin is None:
        raise ToolMissing(
            "expected a Collector that can export to Datadog, found the small one of this stack; "
            "set LAB_OTELCOL_BIN to otelcol-contrib 0.159.0, or use STACK=compose"
        )
    if not environment.get("DD_API_KEY"):
        raise UsageError("expected DD_API_KEY in the environment for BACKEND=datadog, found none")
