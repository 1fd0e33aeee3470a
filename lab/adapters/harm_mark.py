"""The safety lever as a file beside the warden's folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from lab.adapters import own_folders

NAME: Final = "no-harm"
_TEXT: Final = b"Harm is stopped: the warden gives no lease. `lab allow-harm` removes this file.\n"


class HarmMarkFile:
    """`HarmMark`: a file that is there while harm is stopped.

    It lies in the state folder itself and not in ``run/``, which `lab clean` removes: who
    tidies up has not decided that the shop may be hurt again.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / NAME

    def is_set(self) -> bool:
        """Whether the file is there, or nobody can tell."""
        try:
            os.lstat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return True

    def set(self) -> None:
        """Make the file; returns once it would survive a power cut."""
        own_folders.make(self._path.parent)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.write(descriptor, _TEXT)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        own_folders.sync(self._path.parent)

    def clear(self) -> None:
        """Remove the file, for good."""
        self._path.unlink(missing_ok=True)
        if self._path.parent.exists():
            own_folders.sync(self._path.parent)
