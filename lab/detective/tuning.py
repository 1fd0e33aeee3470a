"""The detective's constants, in one place, so that a bench can move them all."""

from __future__ import annotations

from dataclasses import fields, replace

from lab.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    """What counts as more, late, slow or repeated; chosen on the cases for tuning alone."""

    sigmas: float = 3.0
    """By how many standard deviations a share must have grown."""
    gross_lift: float = 0.25
    """A share that grew by so much needs less, for harm is seldom small and chance mostly is:"""
    gross_sigmas: float = 2.0
    """so many standard deviations."""
    least_lift: float = 0.015
    """By how much a share must have grown, of 1."""
    least_share: float = 0.01
    """Which share of all requests must be hurt for the edge to tell."""
    spreads: float = 3.0
    """How many times the middle half's width above it an answer is late."""
    least_spread: float = 0.15
    """The width counts as at least this share of the median."""
    least_spread_ms: float = 8.0
    """And as at least so long."""
    slower: float = 1.6
    """From which multiple of its usual duration on work is slower."""
    least_slower_ms: float = 10.0
    """And from which difference on."""
    fewest_repeats: float = 4.0
    """How many more calls per parent than usual are a loop."""
    crowd: float = 2.5
    """How many misses of one key at one time are a stampede."""
    lag: float = 4.0
    """From which multiple of the usual wait on a queue lags."""
    least_lag_ms: float = 1000.0
    """And from which wait on."""
    release_ms: float = 100.0
    """How soon after a lock is let go the one that waited for it ends."""
    small: float = 0.35
    """Small messages are as fast as ever where they lost at most this share of big ones' loss."""

    def moved(self, factor: float) -> Tuning:
        """All of them times ``factor``."""
        return replace(
            self, **{each.name: getattr(self, each.name) * factor for each in fields(self)}
        )
