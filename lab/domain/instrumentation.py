"""How much of a request is written down, and what that lets a reader of its trace see."""

from __future__ import annotations

from enum import StrEnum


class Instrumentation(StrEnum):
    """How much of the shop has spans, from the least to the most.

    *None*: only who calls the shop. *Auto*: what zero-code instrumentation gives, of
    FastAPI, httpx and asyncpg. *Full*: the shop's own spans as well, as every case has them.
    """

    NONE = "none"
    AUTO = "auto"
    FULL = "full"


class Sight(StrEnum):
    """What a trace shows of its culprit.

    *Culprit*: the span itself. *Ancestor*: nothing of it, but a red span of the same
    service, which says who and not what. *Gap*: time that nothing accounts for, or an end
    without a reason.
    """

    CULPRIT = "culprit"
    ANCESTOR = "ancestor"
    GAP = "gap"
