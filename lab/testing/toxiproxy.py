"""A fault before a service of your own: a Toxiproxy proxy, one fault on it, restored afterwards.

For example, of a service whose database is said to be at ``database.address``::

    with proxied("127.0.0.1:5432") as database:
        with database.latency(800):
            ...

It takes the address of a Toxiproxy, or starts one that the lab has built (``make tools``), that
``LAB_TOXIPROXY_BIN`` names or that is on PATH. One that is started ends with the process that
started it, however that ends.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

from lab.domain.fault import Fault, Stream, Toxic
from lab.errors import InjectorError, ToolMissing, UsageError

HOST: Final = "127.0.0.1"
_DEADLINE_S: Final = 3.0
"""Of one call: removing a toxic can hang Toxiproxy's whole control API."""

_NOT_FOUND: Final = 404
_OURS: Final = "deadspan-testing"
_NUMBERS: Final = count()


@contextmanager
def proxied(upstream: str, *, url: str | None = None, listen: str = f"{HOST}:0") -> Iterator[Proxy]:
    """A proxy that leads to ``upstream`` (``host:port``) while the block runs.

    ``url`` is a Toxiproxy's control API; without it one is started. InjectorError where it does
    not do as it is told, ToolMissing where there is none to start.
    """
    if not all(upstream.rpartition(":")):
        raise UsageError(f"expected the address to lead to as host:port, got {upstream!r}")
    with ExitStack() as stack:
        api = Api(url, {}) if url else stack.enter_context(started())
        _sweep(api)
        name = f"{_OURS}-{socket.gethostname()}-{os.getpid()}-{next(_NUMBERS)}"
        made = api.call(
            "POST",
            "/proxies",
            {"name": name, "listen": listen, "upstream": upstream, "enabled": True},
        )
        proxy = Proxy(api, name, str(made["listen"]), upstream)
        stack.callback(proxy.remove)
        yield proxy


class Proxy:
    """One proxy; connect to `address` instead of to its ``upstream``."""

    def __init__(self, api: Api, name: str, address: str, upstream: str) -> None:
        self._api = api
        self.name = name
        self.address = address
        self.upstream = upstream

    @property
    def host(self) -> str:
        """Where it listens."""
        return self.address.rpartition(":")[0]

    @property
    def port(self) -> int:
        """Its port."""
        return int(self.address.rpartition(":")[2])

    @contextmanager
    def latency(self, ms: int, *, jitter_ms: int = 0) -> Generator[None]:
        """Every answer comes so much later, plus or minus the jitter."""
        with self.fault(Toxic.LATENCY, latency=ms, jitter=jitter_ms):
            yield

    @contextmanager
    def timeout(self, ms: int = 0) -> Generator[None]:
        """No answer comes; after so long the connection is closed, with 0 never."""
        with self.fault(Toxic.TIMEOUT, timeout=ms):
            yield

    @contextmanager
    def down(self) -> Generator[None]:
        """Connections are refused, and those there are end."""
        with self._while(Fault(self.name, None)):
            yield

    @contextmanager
    def fault(
        self, toxic: Toxic | str, *, stream: str = Stream.DOWNSTREAM, **attributes: int
    ) -> Generator[None]:
        """Any other toxic: ``fault("bandwidth", rate=10)``; UsageError for what it cannot do."""
        known = {each.value for each in Toxic}
        if toxic not in known or stream not in {each.value for each in Stream}:
            raise UsageError(f"expected one of {', '.join(sorted(known))}, got {toxic} {stream}")
        with self._while(Fault(self.name, Toxic(toxic), attributes, Stream(stream))):
            yield

    def remove(self) -> None:
        """Take the proxy away, with all that is on it."""
        self._api.call("DELETE", self._path)
        if self._api.call("GET", self._path) is not None:
            raise InjectorError(f"expected the proxy {self.name} to be gone, found it there")

    @property
    def _path(self) -> str:
        return f"/proxies/{quote(self.name, safe='')}"

    @contextmanager
    def _while(self, fault: Fault) -> Generator[None]:
        if problems := fault.problems():
            raise UsageError("; ".join(problems))
        try:
            self._put(fault)
            yield
        finally:
            self._restore(fault)

    def _put(self, fault: Fault) -> None:
        if fault.is_down:
            self._enable(to=False)
            return
        self._api.call(
            "POST",
            f"{self._path}/toxics",
            {
                "name": fault.toxic_name,
                "type": str(fault.toxic),
                "stream": str(fault.stream),
                "toxicity": fault.toxicity,
                "attributes": dict(fault.attributes),
            },
        )
        # A misspelt attribute is taken as 0, and a toxic on a disabled proxy does nothing.
        shown = self._api.call("GET", self._path) or {}
        toxics = {each["name"]: each["attributes"] for each in shown.get("toxics", ())}
        if not shown.get("enabled") or toxics.get(fault.toxic_name) != fault.attributes:
            raise InjectorError(f"expected to read back {fault}, found {shown}")

    def _restore(self, fault: Fault) -> None:
        try:
            if fault.is_down:
                self._enable(to=True)
            else:
                self._api.call("DELETE", f"{self._path}/toxics/{fault.toxic_name}")
            self._expect_clean(fault)
        except InjectorError:
            # Without its proxy a fault hurts nobody, nor does one whose program has ended.
            with suppress(InjectorError):
                self.remove()
            raise

    def _expect_clean(self, fault: Fault) -> None:
        shown = self._api.call("GET", self._path) or {}
        if shown.get("toxics") or not shown.get("enabled"):
            raise InjectorError(f"expected {fault} to be gone, found {shown}")

    def _enable(self, *, to: bool) -> None:
        # Updated by POST: 2.12 deprecates that, and older ones know no PATCH.
        shown = self._api.call("POST", self._path, {"enabled": to})
        if (shown or {}).get("enabled") is not to:
            raise InjectorError(f"expected {self.name} enabled: {to}, found {shown}")


class Api:
    """Toxiproxy's control API; every call is bounded in time."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Content-Type": "application/json", **headers}
        self._opener = build_opener(ProxyHandler({}))

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The JSON answer; None where there is no such thing, or nothing to say."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self._url + path, data, self._headers, method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=_DEADLINE_S) as answer:
                content = answer.read()
                return json.loads(content) if content else None
        except HTTPError as error:
            with error:
                if error.code == _NOT_FOUND:
                    return None
                found = f"{error.code} {error.read(300).decode(errors='replace').strip()}"
        except (URLError, OSError, ValueError) as error:
            found = str(getattr(error, "reason", error)) or type(error).__name__
        raise InjectorError(
            f"{method} {self._url}{path}: expected Toxiproxy to do so within {_DEADLINE_S:g} s, "
            f"found: {found}"
        )


def _sweep(api: Api) -> None:
    """Remove the proxies that processes of this machine left which are no more."""
    mine = f"{_OURS}-{socket.gethostname()}-"
    for name in api.call("GET", "/proxies") or ():
        pid = name.removeprefix(mine).partition("-")[0]
        if name.startswith(mine) and pid.isdecimal() and not _is_alive(int(pid)):
            api.call("DELETE", f"/proxies/{quote(name, safe='')}")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


_START_S: Final = 10.0

_KEEPER: Final = (
    "import os, subprocess, sys\n"
    "child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL)\n"
    "try: sys.stdin.read()\n"
    "finally:\n"
    "    child.kill()\n"
    "    child.wait()\n"
    "    os.remove(os.path.join(sys.argv[1], 'secret'))\n"
    "    os.rmdir(sys.argv[1])\n"
)
"""Ends its child, and removes the folder of its secret, once whoever started it is gone.

For then nobody holds the other end of stdin.
"""


@contextmanager
def started() -> Iterator[Api]:
    """The control API of a Toxiproxy that runs while the block does."""
    binary = _binary()
    with tempfile.TemporaryDirectory(prefix="deadspan-testing-") as folder:
        secret = secrets.token_urlsafe(32)
        secret_file = Path(folder, "secret")
        secret_file.touch(mode=0o600)
        secret_file.write_text(secret, encoding="ascii")
        port = _free_port()
        words = [str(binary), "-host", HOST, "-port", str(port)]
        # The lab's own asks for a secret; a plain one knows neither the flag nor the header.
        guarded = "+guard" in _version(binary)
        words += ["-secret-file", str(secret_file)] if guarded else []
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _KEEPER, folder, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            api = Api(f"http://{HOST}:{port}", {"Authorization": f"Bearer {secret}"})
            _await(api, process)
            yield api
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(_START_S)


def _await(api: Api, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            api.call("GET", "/version")
        except InjectorError:
            if time.monotonic() > deadline or process.poll() is not None:
                raise
            time.sleep(0.02)
        else:
            return


def _binary() -> Path:
    named = os.environ.get("LAB_TOXIPROXY_BIN")
    on_path = shutil.which("toxiproxy-server")
    built = sorted(
        _cache().glob("tools/toxiproxy-*/toxiproxy"), key=lambda path: path.stat().st_mtime
    )
    found = [Path(each) for each in (named, on_path) if each] + built[-1:]
    if not found:
        raise ToolMissing(
            "expected a Toxiproxy, found none in LAB_TOXIPROXY_BIN, on PATH or in "
            f"{_cache()}; give the `url` of one that runs, or build the lab's with `make tools`"
        )
    return found[0]


def _cache() -> Path:
    """Where the lab builds its tools, unless ``LAB_CACHE_DIR`` says so."""
    if given := os.environ.get("LAB_CACHE_DIR"):
        return Path(given)
    if sys.platform == "darwin":
        return Path("~/Library/Caches/deadspan").expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "deadspan"


def _version(binary: Path) -> str:
    try:
        done = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=_START_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolMissing(f"expected {binary} to be Toxiproxy, found: {error}") from error
    return done.stdout + done.stderr


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
