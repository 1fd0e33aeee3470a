"""A Grafana for the local stack: found, started, and shown a case's stretches of time.

No package registry carries the Grafana server, so the lab never fetches one by
itself: it takes the user's own, or a container where an engine is there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Final

import httpx

from lab.adapters import loopback
from lab.domain.evidence import Interval
from lab.domain.load import Window
from lab.errors import PartFailed, ToolMissing
from lab.frozen import dataclass
from lab.settings import CHECKOUT, Settings
from lab.shop.topology import HOST

TAG: Final = "deadspan"
"""What the dashboards ask for."""

WORDS: Final = MappingProxyType(
    {Window.REFERENCE: "before", Window.CRIME: "incident", Window.RECOVERY: "after"}
)

_TIMEOUT_S: Final = 3.0


class GrafanaAnnotations:
    """Shades the stretches of the open case on every dashboard of one Grafana; an async context.

    They carry no case id: an annotation can be read by whoever has yet to solve the
    case. The protocol is Grafana's annotation API, ``/api/annotations``.
    """

    def __init__(self, url: str) -> None:
        self._url = f"{url}/api/annotations"
        self._health = f"{url}/api/health"
        self._client = loopback.client(_TIMEOUT_S)

    async def __aenter__(self) -> GrafanaAnnotations:
        """Nothing is connected before it is needed."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def is_there(self) -> bool:
        """Whether a healthy Grafana answers."""
        try:
            return (await self._client.get(self._health)).is_success
        except httpx.HTTPError:
            return False

    async def show(self, windows: Mapping[Window, Interval]) -> None:
        """Shade ``windows`` in place of those of the case that was open before.

        PartFailed where Grafana refuses. Windows without a word are left out.
        """
        for old in await self._call("GET", params={"tags": TAG, "limit": "1000"}):
            await self._call("DELETE", f"/{int(old['id'])}")
        for window, interval in windows.items():
            if window in WORDS:
                said = {
                    "time": round(interval.start_s * 1000),
                    "timeEnd": round(interval.end_s * 1000),
                    "tags": [TAG],
                    "text": WORDS[window],
                }
                await self._call("POST", json=said)

    async def _call(self, method: str, path: str = "", **more: Any) -> Any:
        try:
            answer = await self._client.request(method, f"{self._url}{path}", **more)
            return answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise PartFailed(
                f"expected Grafana to take the case's stretches of time at {self._url}, "
                f"found {error}; its dashboards show everything else"
            ) from error


VERSION: Final = "13.1.4"
"""Run with; 13.2.0 and 13.2.1 lost their bundled data sources where there was no network."""

DEPLOYED: Final = CHECKOUT / "deploy" / "grafana"
DEBIAN: Final = (Path("/usr/sbin/grafana"), Path("/usr/share/grafana"))
"""Where Debian's package puts the program, and what it needs to run."""

_IMAGE: Final = f"docker.io/grafana/grafana:{VERSION}"
_IN_CONTAINER: Final = Path("/etc/deadspan")
_ENGINES: Final = ("docker", "podman")
_ANSWER_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start Grafana: a command and what to add to its environment."""

    found: str
    command: tuple[str, ...]
    environment: Mapping[str, str]


def launch(settings: Settings) -> Launch:
    """The first Grafana there is: ``LAB_GRAFANA_HOME``, ``PATH``, Debian's, a container.

    ToolMissing says what to fetch where there is none, or where the one that
    the user named will not do.
    """
    native = _native(settings)
    if native is not None:
        program, home = native
        folder = settings.data_dir / "grafana"
        environment = _environment(settings, DEPLOYED) | {
            "GF_PATHS_DATA": str(folder),
            "GF_PATHS_LOGS": str(folder / "log"),
            "GF_PATHS_PLUGINS": str(folder / "plugins"),
        }
        command = (str(program), "server", "--homepath", str(home))
        return Launch(
            str(program), (*command, "--config", str(DEPLOYED / "grafana.ini")), environment
        )
    for engine in _ENGINES:
        if engine_answers(engine):
            return Launch(f"{_IMAGE} by {engine}", _container(settings, engine), {})
    raise ToolMissing(
        "expected a Grafana, found none on PATH, none of Debian's package, and neither docker nor "
        "podman that answers. Fetch the official archive "
        f"grafana-{VERSION}.linux-amd64.tar.gz (or that of your system) from Grafana's download "
        "page, unpack it, and set LAB_GRAFANA_HOME to the folder that has bin/grafana in it; or "
        "install docker or podman"
    )


def engine_answers(engine: str) -> bool:
    """Whether that container engine is there and at work: a client alone starts nothing."""
    if shutil.which(engine) is None:
        return False
    try:
        done = subprocess.run([engine, "info"], capture_output=True, timeout=_ANSWER_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _native(settings: Settings) -> tuple[Path, Path] | None:
    """The program and the folder with its defaults and its web pages."""
    if settings.grafana_home is not None:
        home = settings.grafana_home.resolve()
        if not _is_home(home) or not (home / "bin" / "grafana").is_file():
            raise ToolMissing(
                "expected LAB_GRAFANA_HOME to be an unpacked archive of Grafana, with bin/grafana "
                f"and conf/defaults.ini in it, found {home} without; correct or unset it"
            )
        return home / "bin" / "grafana", home
    on_path = shutil.which("grafana")
    if on_path is not None:
        program = Path(on_path)
        for home in (program.resolve().parent.parent, DEBIAN[1]):
            if _is_home(home):
                return program, home
    program, home = DEBIAN
    return DEBIAN if program.is_file() and _is_home(home) else None


def _is_home(folder: Path) -> bool:
    return (folder / "conf" / "defaults.ini").is_file()


def _environment(settings: Settings, deployed: Path) -> dict[str, str]:
    """What the files below ``deployed``, as Grafana sees them, leave to the environment."""
    dashboards = deployed / "dashboards"
    return {
        "GF_SERVER_HTTP_ADDR": HOST,
        "GF_SERVER_HTTP_PORT": str(settings.port("grafana")),
        "GF_PATHS_PROVISIONING": str(deployed / "provisioning"),
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": str(dashboards / "shop-floor.json"),
        "GRAFANA_DASHBOARDS_DIR": str(dashboards),
        "TEMPO_URL": settings.url("tempo_http"),
        "PROMETHEUS_URL": settings.url("prometheus"),
        "LOKI_URL": settings.url("loki"),
        "DESK_URL": settings.url("desk"),
        # Or Grafana would ask the user's own proxy for its neighbours.
        "NO_PROXY": f"{HOST},localhost",
        "no_proxy": f"{HOST},localhost",
    }


def _container(settings: Settings, engine: str) -> tuple[str, ...]:
    """On the host's network: the stack listens on loopback alone, and so does Grafana."""
    variables = _environment(settings, _IN_CONTAINER) | {
        "GF_PATHS_CONFIG": str(_IN_CONTAINER / "grafana.ini")
    }
    return (
        *(engine, "run", "--rm", "--init", "--network=host"),
        f"--name=deadspan-grafana-{settings.port('grafana')}",
        f"--volume={DEPLOYED}:{_IN_CONTAINER}:ro",
        *(f"--env={name}={value}" for name, value in variables.items()),
        _IMAGE,
    )


def inherited() -> dict[str, str]:
    """The user's environment without settings of other Grafanas, which would win over ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GF_")}
