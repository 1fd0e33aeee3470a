"""The closed list of mechanisms and scopes a learner may name.

The order is the order in which to ask: the first that fits wins. The first two
concern evidence itself; the last needs all others to fail.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Self

NO_SPAN_RULE: Final = (
    "Where what did it left no span, accuse the last span before the silence: the call that has no "
    "other half. Where the other half stands in a trace of its own, that one is as good."
)
"""Whom to accuse where nobody is to be seen; one rule for every mechanism."""


class Scope(StrEnum):
    """Whom the mechanism hits; a second axis, never a mechanism."""

    definition: str

    def __new__(cls, word: str, definition: str) -> Self:
        """Keep the word as the value and its definition beside it."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.definition = definition
        return member

    ALL = ("all", "Every request that takes this way.")
    SOME_CONNECTIONS = (
        "some-connections",
        "Only what travels on certain connections; others on the same edge are well.",
    )
    SOME_TIMES = ("some-times", "Only in bad moments, which come and go.")
    SOME_TENANTS = ("some-tenants", "Only the requests of certain tenants.")


class Mechanism(StrEnum):
    """How a span did it; ``definition`` says each in one sentence.

    ``apart`` tells it from the word that it is most often taken for.
    """

    definition: str
    apart: str

    def __new__(cls, word: str, definition: str, apart: str) -> Self:
        """Keep the word as the value and both sentences beside it."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.definition = definition
        member.apart = apart
        return member

    BROKEN_PROPAGATION = (
        "broken-propagation",
        "The callee's spans exist, but in a trace of their own: context was not carried or read.",
        "It is not sampling-loss: the other half of the call exists, under another trace id.",
    )
    SAMPLING_LOSS = (
        "sampling-loss",
        "The callee's spans belonged to the right trace and were deliberately not kept.",
        "It is not broken-propagation: no trace anywhere begins with the other half of the call.",
    )
    RETRY_AMPLIFICATION = (
        "retry-amplification",
        "Repeats of one logical request, sent after a failed attempt, do the damage.",
        "It is not timeout: one failed attempt does little, and asking again made it many.",
    )
    CACHE_STAMPEDE = (
        "cache-stampede",
        "Many requests miss the same just-expired key at once, and all recompute it.",
        "It is not latency: one answer is as quick as ever, and all fetched it.",
    )
    N_PLUS_ONE = (
        "n-plus-one",
        "One request makes a call per item; each call is normal, their number is not.",
        "It is not latency: no call is longer than before; nor a retry: none before it had failed.",
    )
    TIMEOUT_INVERSION = (
        "timeout-inversion",
        "The caller's limit is shorter than its callee's; the callee finishes for nobody.",
        "It is not timeout: the answer was on its way, in time by the callee's own limit.",
    )
    QUEUE_LAG = (
        "queue-lag",
        "Work is fast and correct once picked up, but waited long in a queue.",
        "It is not latency: the work took no longer; it began late.",
    )
    POOL_EXHAUSTION = (
        "pool-exhaustion",
        "The caller waits for a slot of its own pool while what lies behind is healthy.",
        "It is not latency: the wait was for a connection; what lies behind is as fast as ever.",
    )
    CONNECTION_CHURN = (
        "connection-churn",
        "Time goes into opening healthy connections that should have been reused.",
        "It is not pool-exhaustion: nobody stood in line; the time went into opening.",
    )
    STALE_CONNECTION = (
        "stale-connection",
        "A pooled connection that died while idle is reused; fresh ones work.",
        "It is not timeout: the line was dead before it was used, and a fresh one works.",
    )
    CONNECTION_REFUSED = (
        "connection-refused",
        "No connection can be opened, because nothing listens; it fails within milliseconds.",
        "It is not connection-reset: there never was a connection, and the no came at once.",
    )
    CONNECTION_RESET = (
        "connection-reset",
        "A live or just-opened connection is torn down before a byte of the answer arrives.",
        "It is not truncated-response: the line was torn down before any of the answer came.",
    )
    TRUNCATED_RESPONSE = (
        "truncated-response",
        "The answer starts, and the stream ends before its announced length.",
        "It is not connection-reset: the answer had begun, and its status was there.",
    )
    LOCK_CONTENTION = (
        "lock-contention",
        "A query that has its connection waits in the database for another transaction's lock.",
        "It is not pool-exhaustion: who waited had a connection, and waited inside the database.",
    )
    BANDWIDTH = (
        "bandwidth",
        "Transfer time grows with bytes; small messages on the same edge are as fast as ever.",
        "It is not latency: the time grows with what is carried; a little is as fast as ever.",
    )
    TIMEOUT = (
        "timeout",
        "No answer came within the caller's limit, on a connection not known to be dead.",
        "It is not latency: no answer came; nor stale-connection: no sign of a line long dead.",
    )
    LATENCY = (
        "latency",
        "Each round trip on one hop takes longer, whatever its size, and still arrives in time.",
        "It is not bandwidth: little and much are late alike; nor timeout: the answer did come.",
    )
    BUSINESS_REJECTION = (
        "business-rejection",
        "Every hop worked; a business rule correctly said no. Nobody did it.",
        "It is no failure of a hop: each answered as fast as ever, and what it should.",
    )
