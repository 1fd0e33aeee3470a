import json
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.domain.bound import parse as bound
from lab.domain.evidence import Sample
from lab.domain.fault import TOXIC_LIMITS, Dice, Fault, Stream, Toxic
from lab.domain.join import Join
from lab.domain.journal import Step
from lab.domain.load import Burst, LoadShape, RequestFilter, Window
from lab.domain.mechanism import Mechanism, Scope
from lab.domain.predicate import Predicate
from lab.domain.scenario import (
    Accomplice,
    Alternative,
    Decoy,
    Equal,
    OccupancyCheck,
    Origin,
    RequestCheck,
    RequestStatistic,
    Scenario,
    SpanCountCheck,
    SpanDurationCheck,
    SpanFitCheck,
    SpanGroupsCheck,
    SpanStatistic,
)
from lab.domain.schedule import Schedule
from lab.domain.symptom import Harm
from lab.domain.trace import Kind, Status
from lab.domain.twin import Drop, Expectation, Part, Tier, Twin
from lab.errors import ScenarioError
from lab.scenario_file import faults, load, load_all, parse

MINIMAL = """\
title: A title
difficulty: 3
skill: A skill.
load: {actors: {shopper: 12}}
windows: {reference: 8s, crime: 12s, recovery: 8s}
faults: [{edge: auth-users_db, toxic: timeout, timeout: 0ms}]
symptom: {route: POST /checkout, error_rate: ">= 95%"}
truth: {mechanism: timeout, culprit: {any: [{service: auth}]}}
hints: [Look.]
"""


def read(text: str, *, briefing: str = "Somebody is dead.", name: str = "a-case") -> Scenario:
    return parse({"scenario.yaml": text, "briefing.md": briefing, "debrief.md": "It was."}, name)


def changed(**fields: str) -> str:
    """The minimal file with these top-level fields written anew, or added."""
    lines = dict(line.split(": ", 1) for line in MINIMAL.splitlines())
    return "".join(f"{name}: {value}\n" for name, value in (lines | fields).items())


def problems(text: str, **options: str) -> tuple[str, ...]:
    with pytest.raises(ScenarioError) as caught:
        read(text, **options)
    return caught.value.problems


def test_a_minimal_file_has_the_defaults() -> None:
    scenario = read(MINIMAL)
    assert scenario.id == "a-case"
    assert scenario.load == dict.fromkeys(Window, LoadShape({"shopper": 12}, users=12))
    assert scenario.durations_s == {
        Window.REFERENCE: 8.0,
        Window.CRIME: 12.0,
        Window.RECOVERY: 8.0,
    }
    assert scenario.faults == (Fault("auth-users_db", Toxic.TIMEOUT, {"timeout": 0}),)
    assert scenario.symptom.harm is Harm.ERROR
    assert scenario.symptom.reference == bound("<= 1%")
    assert scenario.truth.scope is Scope.ALL
    assert scenario.truth.share == bound(">= 80%")
    assert scenario.min_requests == 100
    assert scenario.briefing == "Somebody is dead."


def test_a_scenario_keeps_the_texts_it_was_read_from() -> None:
    """A case folder can carry them, and `parse` reads the same scenario back."""
    scenario = read(MINIMAL)
    assert scenario.source["scenario.yaml"] == MINIMAL
    assert parse(scenario.source, scenario.id) == scenario


def test_everything_the_language_can_say_becomes_the_domain_s() -> None:
    scenario = read(
        changed(
            load="{reference: {rate: 15/s, actors: {shopper: 1}}, "
            "warmup: {users: 30, actors: {shopper: 1}}, "
            "crime: {users: 3, pace: 2s, actors: {shopper: 1, browser: 2.5}}}",
            conditions="{checkout.pool_size: 2, gateway.keepalive: false, "
            "payments.OTEL_PROPAGATORS: none}",
            ambient="[{edge: gateway-auth, toxic: latency, latency: 1.5s, stream: upstream}]",
            faults="[{edge: payments-bank, down: true, schedule: {start: 1.5s, jitter: 100ms}}, "
            "{edge: gateway-catalog, toxic: slicer, average_size: 2000, delay: 50ms, "
            "toxicity: 0.3, schedule: {start: 5s, on: 15s, every: 60s}}]",
            symptom='{route: GET /products, slow_rate: ">= 95%", slower_than: 600ms, '
            'reference: "<= 2%", actor: browser, tenant: birch}',
            truth='{mechanism: timeout, scope: some-tenants, share: ">= 90%", '
            "joins: [{search: '{ }', on: order_id, overlap: true}, {search: '{ a }'}], "
            "victims: [{service: auth}], "
            "accomplice: {mechanism: latency, any: [{service: bank}]}, "
            "culprit: {any: [{service: payments, name: POST, kind: client, status: error, "
            "peer: bank, exception: ReadTimeout, attributes: {a: 1, b: x, c: '> 2', d: true}, "
            "duration: '>= 10x reference', self_time: 5ms..9ms, "
            "root: true, wire_time: '>= 3ms', ends_after_parent: '>= 100ms', repeats: '>= 20', "
            "at_once: '>= 5', "
            "parent: {name: p}, ancestor: {name: a}, child: {name: c}, no_child: {}, "
            "in_traces: '>= 1'}]}}",
            decoys="[{span: {service: auth}, why: It slept., share: '>= 60%'}]",
            checks="[{measure: span-count, of: {service: auth}, bound: '== 0', label: a}, "
            "{measure: span-duration, of: {service: auth}, statistic: p95, bound: unchanged, "
            "sample: recovery, step: recovery, label: b}, "
            "{measure: requests, route: POST /login, actor: shopper, tenant: acme, "
            "statistic: error_rate, bound: '== 0%', "
            "window: reference, step: reference, label: c}, "
            "{measure: fit, of: {service: auth}, against: rows, r2: '>= 0.9', label: d}]",
            min_requests="20",
            tier="core",
            twins="[{name: no bank, drop: ['faults[1]', ambient, load], "
            "set: {checkout.pool_size: 9}, expect: unchanged}]",
        )
    )
    assert scenario.tier is Tier.CORE
    dropped = (Drop(Part.FAULTS, 1), Drop(Part.AMBIENT), Drop(Part.LOAD))
    assert scenario.twins == (
        Twin("no bank", Expectation.UNCHANGED, dropped, {"checkout.pool_size": 9}),
    )
    assert scenario.load == {
        Window.SETTLE: LoadShape({"shopper": 1}, rate_per_s=15),
        Window.REFERENCE: LoadShape({"shopper": 1}, rate_per_s=15),
        Window.TRANSITION: LoadShape({"shopper": 1}, users=30),
        Window.CRIME: LoadShape({"shopper": 1, "browser": 2.5}, users=3, pace_s=2),
        Window.RECOVERY: LoadShape({"shopper": 1}, rate_per_s=15),
    }
    assert scenario.conditions == {
        "checkout.pool_size": 2,
        "gateway.keepalive": False,
        "payments.OTEL_PROPAGATORS": "none",
    }
    assert scenario.ambient == (
        Fault("gateway-auth", Toxic.LATENCY, {"latency": 1500}, Stream.UPSTREAM),
    )
    sliced = {"average_size": 2000, "delay": 50_000}
    assert scenario.faults == (
        Fault("payments-bank", None, schedule=Schedule(1.5, jitter_s=0.1)),
        Fault(
            "gateway-catalog",
            Toxic.SLICER,
            sliced,
            toxicity=0.3,
            schedule=Schedule(start_s=5, on_s=15, every_s=60),
        ),
    )
    assert scenario.symptom.slower_than_ms == 600
    assert scenario.symptom.of == RequestFilter("GET /products", "browser", "birch")
    culprit = Predicate(
        service="payments",
        name="POST",
        kind=Kind.CLIENT,
        status=Status.ERROR,
        peer="bank",
        exception="ReadTimeout",
        attributes={"a": 1, "b": "x", "c": bound("> 2"), "d": True},
        duration=bound(">= 10x reference"),
        self_time=bound("5ms..9ms"),
        wire_time=bound(">= 3ms"),
        ends_after_parent=bound(">= 100ms"),
        repeats=bound(">= 20"),
        at_once=bound(">= 5"),
        root=True,
        parent=Predicate(name="p"),
        ancestor=Predicate(name="a"),
        child=Predicate(name="c"),
        no_child=Predicate(),
    )
    assert scenario.truth.culprit == (Alternative(culprit, bound(">= 1")),)
    assert scenario.truth.scope is Scope.SOME_TENANTS
    assert scenario.truth.joins == (Join("{ }", "order_id", overlap=True), Join("{ a }"))
    assert scenario.truth.victims == (Predicate(service="auth"),)
    accomplice = (Alternative(Predicate(service="bank")),)
    assert scenario.truth.accomplice == Accomplice(Mechanism.LATENCY, accomplice)
    assert scenario.decoys == (Decoy(Predicate(service="auth"), "It slept.", bound(">= 60%")),)
    assert scenario.checks == (
        SpanCountCheck("a", Predicate(service="auth"), bound("== 0")),
        SpanDurationCheck(
            "b",
            Predicate(service="auth"),
            SpanStatistic.P95,
            bound("unchanged"),
            Sample.RECOVERY,
            Step.RECOVERY,
        ),
        RequestCheck(
            "c",
            RequestFilter("POST /login", "shopper", "acme"),
            RequestStatistic.ERROR_RATE,
            bound("== 0%"),
            Window.REFERENCE,
            Step.REFERENCE,
        ),
        SpanFitCheck("d", Predicate(service="auth"), "rows", bound(">= 0.9")),
    )


def test_an_attributes_value_is_compared_as_it_is_and_not_as_it_was_written() -> None:
    """YAML's nought remembers its width, and would equal no span's."""
    wanted = (
        "{mechanism: timeout, culprit: {any: [{attributes: {a: 0, b: 0.0, c: false, d: 'x'}}]}}"
    )
    [culprit] = read(changed(truth=wanted)).truth.culprit
    values = culprit.predicate.attributes.values()
    assert [(type(each), each) for each in values] == [
        (int, 0), (float, 0.0), (bool, False), (str, "x")
    ]  # fmt: skip


def test_a_load_may_have_bursts() -> None:
    """On top of a rate, or instead of one."""
    storm = read(changed(load="{rate: 10/s, bursts: [{at: 5s, size: 60, over: 2s}], "
                              "actors: {browser: 1}}"))  # fmt: skip
    pairs = read(changed(load="{bursts: [{size: 2, every: 3s}], actors: {browser: 1}}"))

    assert storm.load[Window.CRIME] == LoadShape(
        {"browser": 1}, rate_per_s=10, bursts=(Burst(60, at_s=5, over_s=2),)
    )
    assert pairs.load[Window.CRIME] == LoadShape(
        {"browser": 1}, rate_per_s=0, bursts=(Burst(2, every_s=3),)
    )


SICK = "{edge: catalog-catalog_db, toxic: latency, latency: 600ms, toxicity: 0.3}"
DICE = "edge: catalog-catalog_db, of: {name: SELECT}, by: db.connection.id, values: 2..5"
GROUPS = "of: {name: SELECT}, by: db.connection.id, hit: {duration: '>= 550ms'}, label: l"


def test_chance_is_told_when_it_is_fair_and_what_it_explains() -> None:
    """A fault of some connections, how its dice are read, and the two checks over groups."""
    scenario = read(
        changed(
            faults=f"[{SICK}]",
            dice=f"{{{DICE}, throws: 2}}",
            windows="{reference: 8s, warmup: 4s, crime: 12s, recovery: 8s}",
            checks=f"[{{measure: groups, {GROUPS}, bound: 2..5, purity: '>= 98%'}}, "
            f"{{measure: occupancy, {GROUPS}, route: GET /products, slower_than: 500ms, "
            "held: 1.2s, bound: 70%..130%}]",
        )
    )
    select, late = Predicate(name="SELECT"), Predicate(duration=bound(">= 550ms"))
    by = "db.connection.id"
    assert scenario.dice == Dice("catalog-catalog_db", select, by, bound("2..5"), throws=2)
    assert scenario.warmup_s == 4
    assert scenario.checks == (
        SpanGroupsCheck("l", select, by, late, bound("2..5"), bound(">= 98%")),
        OccupancyCheck(
            "l", select, by, late, RequestFilter("GET /products"), 500, 1.2, bound("70%..130%")
        ),
    )


def test_a_crime_may_follow_on_its_warm_up_without_a_pause() -> None:
    assert read(changed()).pauses
    windows = "{reference: 8s, warmup: 9s, pause: false, crime: 12s, recovery: 8s}"
    assert not read(changed(windows=windows)).pauses


def test_a_warm_up_is_usual_where_settings_change() -> None:
    assert read(changed()).warmup_s == 0
    assert read(changed(conditions="{checkout.pool_size: 2}")).warmup_s == 3


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"faults": "[{edge: auth-users_db, toxic: latency, latency: -5ms}]"},
         "6 faults[0].latency: must be >= 0ms, got -5ms"),
        ({"faults": "[{edge: auth-users_db, toxic: latency, latency: 400}]"},
         "6 faults[0].latency: expected a duration with its unit, such as 400ms or 1.5s, got 400"),
        ({"faults": "[{edge: auth-users_db, toxic: latency, latency: 50%}]"},
         ("6 faults[0].latency: expected a duration with its unit, such as 400ms or 1.5s, "
         "got '50%'")),
        ({"faults": "[{edge: auth-users_db, toxic: latency, latency: 0.5ms}]"},
         "6 faults[0].latency: expected a whole number of ms, got '0.5ms'"),
        ({"faults": "[{edge: auth-users_db, toxic: bandwidth, rate: 10ms}]"},
         "6 faults[0].rate: expected a whole number without a unit, got '10ms'"),
        ({"faults": "[{edge: auth-users_db, toxic: bandwidth, rate: -1}]"},
         "6 faults[0].rate: must be >= 0, got -1"),
        ({"faults": "[{edge: authusers_db, toxic: timeout, timeout: 0ms}]"},
         "6 faults[0].edge: unknown edge 'authusers_db'; did you mean auth-users_db?"),
        ({"faults": "[{edge: auth-users_db, toxic: latncy, latency: 5ms}]"},
         "6 faults[0].toxic: unknown toxic 'latncy'; did you mean latency?"),
        ({"faults": "[{edge: auth-users_db}]"},
         "6 faults[0].toxic: expected this field, found none"),
        ({"faults": "[{edge: auth-users_db, toxic: latency, latncy: 5ms}]"},
         "6 faults[0].latency: expected this field, found none"),
        ({"faults": "[{edge: auth-users_db, toxic: latency, latency: 5ms, jiter: 1ms}]"},
         "6 faults[0].jiter: unknown field 'jiter'; did you mean jitter?"),
        ({"faults": "[{edge: auth-users_db, toxic: timeout, timeout: 0ms, toxicity: 2}]"},
         "6 faults[0].toxicity: expected less than or equal to 1, got 2"),
        ({"faults": "[{edge: auth-users_db, toxic: timeout, timeout: 0ms, toxicity: '1'}]"},
         "6 faults[0].toxicity: expected a valid number, got '1'"),
        ({"faults": "[{edge: auth-users_db, toxic: timeout, timeout: 0ms, stream: up}]"},
         "6 faults[0].stream: unknown stream 'up'; expected one of downstream, upstream"),
        ({"faults": "[{edge: auth-users_db, down: 3}]"},
         "6 faults[0].down: expected True, got 3"),
        ({"faults": "[auth-users_db]"},
         "6 faults[0]: expected a mapping, got 'auth-users_db'"),
        ({"faults": "[{edge: auth-users_db, toxic: timeout, timeout: 0ms}, "
                    "{edge: auth-users_db, toxic: timeout, timeout: 5ms}]"},
         "6 faults[1]: overlaps with another fault on auth-users_db"),
        ({"faults": "[{edge: auth-users_db, toxic: timeout, timeout: 0ms}, "
                    "{edge: auth-users_db, down: true}]"},
         "6 faults[1]: overlaps with another fault on auth-users_db"),
        ({"ambient": "[{edge: auth-users_db, toxic: timeout, timeout: 0ms}]"},
         "6 faults[0]: overlaps with another fault on auth-users_db"),
        ({"ambient": "[{edge: gateway-auth, down: true, schedule: {start: 1s, on: 1s}}, "
                     "{edge: gateway-auth, down: true, schedule: {start: 5s, on: 1s}}]"},
         "10 ambient[1]: overlaps with another fault on gateway-auth"),
        ({"faults": "[{edge: gateway-auth, down: true, schedule: {every: 60s}}]"},
         ("6 faults[0].schedule: expected on where there is every: it stays on, so it cannot "
          "repeat")),
        ({"faults": "[{edge: gateway-auth, down: true, "
                    "schedule: {on: 5s, every: 6s, jitter: 1s}}]"},
         ("6 faults[0].schedule: expected every to be >= 6.5s (on, jitter and 0.5s of peace), "
          "found 6s")),
        ({"faults": "[{edge: gateway-auth, down: true, schedule: {on: 0.4s}}]"},
         "6 faults[0].schedule: expected on to be >= 0.5s, found 0.4s"),
        ({"faults": "[{edge: gateway-auth, down: true, schedule: {start: -1s}}]"},
         "6 faults[0].schedule.start: must be >= 0ms, got -1s"),
        ({"faults": "[{edge: gateway-auth, down: true, schedule: {on: 15}}]"},
         ("6 faults[0].schedule.on: expected a duration with its unit, such as 400ms or 1.5s, "
          "got 15")),
        ({"faults": "[{edge: gateway-auth, down: true, schedule: {of: 15s}}]"},
         ("6 faults[0].schedule.of: unknown field 'of'; expected one of every, jitter, on, "
          "start")),
        ({"faults": "[{edge: gateway-auth, down: true, schedule: {start: 11s, jitter: 1s}}]"},
         ("6 faults[0].schedule: expected it to come before its window is over at 12s, got "
          "start and jitter of 12s")),
        ({"ambient": "[{edge: gateway-auth, down: true, schedule: {start: 8s}}]"},
         ("10 ambient[0].schedule: expected it to come before its window is over at 8s, got "
          "start and jitter of 8s")),
        ({"faults": "[]"},
         "1 file: expected faults, conditions or a load that changes: nothing happens"),
        ({"titel": "x"}, "10 titel: unknown field 'titel'; did you mean title or tier?"),
        ({"title": '""'}, "1 title: String should have at least 1 character, got ''"),
        ({"difficulty": "6"}, "2 difficulty: expected less than or equal to 5, got 6"),
        ({"difficulty": "-1"}, "2 difficulty: expected greater than or equal to 0, got -1"),
        ({"load": "{actors: {shoper: 1}}"},
         ("4 load.actors.shoper: unknown actor 'shoper'; did you mean shopper or "
          "window-shopper?")),
        ({"load": "{actors: {shopper: 0}}"},
         "4 load.actors.shopper: expected greater than 0, got 0"),
        ({"load": "{actors: {shopper: 1.5}}"},
         "4 load: expected whole numbers of users, or weights with users or rate"),
        ({"load": "{actors: {shopper: 1}, users: 3, rate: 5/s}"},
         "4 load: expected users and pace (closed loop) or rate and bursts (open loop), got both"),
        ({"load": "{actors: {shopper: 1}, users: 3, bursts: [{size: 2}]}"},
         "4 load: expected users and pace (closed loop) or rate and bursts (open loop), got both"),
        ({"load": "{actors: {shopper: 1}, rate: 5/s, bursts: [{size: 2, over: 4s, every: 3s}]}"},
         "4 load.bursts[0]: expected it to be over before it comes again, got 4s and every 3s"),
        ({"load": "{actors: {shopper: 1}, rate: 5/s, bursts: [{size: 2, at: 7s, over: 2s}]}"},
         "5 windows.reference: expected it to outlast its load's bursts, 9s, got 8s"),
        ({"load": "{actors: {shopper: 1}, rate: 5}"},
         "4 load.rate: expected arrivals a second such as 15/s, got 5"),
        ({"load": "{actors: {shopper: 1}, rate: 0/s}"}, "4 load.rate: must be > 0/s, got 0/s"),
        ({"load": "{reference: {actors: {shopper: 1}}}"},
         "4 load.crime: expected this field, found none"),
        ({"windows": "{reference: 8s, warmup: 0s, crime: 12s, recovery: 8s}"},
         "5 windows.warmup: expected 1s to 1800s, got 0s"),
        ({"load": "{reference: {actors: {shopper: 1}}, crime: {actors: {shopper: 1}}, warmup: "
                  "{rate: 5/s, bursts: [{size: 2, at: 3s, over: 2s}], actors: {shopper: 1}}}",
          "windows": "{reference: 8s, warmup: 4s, crime: 12s, recovery: 8s}"},
         "5 windows.warmup: expected it to outlast its load's bursts, 5s, got 4s"),
        ({"dice": f"{{{DICE}}}"},
         ("10 dice.edge: expected one fault of it with a toxicity below 1 and no schedule, "
          "found 0")),
        ({"dice": f"{{{DICE}}}", "faults": f"[{SICK}]",
          "windows": "{reference: 8s, warmup: 4s, pause: false, crime: 12s, recovery: 8s}"},
         "10 dice: expected windows with a pause, in which the dice are read"),
        ({"dice": f"{{{DICE}, throws: 4}}", "faults": f"[{SICK}]"},
         "10 dice.throws: expected less than or equal to 3, got 4"),
        ({"dice": f"{{{DICE}, throw: 2}}", "faults": f"[{SICK}]"},
         "10 dice.throw: unknown field 'throw'; did you mean throws?"),
        ({"checks": f"[{{measure: groups, {GROUPS}, bound: 2..5, purity: '>= 98'}}]"},
         "10 checks[0].purity: expected a bound on a share, got a number in '>= 98'"),
        ({"checks": f"[{{measure: occupancy, {GROUPS}, route: GET /products, held: 0s, "
                    "slower_than: 500ms, bound: 70%..130%}]"},
         "10 checks[0].held: expected greater than 0, got '0s'"),
        ({"truth": "{mechanism: timeout, culprit: {any: [{service: auth}]}, "
                   "joins: [{search: '{ }', overlap: true}]}"},
         ("8 truth.joins[0]: expected on, the attribute whose spans overlap, beside overlap")),
        ({"windows": "{reference: 8s, crime: 0s, recovery: 8s}"},
         "5 windows.crime: expected 1s to 1800s, got 0s"),
        ({"windows": "{reference: 8s, crime: 12s, recovery: 4s}"},
         "5 windows.recovery: expected 5s to 1800s, got 4s"),
        ({"conditions": "{chekout.pool_size: 2}"},
         "10 conditions.chekout.pool_size: unknown service 'chekout'; did you mean checkout?"),
        ({"conditions": "{checkout.pool_sise: 2}"},
         ("10 conditions.checkout.pool_sise: unknown setting of checkout 'pool_sise'; "
         "did you mean pool_size or pool_min?")),
        ({"conditions": "{gateway.keepalive: maybe}"},
         "10 conditions.gateway.keepalive: expected a valid boolean, unable to interpret input"),
        ({"conditions": "{checkout.pool_size: two}"},
         ("10 conditions.checkout.pool_size: expected a valid integer, unable to parse string as "
         "an integer")),
        ({"conditions": "{auth.command_timeout: 3 parsecs}"},
         ("10 conditions.auth.command_timeout: expected a duration such as 400ms, 0.8s or 2m, "
         "got '3 parsecs'")),
        ({"symptom": '{route: POST /chekout, error_rate: ">= 95%"}'},
         "7 symptom.route: unknown route 'POST /chekout'; did you mean POST /checkout?"),
        ({"symptom": "{route: POST /checkout}"},
         ("7 symptom: expected exactly one of error_rate, rejection_rate, slow_rate, "
         "empty_rate, showing_rate, lacking_rate, recorded_rate")),
        ({"symptom": "{route: POST /checkout, recorded_rate: '>= 20%'}"},
         "7 symptom: expected recorded_rate and recorded together, got one of them"),
        ({"symptom": "{route: POST /checkout, recorded_rate: '>= 20%', "
          "recorded: {records: charges, per_request: '>= 2'}}"},
         "7 symptom.recorded.records: expected evidence.records to name 'charges', found none"),
        ({"conditions": "{collector.samplnig: tail}"},
         ("10 conditions.collector.samplnig: unknown setting of collector 'samplnig'; "
          "did you mean sampling?")),
        ({"conditions": "{collector.sampling: head}"},
         ("10 conditions.collector.sampling: unknown sampling 'head'; "
          "expected one of off, tail")),
        ({"evidence": "{within: 0.5s}"}, "10 evidence.within: expected 1s to 120s, got 0.5s"),
        ({"evidence": "{affected: 5000}"},
         "10 evidence.affected: expected less than or equal to 1000, got 5000"),
        ({"evidence": "{loss: some}"},
         "10 evidence.loss: unknown loss 'some'; expected one of none, sampled"),
        ({"evidence": "{loss: sampled}"},
         "10 evidence: expected loss: sampled and kept together, got one of them"),
        ({"evidence": "{loss: sampled, kept: kpet, "
          "records: {kept: {source: traces, search: '{ }'}}}"},
         "10 evidence.kept: unknown records of traces 'kpet'; did you mean kept?"),
        ({"evidence": "{records: {a: {source: diary, begins: x}}}"},
         ("10 evidence.records.a: expected 'source' to be one of 'logs', 'metrics', 'traces', "
          "'database-log'")),
        ({"evidence": "{records: {a: {source: logs, service: bnak, begins: x}}}"},
         "10 evidence.records.a.service: unknown service 'bnak'; did you mean bank?"),
        ({"evidence": "{records: {a: {source: metrics, service: bank, metric: m, "
          "attributes: {k: [1]}}}}"},
         ("10 evidence.records.a.attributes.k: "
          "expected text, a number, true or false, got [1]")),
        ({"evidence": "{records: {charges: {source: traces, search: '{ }'}}}",
          "checks": "[{measure: record-count, records: chrages, bound: '== 0', label: l}]"},
         "11 checks[0].records: unknown records 'chrages'; did you mean charges?"),
        ({"evidence": "{records: {charges: {source: traces, search: '{ }'}}}",
          "checks": "[{measure: record-ratio, records: charges, to: orders, bound: '== 1', "
          "label: l}]"},
         "11 checks[0].to: unknown records 'orders'; expected one of charges"),
        ({"checks": "[{measure: recorded, records: a, each: '>= 2', answered: nicely, "
          "bound: '== 0%', label: l}]"},
         ("10 checks[0].answered: unknown kind of answer 'nicely'; "
          "expected one of any, error, rejection, success")),
        ({"truth": "{mechanism: timeout, culprit: {any: [{service: auth}]}, "
          "joins: [{search: '{ }', on: id, ends_within: 100ms}]}"},
         "8 truth.joins[0]: expected overlap beside at_least and ends_within"),
        ({"load": "{actors: {shopper: 1}, jobs: {auditro: {every: 9s, holds: 1s}}}"},
         "4 load.jobs.auditro: unknown job 'auditro'; did you mean auditor?"),
        ({"load": "{actors: {shopper: 1}, jobs: {auditor: {every: 4s, holds: 4s}}}"},
         ("4 load.jobs.auditor: expected it to be through before it comes again, "
          "got 4s and every 4s")),
        ({"symptom": "{route: GET /products, empty_rate: '>= 95%'}"},
         "7 symptom: expected empty_rate and smaller_than together, got one of them"),
        ({"symptom": "{route: GET /home, empty_rate: '>= 95%', smaller_than: 0}"},
         "7 symptom.smaller_than: expected greater than 0, got 0"),
        ({"symptom": "{route: POST /checkout, lacking_rate: '>= 99%'}"},
         "7 symptom: expected lacking_rate and lacks together, got one of them"),
        ({"symptom": "{route: POST /checkout, showing_rate: '>= 99%', lacks: {service: auth}}"},
         "7 symptom: expected showing_rate and shows together, got one of them"),
        ({"symptom": '{route: POST /checkout, slow_rate: ">= 95%"}'},
         "7 symptom: expected slow_rate and slower_than together, got one of them"),
        ({"symptom": '{route: POST /checkout, error_rate: ">= 95"}'},
         "7 symptom.error_rate: expected a bound on a share, got a number in '>= 95'"),
        ({"symptom": "{route: POST /checkout, error_rate: unchanged}"},
         "7 symptom.error_rate: expected a bound without reference here, got 'unchanged'"),
        ({"truth": "{mechanism: timeot, culprit: {any: [{service: auth}]}}"},
         "8 truth.mechanism: unknown mechanism 'timeot'; did you mean timeout?"),
        ({"truth": "{mechanism: timeout, culprit: {any: [{service: atuh}]}}"},
         "8 truth.culprit.any[0].service: unknown service 'atuh'; did you mean auth?"),
        ({"truth": "{mechanism: timeout, culprit: {any: []}}"},
         ("8 truth.culprit.any: List should have at least 1 item after validation, not 0, "
         "got a list")),
        ({"truth": "{mechanism: timeout}"}, "8 truth: expected either culprit or nobody"),
        ({"truth": "{mechanism: timeout, nobody: {all: [{service: auth}]}}"},
         "8 truth: expected nobody with business-rejection, and only with it"),
        ({"truth": "{mechanism: business-rejection, nobody: {all: [{service: auth}]}, "
                   "accomplice: {mechanism: timeout, any: [{service: bank}]}}"},
         "8 truth: expected a culprit beside the accomplice"),
        ({"truth": "{mechanism: timeout, culprit: {any: [{service: auth, began: upstream}]}}"},
         ("8 truth.culprit.any[0].began: unknown origin 'upstream'; expected one of "
          "afterwards, cut-off, elsewhere, no-span, number")),
        ({"truth": "{mechanism: timeout, culprit: {any: [{service: auth}]}, "
                   "equals: [{mechanism: latency, any: [{service: bank}]}]}"},
         "8 truth.equals[0].why: expected this field, found none"),
        ({"truth": "{mechanism: timeout, culprit: {any: [{service: auth}]}, "
                   "accomplice: {mechanism: latency, any: [{service: bank}]}, "
                   "equals: [{mechanism: latency, why: so, any: [{service: bank}]}]}"},
         "8 truth: expected equals beside one culprit, without an accomplice"),
        ({"truth": "{mechanism: business-rejection, nobody: {all: [{service: bank}]}, "
                   "equals: [{mechanism: latency, why: so, any: [{service: bank}]}]}"},
         "8 truth: expected equals beside one culprit, without an accomplice"),
        ({"truth": "{mechanism: timeout, culprit: {any: [{kind: clint}]}}"},
         "8 truth.culprit.any[0].kind: unknown span kind 'clint'; did you mean client?"),
        ({"truth": "{mechanism: timeout, culprit: {any: [{attributes: {a: [1]}}]}}"},
         "8 truth.culprit.any[0].attributes.a: expected text, a number, true or false, got [1]"),
        ({"decoys": "[{span: {service: auth}}]"},
         "10 decoys[0].why: expected this field, found none"),
        ({"hints": "[]"},
         "9 hints: List should have at least 1 item after validation, not 0, got a list"),
        ({"checks": "[{measure: span-cuont}]"},
         ("10 checks[0]: expected 'measure' to be one of 'span-count', 'span-seen', "
         "'span-duration', 'span-timing', 'span-values', 'span-share', "
          "'fit', 'groups', 'occupancy', 'requests', 'recorded', "
          "'record-count', 'record-ratio', 'span-recorded', 'log-lines'")),
        ({"checks": "[{measure: requests, statistic: p50, bound: '== 0%', label: l}]"},
         "10 checks[0]: expected a bound on a duration for p50, got '== 0%'"),
        ({"checks": "[{measure: requests, statistic: count, bound: '== 0%', label: l}]"},
         "10 checks[0]: expected a bound on a number for count, got '== 0%'"),
        ({"checks": "[{measure: requests, statistic: slow_rate, bound: '== 0%', label: l}]"},
         "10 checks[0]: expected slower_than with slow_rate and with nothing else"),
        ({"checks": "[{measure: requests, statistic: p50, fewer_bytes: 9, bound: 1s ±5%, "
                    "label: l}]"},
         "10 checks[0]: expected fewer_bytes with empty_rate and with nothing else"),
        ({"checks": "[{measure: log-lines, bound: '>= 50%', label: l}]"},
         "10 checks[0]: expected a sample, of whose traces '>= 50%' is, found none"),
        ({"checks": "[{measure: log-lines, bound: '<= 2s', label: l}]"},
         "10 checks[0]: expected a number of lines or a share of traces, got '<= 2s'"),
        ({"checks": "[{measure: log-lines, severity: ERR, bound: '>= 1', label: l}]"},
         "10 checks[0].severity: unknown severity 'ERR'; did you mean ERROR?"),
        ({"checks": "[{measure: span-timing, of: {}, timing: frist, bound: 1s ±5%, label: l}]"},
         "10 checks[0].timing: unknown timing 'frist'; did you mean first?"),
        ({"briefing_may_name": "{authh: the pager says so}"},
         "10 briefing_may_name.authh: unknown service 'authh'; did you mean auth?"),
        ({"briefing_may_name": "{auth: ''}"},
         "10 briefing_may_name.auth: String should have at least 1 character, got ''"),
        ({"tier": "cores"}, "10 tier: unknown tier 'cores'; did you mean core?"),
        ({"twins": "[{name: x, expect: healed}]"},
         "10 twins[0]: expected drop or set: this twin differs in nothing"),
        ({"twins": "[{name: x, expect: healed, drop: [fault]}]"},
         ("10 twins[0].drop[0]: expected what to leave out: faults, faults[0], ambient, "
         "ambient[0], conditions or load, got 'fault'")),
        ({"twins": "[{name: x, expect: healed, drop: ['faults[1]']}]"},
         ("10 twins[0].drop[0]: expected something the scenario has, got faults[1]: "
         "it has 1 of faults")),
        ({"twins": "[{name: x, expect: healed, drop: [ambient]}]"},
         ("10 twins[0].drop[0]: expected something the scenario has, got ambient: "
         "it has no ambient")),
        ({"twins": "[{name: x, expect: healed, drop: [load]}]"},
         ("10 twins[0].drop[0]: expected something the scenario has, got load: "
         "it has no load that changes")),
        ({"twins": "[{name: x, expect: healed, set: {auth.pool: 1}}]"},
         ("10 twins[0].set.auth.pool: unknown setting of auth 'pool'; "
         "did you mean pool_min or pool_size?")),
        ({"twins": "[{name: x, expect: healed, drop: [faults]}, "
          "{name: x, expect: unchanged, drop: [faults]}]"},
         "10 twins[1].name: expected a name of its own, got that of another twin"),
        ({"min_requests": "5"}, "10 min_requests: expected greater than or equal to 20, got 5"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line_and_field(
    fields: dict[str, str], problem: str
) -> None:
    assert f"scenarios/a-case/scenario.yaml:{problem}" in problems(changed(**fields))


def test_all_problems_are_told_at_once_in_the_order_of_the_lines() -> None:
    told = problems(
        changed(title="3", difficulty="9", windows="{crime: 1}", faults="[{down: true}, {}]"),
        name="Not A Name",
    )
    lines = [int(each.split(":")[1].split()[0]) for each in told if "yaml:" in each]
    assert lines == sorted(lines)
    assert len(told) >= 9
    assert any("folder name" in each for each in told)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a list", "1: expected a mapping of fields such as 'title: …' at the top"),
        ("42", "1: expected a mapping of fields such as 'title: …' at the top"),
        ("a: &x 1\nb: *x", "1: expected no anchors and aliases; write the value out"),
        ("a: 1\nb: *x", "2: expected no anchors and aliases; write the value out"),
        ("a: !!python/object:os.system x", "1: expected no tags"),
        ("a: 1\na: 2", '2: found duplicate key "a"'),
        ("a: b: c", "1: mapping values are not allowed here"),
        ("a: 1\n--- \nb: 2", "2: but found another document"),
        ("a: \x00", "1: unacceptable character"),
        ("[" * 1000, "1: expected at most 20 levels of nesting"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_before_anything_is_built(text: str, problem: str) -> None:
    [told] = problems(text)
    assert told.startswith(f"scenarios/a-case/scenario.yaml:{problem}")


def test_an_empty_text_is_no_text() -> None:
    assert problems(MINIMAL, briefing=" ") == (
        "scenarios/a-case/briefing.md: expected a text, found nothing",
    )


yaml_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
field_names = st.sampled_from([line.split(":")[0] for line in MINIMAL.splitlines()] + ["checks"])


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(field_names, yaml_values)
def test_any_value_in_any_field_is_read_or_refused_and_never_a_traceback(
    name: str, value: Any
) -> None:

    with suppress(ScenarioError):
        assert read(changed(**{name: json.dumps(value)})).id == "a-case"


@settings(max_examples=60)
@given(st.text(max_size=200))
def test_any_text_is_refused_and_never_a_traceback(text: str) -> None:
    with pytest.raises(ScenarioError):
        read(text)


class TestFolders:
    def write(self, folder: Path, **texts: str | bytes) -> Path:
        folder.mkdir(parents=True)
        files: dict[str, str | bytes] = {
            "scenario.yaml": MINIMAL,
            "briefing.md": "Dead.",
            "debrief.md": "It was.",
        }
        for name, text in (files | {f"{key}.md": value for key, value in texts.items()}).items():
            content = text.encode() if isinstance(text, str) else text
            (folder / name).write_bytes(content)
        return folder

    def test_a_folder_is_read_and_named(self, tmp_path: Path) -> None:
        assert load(self.write(tmp_path / "my-case")).id == "my-case"

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        folder = self.write(tmp_path / "my-case")
        (folder / "debrief.md").unlink()
        with pytest.raises(ScenarioError, match=r"my-case/debrief.md: expected this file"):
            load(folder)

    def test_a_file_that_is_too_large_is_refused_unread(self, tmp_path: Path) -> None:
        folder = self.write(tmp_path / "my-case", briefing="x" * (64 * 1024 + 1))
        with pytest.raises(ScenarioError, match="expected at most 64 KiB, found more"):
            load(folder)

    def test_a_file_that_is_not_utf_8_is_refused(self, tmp_path: Path) -> None:
        folder = self.write(tmp_path / "my-case", briefing=b"caf\xe9")
        with pytest.raises(ScenarioError, match="expected UTF-8, found byte 0xe9 at 3"):
            load(folder)

    def test_all_folders_are_read_and_hidden_ones_are_not(self, tmp_path: Path) -> None:
        for name in ("one", "two", ".hidden", "_draft"):
            self.write(tmp_path / name)
        (tmp_path / "scenario.schema.json").write_text("{}")
        assert list(load_all(tmp_path)) == ["one", "two"]

    def test_a_folder_of_scenarios_that_is_none_is_said_to_be_none(self, tmp_path: Path) -> None:
        with pytest.raises(ScenarioError, match="nowhere: expected a folder of scenarios"):
            load_all(tmp_path / "nowhere")

    def test_the_problems_of_all_folders_are_told_together(self, tmp_path: Path) -> None:
        for name in ("one", "two"):
            self.write(tmp_path / name, briefing="")
        with pytest.raises(ScenarioError) as caught:
            load_all(tmp_path)
        assert len(caught.value.problems) == 2


def test_each_toxic_can_be_written_with_exactly_its_attributes() -> None:
    """A toxic whose attributes Toxiproxy knows and the language does not could never be used."""
    common = set(faults.ToxicEntry.model_fields)
    written = {
        toxic: set(entry.model_fields) - common
        for entry in faults.ToxicEntry.__subclasses__()
        for toxic in get_args(entry.model_fields["toxic"].annotation)
    }
    assert written == {toxic: set(names) for toxic, names in TOXIC_LIMITS.items()}


def test_a_long_value_given_twice_does_not_make_a_long_message() -> None:
    """YAML's own refusal of a duplicate key quotes both values, whatever they hold."""
    long = ", ".join(f"{{service: auth, name: span-{number}}}" for number in range(60))
    [problem] = problems(changed(decoys=f"[{long}]") + f"decoys: [{long}]\n")
    assert 'duplicate key "decoys"' in problem
    assert len(problem) < 600


def test_a_form_says_why_it_began_with_it_and_an_equal_why_it_is_as_good() -> None:
    wanted = (
        "{mechanism: timeout, culprit: {any: [{service: auth, began: number}]}, "
        "equals: [{mechanism: latency, why: So., any: [{service: bank}]}]}"
    )
    truth = read(changed(truth=wanted)).truth
    assert [each.began for each in truth.culprit] == [Origin.NUMBER]
    [equal] = truth.equals
    assert equal == Equal(Mechanism.LATENCY, (Alternative(Predicate(service="bank")),), "So.")


def test_the_scope_is_asked_where_it_hit_some_and_where_a_scenario_says_so() -> None:
    assert not read(changed()).asks_scope
    assert read(changed(scope_counts="true")).asks_scope
    some = "{mechanism: timeout, scope: some-times, culprit: {any: [{service: auth}]}}"
    assert read(changed(truth=some)).asks_scope
