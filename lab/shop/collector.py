"""What a deployment may set of the Collector that the shop's telemetry passes through."""

from __future__ import annotations

from typing import Final

COLLECTOR: Final = "collector"
"""Its name in conditions, beside those of the services: ``collector.sampling``."""

SETTING: Final = "sampling"
SAMPLING: Final = "SHOP_SAMPLING"
"""The setting, and how it is written in an overlay, as those of services are."""

SAMPLINGS: Final = ("off", "tail")
"""``tail``: whole traces are dropped once they are complete, as ``deploy/otelcol`` says."""
