"""Alarm classes at HQ: which may be on a list, which are restricted, and how they are told.

Owns the questions that pages and services ask of the closed list in `plates.words`; which of them an agency
has on is `hq.people.purposes`. None can be added, and `immigration_violator` can never be on a list (SB 54):
this module, the forms and the database refuse it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from plates.words import CLASS_RULES, AlarmClass, ClassRule

NEVER: Final = frozenset(name.value for name, rule in CLASS_RULES.items() if not rule.allowed)
"""Classes that nothing may switch on."""

ALL: Final = tuple(name.value for name in AlarmClass if name.value not in NEVER)
"""The classes that a list may hold, in the order of the policy."""


class ClassRefused(ValueError):
    """A class that is not on the closed list, or that may never be on; the text names the clause."""


def rule_of(name: str) -> ClassRule:
    """The rule of an alarm class. Raises ClassRefused for one that is not on the closed list (430.2-a)."""
    try:
        return CLASS_RULES[AlarmClass(name)]
    except ValueError:
        raise ClassRefused(f"430.2-a: {name[:40]!r} is no alarm class; the list is closed") from None


def check(names: Iterable[str]) -> list[str]:
    """The classes in the policy's order. Raises ClassRefused for one that a list may not hold."""
    wanted = set(names)
    for name in sorted(wanted):
        if not rule_of(name).allowed:
            raise ClassRefused(f"{rule_of(name).clause}: the class {name} can never be on")
    return [name for name in ALL if name in wanted]


def restricted(name: str) -> bool:
    """Whether the class's detail is masked for people without the grant (CJIS 4.2.2)."""
    return rule_of(name).restricted


def words(name: str) -> str:
    """The class as people read it, such as "stolen vehicle"."""
    return name.replace("_", " ")
