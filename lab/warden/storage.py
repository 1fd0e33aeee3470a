"""The write-ahead: one file that names all harm before any of it is done."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Protocol

from pydantic import TypeAdapter

from lab.errors import LeaseError
from lab.warden.lease import Lease

_LEASE: Final = TypeAdapter(Lease)


class LeaseStorage(Protocol):
    """Where the write-ahead lives."""

    def load(self) -> Lease | None:
        """The lease that was left behind; LeaseError where it cannot be read."""
        ...

    def save(self, lease: Lease) -> None:
        """Keep ``lease`` in place of any other; OSError where that fails."""
        ...

    def clear(self) -> None:
        """Forget it; OSError where that fails."""
        ...


class LeaseFile:
    """The lease on disk; readable by its owner only, since it names the culprit."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Lease | None:
        """The lease that was left, None where there is none.

        LeaseError where a file is there but does not tell what it was: then
        nobody knows which edge is hurt, and every one must be cleaned.
        """
        try:
            return _LEASE.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise LeaseError(f"expected a lease in {self._path}, found: {error}") from error

    def save(self, lease: Lease) -> None:
        """Replace the file in one step; returns once it would survive a power cut.

        OSError where the disk refuses; the former file is then still whole.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".draft")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - Path.open takes no descriptor
            file.write(_LEASE.dump_json(lease))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        self._sync_folder()

    def clear(self) -> None:
        """Forget the lease: the harm it names is gone. No error where there is none."""
        self._path.unlink(missing_ok=True)
        self._sync_folder()

    def _sync_folder(self) -> None:
        """A rename or unlink is durable only once its folder is (fsync(2), Notes)."""
        if not self._path.parent.exists():
            return
        descriptor = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
