"""A pytest session of somebody else's project, in a process and a folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from lab.settings import CHECKOUT


@dataclass(frozen=True)
class Session:
    """How a session went: its exit code, all it printed, and how many tests came to what."""

    code: int
    text: str

    @property
    def counts(self) -> dict[str, int]:
        summary = self.text.strip().splitlines()[-1]
        return {word: int(n) for n, word in re.findall(r"(\d+) ([a-z]+)(?=[, ]|$)", summary)}


def run(
    folder: Path, *words: str, plugin: bool = True, environment: dict[str, str] | None = None
) -> Session:
    """Run ``pytest`` on the files of ``folder``, with the plugin alone."""
    loaded = ("-p", "lab.testing.plugin") if plugin else ()
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *loaded, *words]
    done = subprocess.run(
        command,
        cwd=folder,
        env={
            **os.environ,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": str(CHECKOUT),
            "PYTHONDONTWRITEBYTECODE": "1",
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Session(done.returncode, done.stdout + done.stderr)


def write(folder: Path, text: str, name: str = "test_it.py") -> Path:
    """A file of tests; ``text`` may be indented."""
    path = folder / name
    path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    return path
