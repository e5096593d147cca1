"""Why a person may see records: the closed list of purposes.toml, less what the agency switched off.

The list of alarm classes is `plates.words.CLASS_RULES`; here is only which of them the agency uses.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hq.site.models import Settings
from plates.words import CLASS_RULES, AlarmClass


@dataclass(frozen=True)
class Purpose:
    """One row. `case` is "required" or the thing whose id stands for a case number."""

    code: str
    title: str
    clause: str
    case: str
    roles: tuple[str, ...]

    @property
    def case_label(self) -> str:
        """What the person is asked for."""
        if self.case == "required":
            return "case or incident number"
        return "id of a live hit" if self.case == "hit" else f"id of the {self.case}"


def _load() -> dict[str, Purpose]:
    rows = tomllib.loads((Path(__file__).parent / "purposes.toml").read_text())["purpose"]
    return {
        code: Purpose(code, row["title"], row["clause"], row["case"], tuple(row["roles"]))
        for code, row in rows.items()
    }


ALL = _load()


def in_use() -> dict[str, Purpose]:
    """The purposes that the agency uses, by code."""
    held = Settings.current()
    off = set(held.purposes_off) if held else set()
    return {code: purpose for code, purpose in ALL.items() if code not in off}


def for_roles(roles: Iterable[str]) -> list[Purpose]:
    """The purposes that a person of these roles may state, in the list's order."""
    held = set(roles)
    return [purpose for purpose in in_use().values() if held & set(purpose.roles)]


def alarm_classes() -> set[AlarmClass]:
    """The alarm classes that the agency uses; one that law forbids is never among them."""
    held = Settings.current()
    off, on = (set(held.classes_off), set(held.classes_on)) if held else (set(), set())
    return {
        name
        for name, rule in CLASS_RULES.items()
        if rule.allowed and name.value not in off and (rule.default_on or name.value in on)
    }


def by_id(code: str, roles: Iterable[str]) -> str:
    """The purpose of handling the thing whose id stands for a case; "" where these roles may not state it."""
    purpose = in_use().get(code)
    return code if purpose is not None and set(roles) & set(purpose.roles) else ""
