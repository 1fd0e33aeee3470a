"""What an operator may set, and what of it is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from lab.shop import topology
from lab.shop.keeper.environment import (
    OTEL_CONDITIONS,
    condition_environment,
    known_settings,
    service_environment,
)
from lab.shop.settings import SETTINGS, AuthSettings, DatabaseSettings, ServiceSettings, seconds


@pytest.mark.parametrize(
    ("written", "meant_s"), [("400ms", 0.4), ("0.8s", 0.8), ("15s", 15), ("2m", 120), ("1h", 3600)]
)
def test_a_duration_is_written_with_its_unit(written: str, meant_s: float) -> None:
    """Milliseconds, seconds, minutes and hours are understood."""
    settings = AuthSettings(port=1, database_dsn="", session_lifetime=written)
    assert settings.session_lifetime == timedelta(seconds=meant_s)


@pytest.mark.parametrize("written", ["5 apples", "s", "-1s", "", "1s and more"])
def test_a_duration_that_is_none_is_refused(written: str) -> None:
    """The message shows what a duration looks like and what was given."""
    with pytest.raises(ValidationError, match=r"expected a duration such as 400ms"):
        AuthSettings(port=1, database_dsn="", session_lifetime=written)


def test_off_lifts_a_limit() -> None:
    """`off` is no limit, which the libraries call None."""
    settings = DatabaseSettings(port=1, database_dsn="", command_timeout="off")
    assert seconds(settings.command_timeout) is None


@pytest.mark.parametrize(
    ("connect", "acquire", "fits"),
    [("0.4s", "0.8s", True), ("0.8s", "0.8s", False), ("off", "0.8s", False), ("off", "off", True)],
)
def test_a_connect_has_to_end_before_the_acquire_round_it(
    connect: str, acquire: str, *, fits: bool
) -> None:
    """Limits under which a failing connect would go unseen are refused."""
    limits = {"connect_timeout": connect, "acquire_timeout": acquire}
    if fits:
        DatabaseSettings(port=1, database_dsn="", **limits)  # type: ignore[arg-type]
    else:
        with pytest.raises(ValidationError, match=r"expected connect_timeout below"):
            DatabaseSettings(port=1, database_dsn="", **limits)  # type: ignore[arg-type]


def test_the_defaults_keep_every_inner_limit_below_the_one_round_it() -> None:
    """Connect < acquire < command < the limit of whoever called, all the way up."""

    def of(service: str, name: str) -> float:
        limit: timedelta = SETTINGS[service].model_fields[name].default
        return limit.total_seconds()

    for service in ("auth", "catalog", "checkout", "payments"):
        assert of(service, "connect_timeout") < of(service, "acquire_timeout")
        assert of(service, "acquire_timeout") < of(service, "command_timeout")
    assert of("auth", "command_timeout") < of("gateway", "auth_timeout")
    assert of("catalog", "command_timeout") < of("checkout", "catalog_timeout")
    assert of("payments", "bank_timeout") < of("checkout", "payments_timeout")
    assert of("checkout", "payments_timeout") < of("gateway", "checkout_timeout")


def test_a_password_is_not_in_the_message_about_a_wrong_setting() -> None:
    """Settings are validated before logs are masked, so their values stay out of messages."""
    with pytest.raises(ValidationError) as caught:
        DatabaseSettings(
            port=1,
            database_dsn="postgresql://shop:secret@h/d",
            connect_timeout="2s",
        )
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("service", topology.SERVICES)
def test_a_services_environment_is_all_it_needs(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its environment alone every service's settings can be made; no edge is left out."""
    environment = service_environment(service, offset=100, postgres_password="p@ss")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings: ServiceSettings = SETTINGS[service]()
    assert settings.port == topology.port(service, 100)
    addresses = " ".join(environment.values())
    for edge in topology.edges_of(service):
        assert f"127.0.0.1:{topology.port(edge.name, 100)}" in addresses


def test_a_service_reaches_a_database_through_its_edge_with_the_password_quoted() -> None:
    """The DSN holds user, quoted password, the proxy's port and the database's own name."""
    environment = service_environment("auth", postgres_user="me", postgres_password="a/b@c")
    port = topology.port("auth-users_db")
    expected = f"postgresql://me:a%2Fb%40c@127.0.0.1:{port}/users"
    assert environment["SHOP_DATABASE_DSN"] == expected


@pytest.mark.parametrize(
    ("protocol", "part"), [("http/protobuf", "otelcol_otlp_http"), ("grpc", "otelcol_otlp_grpc")]
)
def test_telemetry_goes_to_the_collectors_port_for_its_protocol(protocol: str, part: str) -> None:
    """Protocol and endpoint always fit each other."""
    environment = service_environment("bank", offset=300, otlp_protocol=protocol)  # type: ignore[arg-type]
    assert environment["OTEL_EXPORTER_OTLP_PROTOCOL"] == protocol
    assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == topology.url(part, 300)


def test_where_parts_have_host_names_each_callee_is_called_by_its_own() -> None:
    """The proxies answer under the callee's name, so that no span has to say another."""
    environment = service_environment("checkout", by_name=True)

    catalog, orders = topology.port("checkout-catalog"), topology.port("checkout-orders_db")
    assert environment["SHOP_HOST"] == "0.0.0.0"
    assert environment["SHOP_CATALOG_URL"] == f"http://catalog:{catalog}"
    assert environment["SHOP_DATABASE_DSN"].endswith(f"@orders-db:{orders}/orders")
    assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"].startswith("http://otelcol:")
    assert not any("toxi" in value or "127.0.0.1" in value for value in environment.values())


def test_a_condition_becomes_an_environment_variable() -> None:
    """Settings are prefixed, `OTEL_*` stays, and YAML's off is written out again."""
    assert condition_environment("pool_size", 2) == ("SHOP_POOL_SIZE", "2")
    assert condition_environment("OTEL_PROPAGATORS", "none") == ("OTEL_PROPAGATORS", "none")
    assert condition_environment("single_flight", value=False) == ("SHOP_SINGLE_FLIGHT", "off")
    assert condition_environment("single_flight", value=True) == ("SHOP_SINGLE_FLIGHT", "on")


def test_a_service_knows_its_own_settings_and_no_others() -> None:
    """Conditions are a service's options and OTel's; where it lives is not one of them."""
    checkout = known_settings("checkout")
    assert {"pool_size", "price_batch_size", "payments_timeout", "request_deadline"} <= checkout
    assert checkout >= OTEL_CONDITIONS
    assert not {"port", "host", "database_dsn", "catalog_url"} & checkout
    assert "pool_size" not in known_settings("gateway")
    with pytest.raises(KeyError):
        known_settings("nobody")
