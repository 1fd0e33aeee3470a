"""How many users free play may have: as many as the machine bears, unless whoever plays insists."""

from __future__ import annotations

from typing import Final

MOST_VARIABLE: Final = "LAB_LOAD_MOST_USERS"
"""Tells the locustfile the bound; without it there is none, for a container has its own."""

USER_BYTES: Final = 2**20
"""A shopper before a stub of the shop took 40 KiB; spans that wait for a slow Collector come
on top, up to 1 MiB on purpose rather than one too few."""

USERS_A_CORE: Final = 500
"""One shopper asks some three times a second, so they ask 1500 times, of a shop that answers
some 200 requests a second and core. Whatever more there are, they only wait."""

PROCESSES_A_CORE: Final = 4


def most_users(free_bytes: int, cores: int) -> int:
    """As many as fit into half of the free memory, and as all cores have answers for."""
    return max(1, min(free_bytes // 2 // USER_BYTES, cores * USERS_A_CORE))


def users_problem(users: int, most: int | None) -> str | None:
    """What is wrong with so many users, None where nothing is; ``most`` None bears any number."""
    return _problem("users", users, users >= 1, "1", most)


def rate_problem(rate: float, most: int | None) -> str | None:
    """What is wrong with starting ``rate`` users a second."""
    return _problem("users a second to start", rate, rate > 0, "more than 0", most)


def _problem(what: str, number: float, is_some: bool, least: str, most: int | None) -> str | None:
    if is_some and (number <= most if most is not None else number < float("inf")):
        return None
    if most is None:
        return f"expected {least} or more {what}, got {number}"
    said = f"expected {least} to {most} {what}, which is what this machine bears, got {number}"
    return f"{said}; `lab load --yes-really` lifts the bound" if is_some else said
