"""The words and quantities a scenario file may hold, each with its refusal and its schema."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Strict,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from lab.domain.bound import GRAMMAR, Bound, Unit, parse, quantity
from lab.domain.evidence import SEVERITIES, Sample
from lab.domain.fault import Limits, Stream, Toxic
from lab.domain.instrumentation import Instrumentation, Sight
from lab.domain.journal import Step
from lab.domain.load import Window
from lab.domain.mechanism import Mechanism, Scope
from lab.domain.observation import Loss
from lab.domain.record_check import Answered, LineOf, Timing
from lab.domain.scenario import Origin, RequestStatistic, SpanStatistic, SpanTime
from lab.domain.trace import Kind, Status
from lab.domain.twin import Expectation, Tier
from lab.domain.wording import unknown_name
from lab.load.actors import ACTORS, JOBS, TENANTS
from lab.shop import topology
from lab.shop.collector import COLLECTOR, SAMPLINGS, SETTING

ROUTES: Final = (
    "POST /login",
    "GET /home",
    "GET /products",
    "GET /products/{id}",
    "POST /checkout",
    "GET /orders/{id}",
)
"""The shop's routes as actors log them."""

SPAN_SERVICES: Final = (*topology.SERVICES, "storefront", *JOBS)
"""Every ``service.name`` a span may have: the shop's and the actors'."""

PEERS: Final = (*topology.SERVICES, *topology.DATABASES)
"""Every ``service.peer.name`` a CLIENT span may have."""


class Fields(dict[int, tuple[str, ...]]):
    """By its identity, the fields that each mapping of a file may have.

    ``any_names`` says that the file is of another system than the shop, whose services, peers
    and routes nobody knows beforehand.
    """

    any_names = False


class Refused(ValueError):
    """A value cannot stand; the message says what was expected, its place is added later."""


Word = TypeVar("Word", bound=StrEnum)


class Entry(BaseModel):
    """A mapping of a scenario file: known fields, each once, nothing else.

    What fields a mapping may have depends on its neighbours (a fault's on its
    toxic), so each leaves them in the context for the refusal of an unknown one.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, defer_build=True
    )

    @model_validator(mode="before")
    @classmethod
    def _remember_fields(cls, data: Any, info: ValidationInfo) -> Any:
        if isinstance(info.context, dict):
            info.context[id(data)] = tuple(cls.model_fields)
        return data


def refuse_each(problems: Mapping[tuple[str | int, ...], str]) -> None:
    """Refuse several places inside one value at once; of none, do nothing."""
    details = [
        InitErrorDetails(
            type=PydanticCustomError("refused", "{why}", {"why": why}), loc=place, input=None
        )
        for place, why in problems.items()
    ]
    if details:
        raise ValidationError.from_exception_data("refused", details)


def _shops_name(what: str, known: Iterable[str]) -> tuple[BeforeValidator, WithJsonSchema]:
    """A name of the shop's; of another system any text."""
    closed, schema = _name(what, known)
    refuse: Callable[[Any], Any] = closed.func  # type: ignore[assignment]

    def check(value: object, info: ValidationInfo) -> object:
        if isinstance(info.context, Fields) and info.context.any_names and isinstance(value, str):
            return value
        return refuse(value)

    return BeforeValidator(check), schema


def _name(what: str, known: Iterable[str]) -> tuple[BeforeValidator, WithJsonSchema]:
    names = tuple(known)

    def check(value: object) -> object:
        if not isinstance(value, str) or value not in names:
            raise Refused(unknown_name(what, str(value), names))
        return value

    return BeforeValidator(check), WithJsonSchema({"enum": list(names)})


def _word(what: str, words: type[Word]) -> tuple[BeforeValidator, WithJsonSchema]:
    check, schema = _name(what, [str(word) for word in words])
    convert: Callable[[Any], Any] = check.func  # type: ignore[assignment]
    return BeforeValidator(lambda value: words(convert(value))), schema


Text = Annotated[str, Strict()]
EdgeName = Annotated[str, *_name("edge", (edge.name for edge in topology.EDGES))]
ServiceName = Annotated[str, *_shops_name("service", SPAN_SERVICES)]
PeerName = Annotated[str, *_shops_name("peer", PEERS)]
RouteName = Annotated[str, *_shops_name("route", ROUTES)]
ActorName = Annotated[str, *_name("actor", ACTORS)]
JobName = Annotated[str, *_name("job", JOBS)]
TenantName = Annotated[str, *_name("tenant", TENANTS)]
ToxicWord = Annotated[Toxic, *_word("toxic", Toxic)]
StreamWord = Annotated[Stream, *_word("stream", Stream)]
MechanismWord = Annotated[Mechanism, *_word("mechanism", Mechanism)]
OriginWord = Annotated[Origin, *_word("origin", Origin)]
ScopeWord = Annotated[Scope, *_word("scope", Scope)]
KindWord = Annotated[Kind, *_word("span kind", Kind)]
StatusWord = Annotated[Status, *_word("span status", Status)]
SampleWord = Annotated[Sample, *_word("sample", Sample)]
WindowWord = Annotated[Window, *_word("window", Window)]
StepWord = Annotated[Step, *_word("step", Step)]
LossWord = Annotated[Loss, *_word("loss", Loss)]
LineOfWord = Annotated[LineOf, *_word("span of a line", LineOf)]
SeverityWord = Annotated[str, *_name("severity", SEVERITIES)]
AnsweredWord = Annotated[Answered, *_word("kind of answer", Answered)]
TierWord = Annotated[Tier, *_word("tier", Tier)]
ExpectationWord = Annotated[Expectation, *_word("expectation", Expectation)]
InstrumentationWord = Annotated[
    Instrumentation, *_word("level of instrumentation", Instrumentation)
]
SightWord = Annotated[Sight, *_word("sight", Sight)]
SpanStatisticWord = Annotated[SpanStatistic, *_word("statistic", SpanStatistic)]
SpanTimeWord = Annotated[SpanTime, *_word("time of a span", SpanTime)]
TimingWord = Annotated[Timing, *_word("timing", Timing)]
RequestStatisticWord = Annotated[RequestStatistic, *_word("statistic", RequestStatistic)]


def _ms(value: object) -> float:
    parsed = quantity(value.removeprefix("-")) if isinstance(value, str) else None
    if str(value).startswith("-"):
        raise Refused(f"must be >= 0ms, got {value}")
    if parsed is None or parsed[1] is not Unit.DURATION:
        raise Refused(f"expected a duration with its unit, such as 400ms or 1.5s, got {value!r}")
    return parsed[0]


_DURATION_SCHEMA: Final = WithJsonSchema(
    {"type": "string", "pattern": r"^\d+(\.\d+)?\s*(us|ms|s)$", "examples": ["400ms", "1.5s"]}
)

Seconds = Annotated[float, BeforeValidator(lambda value: _ms(value) / 1000), _DURATION_SCHEMA]
"""A duration with its unit, in seconds."""

Ms = Annotated[float, BeforeValidator(_ms), _DURATION_SCHEMA]
"""A duration with its unit, in ms."""

MOST: Final = 10**9
"""What is counted in a scenario, bytes included, is never more; Toxiproxy takes 63 bits."""


def _whole_duration(limits: Limits, unit: str, per_ms: int) -> tuple[BeforeValidator, Any]:
    def check(value: object) -> int:
        number = _ms(value) * per_ms
        if number > limits.most:
            raise Refused(f"must be <= {limits.most}{unit}, got {value}")
        if not number.is_integer():
            raise Refused(f"expected a whole number of {unit}, got {value!r}")
        return int(number)

    most = Decimal(limits.most) / per_ms
    units = (("us", 1000), ("ms", 1), ("s", Decimal("0.001")))
    ways = "|".join(rf"({up_to(most * factor)})\s*{name}" for name, factor in units)
    schema = {
        "type": "string",
        "pattern": f"^({ways})$",
        "description": f"A duration from 0{unit} to {limits.most}{unit}.",
        "examples": ["400ms", "1.5s"],
    }
    return BeforeValidator(check), WithJsonSchema(schema)


def up_to(most: Decimal) -> str:
    """A pattern of the decimal numbers from 0 to ``most``, which has one digit beside zeros."""
    digit, exponent = most.normalize().as_tuple().digits[0], most.adjusted()
    lower = f"[0-{digit - 1}]"
    if exponent < 0:
        zeros = "0" * (-exponent - 1)
        return rf"0+(\.{zeros}({lower}\d*|{digit}0*))?"
    whole = rf"0*{lower}?\d{{0,{exponent}}}"
    return rf"(?=\d){whole}(\.\d+)?|0*{digit}0{{{exponent}}}(\.0+)?"


def whole_ms(limits: Limits) -> tuple[BeforeValidator, Any]:
    """A duration with its unit, as Toxiproxy takes it: whole ms."""
    return _whole_duration(limits, "ms", 1)


def whole_us(limits: Limits) -> tuple[BeforeValidator, Any]:
    """A duration with its unit, as Toxiproxy's slicer takes it: whole µs."""
    return _whole_duration(limits, "us", 1000)


def count(limits: Limits) -> tuple[BeforeValidator, Any]:
    """A plain whole number."""

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refused(f"expected a whole number without a unit, got {value!r}")
        if value < limits.least:
            raise Refused(f"must be >= {limits.least}, got {value}")
        if value > limits.most:
            raise Refused(f"must be <= {limits.most}, got {value}")
        return value

    schema = {"type": "integer", "minimum": limits.least, "maximum": limits.most}
    return BeforeValidator(check), WithJsonSchema(schema)


Count = Annotated[int, *count(Limits(most=MOST))]
"""A plain whole number."""

MOST_LOAD: Final = 1000
"""Users, or arrivals a second; a typing error must not take the machine down."""


def _arrivals(value: object) -> float:
    number, slash, per = str(value).partition("/")
    parsed = quantity(number)
    if (slash, per) != ("/", "s") or parsed is None or parsed[1] is not Unit.NUMBER:
        raise Refused(f"expected arrivals a second such as 15/s, got {value!r}")
    if not parsed[0]:
        raise Refused(f"must be > 0/s, got {value}")
    if parsed[0] > MOST_LOAD:
        raise Refused(f"must be <= {MOST_LOAD}/s, got {value}")
    return parsed[0]


Arrivals = Annotated[
    float,
    BeforeValidator(_arrivals),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?/s$", "examples": ["15/s"]}),
]
"""Arrivals a second of an open loop."""


def _bound(unit: Unit | None, *, in_one_window: bool = False) -> Any:
    def check(value: object) -> Bound:
        if not isinstance(value, str):
            raise Refused(f"expected a bound such as {GRAMMAR}, got {value!r}")
        bound = parse(value, unit)
        if in_one_window and bound.needs_reference:
            raise Refused(f"expected a bound without reference here, got {value!r}")
        return bound

    schema = {"type": "string", "description": f"A bound: {GRAMMAR}."}
    return BeforeValidator(check), WithJsonSchema(schema)


ShareBound = Annotated[Bound, *_bound(Unit.SHARE, in_one_window=True)]
CountBound = Annotated[Bound, *_bound(Unit.NUMBER, in_one_window=True)]
DurationBound = Annotated[Bound, *_bound(Unit.DURATION)]
OwnDurationBound = Annotated[Bound, *_bound(Unit.DURATION, in_one_window=True)]
AnyBound = Annotated[Bound, *_bound(None)]


def _scalar(value: object) -> object:
    if not isinstance(value, str | bool | int | float):
        raise Refused(f"expected text, a number, true or false, got {value!r}")
    # Plain, without what ruamel remembers of how it was written, for types are compared too.
    plain = next(kind for kind in (bool, str, int, float) if isinstance(value, kind))
    return plain(value)


def _attribute(value: object) -> object:
    if isinstance(value, str) and value[:1] in {"<", ">"}:
        return parse(value, Unit.NUMBER)
    return _scalar(value)


AttributeTest = Annotated[
    Any,
    BeforeValidator(_attribute),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
"""An attribute's value, or, where the text starts with ``<`` or ``>``, a bound on it."""


AttributeWord = Annotated[
    Any, BeforeValidator(_scalar), WithJsonSchema({"type": ["string", "number", "boolean"]})
]
"""An attribute's value, as it stands."""


_WIRING: Final = frozenset({"host", "port", "log_file", "database_dsn"})
"""Settings that the stack owns, as it does every ``…_url``; no case may change them."""


def condition_problem(name: str, value: object) -> str | None:
    """What is wrong with ``service.setting: value``, None where nothing is.

    A setting in upper case is an environment variable as it stands, one of OpenTelemetry's;
    only the process that reads it knows its values.
    """
    # What services read their settings with is slow to import, and many cases set nothing.
    from lab.shop.keeper.environment import OTEL_CONDITIONS
    from lab.shop.settings import SETTINGS

    service, _, setting = name.partition(".")
    if service == COLLECTOR:
        return _collector_problem(setting, value)
    if service not in SETTINGS:
        return unknown_name("service", service, (*SETTINGS, COLLECTOR))
    if setting.isupper():
        known = setting in OTEL_CONDITIONS
        return None if known else unknown_name("variable", setting, OTEL_CONDITIONS)
    fields = {
        field: info
        for field, info in SETTINGS[service].model_fields.items()
        if field not in _WIRING and not field.endswith("_url")
    }
    if setting not in fields:
        return unknown_name(f"setting of {service}", setting, fields)
    info = fields[setting]
    try:
        wanted: Any = info.annotation
        if info.metadata:
            wanted = Annotated[wanted, *info.metadata]
        TypeAdapter(wanted).validate_python(value)
    except ValidationError as error:
        return error.errors()[0]["msg"].removeprefix("Value error, ")
    return None


def _collector_problem(setting: str, value: object) -> str | None:
    if setting != SETTING:
        return unknown_name(f"setting of {COLLECTOR}", setting, (SETTING,))
    known = isinstance(value, str) and value in SAMPLINGS
    return None if known else unknown_name(SETTING, str(value), SAMPLINGS)
