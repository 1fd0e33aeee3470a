"""What git knows of this checkout: which commit it is, and when its files last changed."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

UNCOMMITTED_S: float = float("inf")
"""When a file was changed that no commit has yet: later than anything."""


class GitHistory:
    """The history of the checkout at ``root``; of what is no checkout nothing is known."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def commit(self, *, apart_from: str) -> str:
        """The commit's short name, with a + where a file but ``apart_from`` differs from it."""
        name = self._git("rev-parse", "--short", "HEAD") or "unknown"
        changed = self._git("status", "--porcelain", "-uno", "--", ".", f":!{apart_from}")
        return f"{name}+" if changed else name

    def changed_at_s(self, paths: Sequence[str]) -> float:
        """When any of ``paths`` last changed (Unix seconds); 0 where nothing is known."""
        if self._git("status", "--porcelain", "--", *paths):
            return UNCOMMITTED_S
        return float(self._git("log", "-1", "--format=%ct", "--", *paths) or 0)

    def _git(self, *words: str) -> str:
        try:
            done = subprocess.run(
                ["git", "-C", str(self._root), *words],  # noqa: S607 — whichever git there is
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError:
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""
