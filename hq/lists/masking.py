"""Who may see an entry's detail: class, reason, source and plate of restricted lists and of others' data.

Owns the question (430.3(e), CJIS 4.2.2). Whoever lacks the grant is told that there is a hit and whom to ask,
and nothing that says why.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from hq.lists.classes import NEVER, restricted
from hq.lists.models import HotListSource, HotListVersion
from hq.people.models import Grant, Person
from plates.words import AlarmClass

MASKED: Final = "restricted list: class hidden, call dispatch"

_GRANTS: Final = {
    "clets": Grant.Code.CLETS,
    "ncic": Grant.Code.NCIC,
    "partner": Grant.Code.PARTNER,
}


def grants_of(person: Person) -> frozenset[str]:
    """The grants that a person holds today."""
    return frozenset(grant.code for grant in person.grants.all() if grant.live())


def lacking(held: Collection[str], alarm_class: str, *, data: str = "department", whole: bool = False) -> str:
    """The grant that is missing to see an entry, "" where none is.

    Args:
        held: grants held.
        alarm_class: the entry's; one that is on no list of ours counts as restricted.
        data: whose data the source is (`HotListSource.data`).
        whole: whether its list is restricted as a whole.
    """
    known = alarm_class in set(AlarmClass) and alarm_class not in NEVER
    if (whole or not known or restricted(alarm_class)) and Grant.Code.RESTRICTED not in held:
        return Grant.Code.RESTRICTED
    needed = _GRANTS.get(data)
    return needed if needed is not None and needed not in held else ""


def lacking_for_data(held: Collection[str], source: HotListSource) -> Grant.Code | None:
    """The grant that is missing to see a source's file, None where none is."""
    if source.hot_list.restricted and Grant.Code.RESTRICTED not in held:
        return Grant.Code.RESTRICTED
    needed = _GRANTS.get(source.data)
    return needed if needed is not None and needed not in held else None


def lacking_for_hit(held: Collection[str], alarm_class: str, source: str) -> str:
    """The grant that is missing to see a hit's entry, by the entry's source as the unit told it."""
    found = HotListSource.objects.filter(name=source).select_related("hot_list")
    answers = [lacking(held, alarm_class, data=one.data, whole=one.hot_list.restricted) for one in found] or [
        lacking(held, alarm_class)
    ]
    return next(filter(None, answers), "")


def lacking_for_version(held: Collection[str], version: HotListVersion) -> str:
    """The grant that is missing to learn which stored reads a version's entries match, "" where none is."""
    kinds = version.entries.values_list("alarm_class", "source__data", "source__hot_list__restricted")
    answers = (lacking(held, name, data=data, whole=whole) for name, data, whole in kinds.distinct())
    return next(filter(None, answers), "")
