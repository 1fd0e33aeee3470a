"""The tools that the local stack runs as processes, and the nouns of having them.

Each is a Go program, pinned by a module of its own in ``deploy/local/tools``.
"""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, Protocol

from lab.errors import ToolMissing
from lab.frozen import dataclass
from lab.settings import CHECKOUT

MODULES_DIR: Final = CHECKOUT / "deploy" / "local" / "tools"

_GOOS: Final = {"Linux": "linux", "Darwin": "darwin"}
_GOARCH: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class Progress(Protocol):
    """Told about every half second of work, so that somebody can show it."""

    def __call__(self, tool: str, phase: str, elapsed_s: float, estimate_s: float) -> None:
        """Take note of one moment.

        ``tool`` is a tool's name, or ``go`` while the toolchain itself is
        installed; ``phase`` is a few words for a human (``compiling``).
        ``estimate_s`` is what the whole step took on 2 cores, not a promise.
        """
        ...


@dataclass(frozen=True, slots=True)
class Located:
    """Where a tool was found; ``version`` is what it was checked or built to print."""

    path: Path
    source: Literal["environment", "folder", "path", "cache"]
    version: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A program, and all that decides what its binary is."""

    name: str
    version: str
    executable: str
    """Its usual name on ``PATH``."""
    module_dir: Path
    """Holds the ``go.mod`` and the complete ``go.sum`` it is built from."""
    package: str
    ldflags: str
    estimate_s: float
    """On 2 idle cores with empty caches, downloads included, by the processor time it takes."""
    components: tuple[str, ...] = ()
    """What the Collector must have been built with, as ``<kind>/<name>``."""
    tags: tuple[str, ...] = ()
    """Go's build tags."""
    stands_for: str = ""
    """The tool in whose place the stack runs this one, if in any."""

    @property
    def part(self) -> str:
        """What the stack knows it as."""
        return self.stands_for or self.name

    @property
    def setting(self) -> str:
        """The environment variable that names a binary to use instead."""
        return f"LAB_{self.part.upper()}_BIN"

    @property
    def go_version(self) -> tuple[int, ...]:
        """The least Go version that builds it: the ``go`` line of its module."""
        match = re.search(r"^go ([\d.]+)$", self._module_file("go.mod"), re.MULTILINE)
        if match is None:
            raise ToolMissing(
                f"expected a line 'go <version>' in {self.module_dir / 'go.mod'}, found none; "
                "restore the file from version control"
            )
        return tuple(int(number) for number in match[1].split("."))

    @property
    def build_flags(self) -> tuple[str, ...]:
        """The options of ``go build``; ``-modcacherw`` lets the module cache be removed later."""
        # No debugger will read these binaries, and writing for one takes a tenth of the time.
        without_dwarf = "-gcflags=all=-dwarf=false"
        return (
            *("-modcacherw", "-trimpath", "-buildvcs=false", without_dwarf),
            f"-ldflags={self.ldflags}",
            *((f"-tags={','.join(self.tags)}",) if self.tags else ()),
        )

    def key(self) -> str:
        """Name the binary by what it is made from: sources, options, platform."""
        digest = hashlib.sha256("\0".join((*self.build_flags, self.package, *target())).encode())
        for source in self.sources():
            digest.update(source.name.encode() + b"\0" + source.read_bytes())
        return digest.hexdigest()[:12]

    def sources(self) -> Iterator[Path]:
        """The files of its module, of which Go builds it and checks what it is built of."""
        for source in sorted(self.module_dir.glob("*")):
            if source.name in ("go.mod", "go.sum") or source.suffix == ".go":
                yield source

    def cached_in(self, cache_dir: Path) -> Path:
        """Where a build of exactly this lies, once there is one."""
        return cache_dir / "tools" / f"{self.name}-{self.key()}" / self.name

    def _module_file(self, name: str) -> str:
        try:
            return (self.module_dir / name).read_text()
        except OSError as error:
            raise ToolMissing(
                f"expected {self.module_dir / name}, found {error.strerror}; "
                "restore the file from version control"
            ) from error


def target() -> tuple[str, str]:
    """``GOOS`` and ``GOARCH`` of this machine; ToolMissing where nothing is built for it."""
    system, machine = platform.system(), platform.machine().lower()
    if system not in _GOOS or machine not in _GOARCH:
        raise ToolMissing(
            f"expected Linux or macOS on x86_64 or arm64, found {system} on {machine}; "
            "give binaries of your own by LAB_TOXIPROXY_BIN, LAB_OTELCOL_BIN and LAB_TEMPO_BIN"
        )
    return _GOOS[system], _GOARCH[machine]


_COLLECTOR_VERSION: Final = "0.159.0"
_COLLECTOR_COMPONENTS: Final = (
    "receivers/otlp",
    "processors/batch",
    "processors/memory_limiter",
    "processors/redaction",
    "processors/tail_sampling",
    "processors/transform",
    "exporters/debug",
    "exporters/file",
    "exporters/otlp_grpc",
    "exporters/otlp_http",
    "connectors/span_metrics",
    "extensions/health_check",
)

TOOLS: Final = (
    Tool(
        name="toxiproxy",
        # The release's own server behind a guard of ours; another Toxiproxy lets anybody in.
        version="2.12.0+guard",
        executable="toxiproxy-server",
        module_dir=MODULES_DIR / "toxiproxy",
        package=".",
        ldflags="-s -w -X github.com/Shopify/toxiproxy/v2.Version=2.12.0+guard",
        estimate_s=25,
    ),
    Tool(
        name="door",
        version="1",
        executable="deadspan-door",
        module_dir=MODULES_DIR / "door",
        package=".",
        ldflags="-s -w -X main.version=1",
        estimate_s=2,
    ),
    Tool(
        name="otelcol",
        version=_COLLECTOR_VERSION,
        executable="otelcol",
        module_dir=MODULES_DIR / "otelcol",
        package=".",
        ldflags="-s -w",
        estimate_s=70,
        components=_COLLECTOR_COMPONENTS,
    ),
    Tool(
        name="tempo",
        # Tempo's releases cannot be required as Go modules; this is the commit of
        # its main branch, in the 2.8 line, that the module's pseudo-version names.
        version="2.8.0-87c2dc380cec",
        executable="tempo",
        module_dir=MODULES_DIR / "tempo",
        package="github.com/grafana/tempo/cmd/tempo",
        ldflags="-s -w -X main.Version=2.8.0-87c2dc380cec",
        estimate_s=120,
    ),
)
"""Shortest build first, so that a broken set-up shows early."""

_PROMETHEUS_VERSION: Final = "3.16.0"
_PROMETHEUS_LDFLAGS: Final = (
    f"-s -w -X github.com/prometheus/common/version.Version={_PROMETHEUS_VERSION}"
)
# Nothing is discovered here: everything is sent. Without the clients of a dozen clouds
# the build takes two minutes instead of ten.
_PROMETHEUS_TAGS: Final = ("remove_all_sd", "netgo")

SIGNAL_TOOLS: Final = (
    Tool(
        name="prometheus",
        # As a Go module it is v0.316.0: there, majors above 1 are part of a module's path.
        version=_PROMETHEUS_VERSION,
        executable="prometheus",
        module_dir=MODULES_DIR / "prometheus",
        package="github.com/prometheus/prometheus/cmd/prometheus",
        ldflags=_PROMETHEUS_LDFLAGS,
        estimate_s=130,
        tags=_PROMETHEUS_TAGS,
    ),
    Tool(
        name="loki",
        version="3.7.8",
        executable="loki",
        module_dir=MODULES_DIR / "loki",
        package="github.com/grafana/loki/v3/cmd/loki",
        ldflags="-s -w -X github.com/grafana/loki/v3/pkg/util/build.Version=3.7.8",
        estimate_s=330,
    ),
)
"""What ``LAB_SIGNALS=full`` needs beside `TOOLS`; not built unless asked for."""

JAEGER: Final = Tool(
    name="jaeger",
    version="1.76.0",
    executable="jaeger",
    module_dir=MODULES_DIR / "jaeger",
    package="github.com/jaegertracing/jaeger/cmd/jaeger",
    ldflags="-s -w -X github.com/jaegertracing/jaeger/internal/version.latestVersion=v1.76.0",
    estimate_s=240,
)
"""What ``BACKEND=jaeger`` needs beside `TOOLS`, and ``STORE=jaeger`` in Tempo's place."""
COLLECTOR_FOR_DATADOG: Final = Tool(
    name="otelcol-datadog",
    version=_COLLECTOR_VERSION,
    # The official distribution of that version has all of it, too.
    executable="otelcol-contrib",
    module_dir=MODULES_DIR / "otelcol-datadog",
    package=".",
    ldflags="-s -w",
    # Of a machine with ten times as much work as cores it took 1541 s.
    estimate_s=450,
    components=(*_COLLECTOR_COMPONENTS, "exporters/datadog"),
    stands_for="otelcol",
)
"""The Collector of ``BACKEND=datadog``. As large as all others together, so nothing but that
setting has it built: not even ``lab tools --build --all``."""

PROMTOOL: Final = Tool(
    name="promtool",
    version=_PROMETHEUS_VERSION,
    executable="promtool",
    module_dir=MODULES_DIR / "prometheus",
    package="github.com/prometheus/prometheus/cmd/promtool",
    ldflags=_PROMETHEUS_LDFLAGS,
    estimate_s=60,
    tags=_PROMETHEUS_TAGS,
)
"""Checks Prometheus' configuration, for the tests of the signals alone."""

AGPL: Final = frozenset({"tempo", "loki"})
"""The tools under the GNU Affero General Public License; see ``docs/licences.md``."""
