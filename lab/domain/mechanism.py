"""The closed list of mechanisms and scopes a learner may name.

The order is the order in which to ask: the first that fits wins. The first two
concern evidence itself; the last needs all others to fail.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class _Defined(StrEnum):
    """Words that carry their definition in one sentence."""

    definition: str

    def __new__(cls, word: str, definition: str) -> Self:
        """Keep the word as the value and its definition beside it."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.definition = definition
        return member


class Scope(_Defined):
    """Whom the mechanism hits; a second axis, never a mechanism."""

    ALL = ("all", "Every request that takes this way.")
    SOME_CONNECTIONS = (
        "some-connections",
        "Only what travels on certain connections; others on the same edge are well.",
    )
    SOME_TIMES = ("some-times", "Only in bad moments, which come and go.")
    SOME_TENANTS = ("some-tenants", "Only the requests of certain tenants.")


class Mechanism(_Defined):
    """How a span did it; ``definition`` says each in one sentence."""

    BROKEN_PROPAGATION = (
        "broken-propagation",
        "The callee's spans exist, but in a trace of their own: context was not carried or read.",
    )
    SAMPLING_LOSS = (
        "sampling-loss",
        "The callee's spans belonged to the right trace and were deliberately not kept.",
    )
    RETRY_AMPLIFICATION = (
        "retry-amplification",
        "Repeats of one logical request, sent after a failed attempt, do the damage.",
    )
    CACHE_STAMPEDE = (
        "cache-stampede",
        "Many requests miss the same just-expired key at once, and all recompute it.",
    )
    N_PLUS_ONE = (
        "n-plus-one",
        "One request makes a call per item; each call is normal, their number is not.",
    )
    TIMEOUT_INVERSION = (
        "timeout-inversion",
        "The caller's limit is shorter than its callee's; the callee finishes for nobody.",
    )
    QUEUE_LAG = (
        "queue-lag",
        "Work is fast and correct once picked up, but waited long in a queue.",
    )
    POOL_EXHAUSTION = (
        "pool-exhaustion",
        "The caller waits for a slot of its own pool while what lies behind is healthy.",
    )
    CONNECTION_CHURN = (
        "connection-churn",
        "Time goes into opening healthy connections that should have been reused.",
    )
    STALE_CONNECTION = (
        "stale-connection",
        "A pooled connection that died while idle is reused; fresh ones work.",
    )
    CONNECTION_REFUSED = (
        "connection-refused",
        "No connection can be opened, because nothing listens; it fails within milliseconds.",
    )
    CONNECTION_RESET = (
        "connection-reset",
        "A live or just-opened connection is torn down before a byte of the answer arrives.",
    )
    TRUNCATED_RESPONSE = (
        "truncated-response",
        "The answer starts, and the stream ends before its announced length.",
    )
    LOCK_CONTENTION = (
        "lock-contention",
        "A query that has its connection waits in the database for another transaction's lock.",
    )
    BANDWIDTH = (
        "bandwidth",
        "Transfer time grows with bytes; small messages on the same edge are as fast as ever.",
    )
    TIMEOUT = (
        "timeout",
        "No answer came within the caller's limit, on a connection not known to be dead.",
    )
    LATENCY = (
        "latency",
        "Each round trip on one hop takes longer, whatever its size, and still arrives in time.",
    )
    BUSINESS_REJECTION = (
        "business-rejection",
        "Every hop worked; a business rule correctly said no. Nobody did it.",
    )
