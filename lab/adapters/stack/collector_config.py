"""Which of the Collector's files are read for a stack, and what they ask of the machine.

Each file below ``deploy/otelcol`` is merged over those before it: the one that
every stack has, then metrics and logs, then a second backend.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from lab.errors import UsageError
from lab.settings import CHECKOUT, Settings
from lab.shop.topology import HOST

FOLDER: Final = CHECKOUT / "deploy" / "otelcol"

_DATADOGS_GATES: Final = (
    # It counts requests, errors and durations by itself: else a connector would have to.
    "-exporter.datadogexporter.DisableAPMStats",
    # Its newer client of metrics tells the key in an address, where proxies write it down.
    "-exporter.datadogexporter.metricexportserializerclient",
)


# Asked for the host's name when the exporter starts; a proxy would answer for its own machine.
_CLOUDS_METADATA: Final = "169.254.169.254"

DATADOG_VARIABLES: Final = ("DD_API_KEY", "DD_SITE")


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
    read = tuple(word for path in files(settings) for word in ("--config", str(path)))
    gates = (f"--feature-gates={','.join(_DATADOGS_GATES)}",)
    return (*read, *gates) if settings.backend == "datadog" else read


def make_copies(settings: Settings) -> None:
    """Make the files of the masked copies for their owner alone, where they are missing.

    The Collector would make them for everybody, and keeps the mode of those that are there.
    """
    for signal in ("logs", "metrics"):
        copy = settings.log_dir / f"signals-{signal}.jsonl"
        copy.touch()
        copy.chmod(0o600)


def check_backend(settings: Settings, environment: Mapping[str, str]) -> None:
    """Raise what keeps a second backend from working, before anything is built or started.

    UsageError for a key that is missing. What the key is, no message says.
    """
    if settings.backend == "datadog" and not environment.get("DD_API_KEY"):
        raise UsageError(
            "expected DD_API_KEY in the environment for BACKEND=datadog, found none; export the "
            "key of your organization, and DD_SITE where it is not datadoghq.com"
        )


def datadog_environment(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """What the file for Datadog asks for, out of the user's own ``environment``.

    Of the user's ``DD_*`` nothing else: some would steer the exporter past its file.
    """
    if settings.backend != "datadog":
        return {}
    from_user = {name: environment[name] for name in DATADOG_VARIABLES if environment.get(name)}
    intake = settings.datadog_intake_url
    return {**from_user, **({} if intake is None else {"DATADOG_INTAKE_URL": intake})}


def no_proxy_for(settings: Settings) -> tuple[str, ...]:
    """What ``NO_PROXY`` has to name beside loopback: what Datadog's exporter asks of this machine.

    An intake on loopback as ``host:port``, because clients of Datadog's compare the whole address:
    a bare host says nothing to them, and they would tell a proxy the key.
    """
    if settings.backend != "datadog":
        return ()
    intake = urlsplit(settings.datadog_intake_url or "")
    own = (intake.netloc,) if intake.hostname in {HOST, "localhost"} else ()
    return (*own, _CLOUDS_METADATA)
