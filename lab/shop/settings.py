"""What an operator may set of each service, by environment variables that start with ``SHOP_``.

The defaults keep every inner limit below the one around it: connect 0.4 s <
acquire 0.8 s < command 1.0 s < the callers' limits. With that order the
innermost span that waited is the one that fails.
"""

from __future__ import annotations

import re
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveInt, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_DURATION: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m|h)")
_UNIT_S: Final = MappingProxyType({"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0})


def _duration(value: object) -> object:
    """``"400ms"``, ``"0.8s"``, ``"2m"`` → timedelta; ``"off"`` → None, which means no limit."""
    if not isinstance(value, str):
        return value
    if value == "off":
        return None
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"expected a duration such as 400ms, 0.8s or 2m, got {value!r}")
    return timedelta(seconds=float(match["number"]) * _UNIT_S[match["unit"]])


Duration = Annotated[timedelta, BeforeValidator(_duration)]
"""A span of time that must be given, written with its unit."""

Limit = Annotated[timedelta | None, BeforeValidator(_duration)]
"""A span of time after which the waiting ends, or ``off``."""


def seconds(limit: timedelta | None) -> float | None:
    """A limit as the libraries want it: seconds, or None for no limit."""
    return None if limit is None else limit.total_seconds()


class FromEnvironment(BaseSettings):
    """Read from variables that start with ``SHOP_``."""

    model_config = SettingsConfigDict(
        # A problem is logged; the password in the database's address must not be.
        env_prefix="SHOP_",
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )


class ServiceSettings(FromEnvironment):
    """What every service has. ``keep_alive`` is how long it leaves idle callers connected."""

    host: str = "127.0.0.1"
    port: PositiveInt
    keep_alive: Duration = timedelta(seconds=75)


class HttpClientSettings(ServiceSettings):
    """What a service has that calls others by HTTP.

    ``keepalive_expiry`` stays below the callee's ``keep_alive``: whoever closes
    an idle connection should be the one who knows whether it is about to use it.
    ``backoff`` is the pause before the first retry, and twice as long before each
    that follows; ``off`` tries again at once.
    """

    http_connections: PositiveInt = 200
    keepalive: bool = True
    keepalive_expiry: Duration = timedelta(seconds=30)
    retries: NonNegativeInt = 0
    backoff: Limit = timedelta(milliseconds=100)


class PoolSettings(FromEnvironment):
    """What its owner may set of a pool of database connections.

    ``pool_min`` connections are opened at the start and none in the background
    later: a reconnect is always part of the request that needed it.
    """

    database_dsn: str = Field(repr=False)
    pool_size: PositiveInt = 10
    pool_min: NonNegativeInt = 5
    idle_lifetime: Duration = timedelta(seconds=300)
    connect_timeout: Limit = timedelta(seconds=0.4)
    acquire_timeout: Limit = timedelta(seconds=0.8)
    command_timeout: Limit = timedelta(seconds=1.0)

    @model_validator(mode="after")
    def _connect_ends_before_acquire(self) -> PoolSettings:
        """Reject limits under which a failing connect would be cut short by the acquire round it.

        The span of a connect that is cut short stays unset, so the trace would
        blame the pool for what the network did.
        """
        connect, acquire = self.connect_timeout, self.acquire_timeout
        if acquire is not None and (connect is None or connect >= acquire):
            raise ValueError(
                "expected connect_timeout below acquire_timeout, "
                f"got {seconds(connect)} s and {seconds(acquire)} s; widen acquire_timeout too"
            )
        return self


class DatabaseSettings(PoolSettings, ServiceSettings):
    """What a service has that asks a database."""


class AuditorSettings(PoolSettings):
    """Who looks after the books, one transaction at a time."""

    pool_size: PositiveInt = 1
    pool_min: NonNegativeInt = 1


class GatewaySettings(HttpClientSettings):
    """The door of the shop. ``catalog_fallback`` is what it shows where catalog fails.

    ``storefront_otlp_url`` is where a customer's browser sends its spans, as the browser
    reaches it; empty, and it sends none.
    """

    auth_url: str
    catalog_url: str
    checkout_url: str
    storefront_otlp_url: str = ""
    auth_timeout: Limit = timedelta(seconds=2.5)
    catalog_timeout: Limit = timedelta(seconds=2.5)
    checkout_timeout: Limit = timedelta(seconds=5.0)
    catalog_fallback: Literal["off", "empty"] = "off"


class AuthSettings(DatabaseSettings):
    """Who is asking."""

    session_lifetime: Duration = timedelta(days=30)


class CatalogSettings(DatabaseSettings):
    """What there is to buy. ``cache_ttl`` 0 s keeps nothing; only single products are cached."""

    cache_ttl: Duration = timedelta(seconds=4)
    single_flight: bool = True


class CheckoutSettings(HttpClientSettings, DatabaseSettings):
    """How it is bought."""

    catalog_url: str
    payments_url: str
    catalog_timeout: Limit = timedelta(seconds=1.5)
    payments_timeout: Limit = timedelta(seconds=2.5)
    price_batch_size: PositiveInt = 50
    request_deadline: Limit = None


class PaymentsSettings(HttpClientSettings, DatabaseSettings):
    """How it is paid; with ``idempotency_key`` the bank is told which calls are the same one."""

    bank_url: str
    bank_timeout: Limit = timedelta(seconds=1.5)
    bank_name: str = "northbank"
    idempotency_key: bool = True


class BankSettings(ServiceSettings):
    """The outside world."""


class NotifierSettings(DatabaseSettings):
    """Who tells the customer."""

    poll_interval: Duration = timedelta(seconds=0.5)
    batch_size: PositiveInt = 50


SETTINGS: Final[MappingProxyType[str, type[ServiceSettings]]] = MappingProxyType(
    {
        "gateway": GatewaySettings,
        "auth": AuthSettings,
        "catalog": CatalogSettings,
        "checkout": CheckoutSettings,
        "payments": PaymentsSettings,
        "bank": BankSettings,
        "notifier": NotifierSettings,
    }
)
"""Service → its settings."""
