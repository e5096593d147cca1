"""Who may see an entry's detail: class, reason, source and plate of restricted lists and of others' data.

Owns the question (430.3(e), CJIS 4.2.2). Whoever lacks the grant is told that there is a hit and whom to ask,
and nothing that says why.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from hq.lists.classes import NEVER, restricted
from hq.lists.models import HotListSource, HotListVersion, Publication
from hq.people.models import Grant, Person
from hq.records.models import Hit
from plates.words import AlarmClass

MASKED: Final = "restricted list: class hidden, call dispatch"

_GRANTS: Final = {
    "clets": Grant.Code.CLETS,
    "ncic": Grant.Code.NCIC,
    "partner": Grant.Code.PARTNER,
}

_ENTERED: Final = {"manual": "manual", "partial plate": "partial"}
"""The sources of what people enter here, and how a publication tells that there is some in it."""

_OF_UNITS: Final = {"CLEW": "clets", "NCIC": "ncic", "manual": "department"}
"""The sources that a unit's own imports have by default (`platewarden hotlist import`)."""


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


def lacking_for_hit(held: Collection[str], alarm_class: str, source: str, list_version: str) -> str:
    """The grant that is missing to see a hit's entry, by what the unit told of it, "" where none is."""
    answers = (lacking(held, alarm_class, data=d, whole=w) for d, w in _kinds(source, list_version))
    return next(filter(None, answers), "")


def lacking_for_name(held: Collection[str], name: str) -> str:
    """The grant that is missing to see what stored hits tell under a source's name, "" where none is."""
    told = Hit.objects.filter(source=name).values_list("alarm_class", "list_version").distinct()
    return next(filter(None, (lacking_for_hit(held, kind, name, version) for kind, version in told)), "")


def lacking_for_version(held: Collection[str], version: HotListVersion) -> str:
    """The grant that is missing to learn which stored reads a version's entries match, "" where none is."""
    kinds = version.entries.values_list("alarm_class", "source__data", "source__hot_list__restricted")
    answers = (lacking(held, name, data=data, whole=whole) for name, data, whole in kinds.distinct())
    return next(filter(None, answers), "")


def _kinds(source: str, list_version: str) -> Iterator[tuple[str, bool]]:
    """Whose data a hit's entry may be, and whether its list is restricted as a whole.

    Earlier versions took an entry's source from a column of its CSV file, or a source was renamed since: such
    a name is none that HQ knows, and the hit may be of any source of the lists that were published under its
    version. A list that HQ did not publish counts as restricted where its source's name does not tell.
    """
    sources = HotListSource.objects.values_list("data", "hot_list__restricted")
    named = sources.filter(name=source)
    yield "department", False
    yield from named
    made_of = Publication.objects.filter(version=list_version).values_list("made_of", flat=True).first()
    if made_of is None:
        if not named:
            yield _OF_UNITS.get(source, "department"), source not in _OF_UNITS
        return
    if any(part["kind"] == _ENTERED.get(source) for part in made_of):
        return
    loads = [part["id"] for part in made_of if part["kind"] == "version"]
    lists = set(HotListVersion.objects.filter(pk__in=loads).values_list("hot_list", flat=True))
    if named.filter(hot_list__in=lists):
        return
    yield from sources.filter(hot_list__in=lists) if lists else [("department", True)]
