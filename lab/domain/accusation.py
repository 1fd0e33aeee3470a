"""What a learner claims: which spans did it and how, or that nobody did."""

from __future__ import annotations

from dataclasses import dataclass

from lab.domain.mechanism import Mechanism, Scope


@dataclass(frozen=True, slots=True)
class Accusation:
    """``spans`` holds (trace id, span id) pairs, none of them where ``nobody`` is claimed."""

    spans: tuple[tuple[str, str], ...]
    mechanism: Mechanism
    nobody: bool = False
    scope: Scope | None = None
