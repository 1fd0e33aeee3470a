"""How tests fuzz: the same examples each time, and few enough for a busy machine."""

from __future__ import annotations

from hypothesis import HealthCheck, settings


def fuzz(examples: int) -> settings:
    """So many examples, always the same ones; what they cost is asserted elsewhere."""
    return settings(
        max_examples=examples,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
