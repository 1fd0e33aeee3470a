"""Deployment settings of a lease, as the environments of the services they change."""

from __future__ import annotations

from collections.abc import Mapping

from lab.domain.fault import Conditions
from lab.errors import LeaseError


def overlays(conditions: Conditions) -> Mapping[str, Mapping[str, str]]:
    """Service → variables to lay over its defaults.

    LeaseError lists every condition that names no service or no setting of it.
    """
    if not conditions:
        return {}
    # The shop's settings are slow to import, and most leases change none of them.
    from lab.shop.collector import COLLECTOR
    from lab.shop.keeper.environment import condition_environment, known_settings
    from lab.shop.topology import SERVICES

    found: dict[str, dict[str, str]] = {}
    problems = []
    for condition, value in conditions.items():
        service, _, setting = condition.partition(".")
        if service not in {*SERVICES, COLLECTOR}:
            known = [*SERVICES, COLLECTOR]
            problems.append(f"{condition}: expected a service of {known}")
        elif setting not in known_settings(service):
            problems.append(f"{condition}: expected a setting of {sorted(known_settings(service))}")
        elif service != COLLECTOR or value != "off":  # Which it is anyway.
            name, text = condition_environment(setting, value)
            found.setdefault(service, {})[name] = text
    if problems:
        raise LeaseError("; ".join(problems))
    return found
