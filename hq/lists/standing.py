"""Standing approval of a daily load: the Commander decides beforehand, within bounds (430.2-d).

Owns the bounds, who gives and ends such an approval, and whether a load is within it. A load that is goes
into force at once and is logged under its approval; any other stays a draft, says why, and waits for a
person.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from django.db import transaction

from hq.lists import compare, versions
from hq.lists.errors import ListRefused
from hq.lists.models import HotListSource, HotListVersion, StandingApproval
from hq.log import chain
from hq.people.models import Person
from hq.people.policy import check, may
from hq.site import clock

LONGEST: Final = timedelta(days=366)
"""How far ahead an approval may end."""

CLAUSE: Final = "430.2-d"


def terms_of(source: HotListSource) -> dict[str, Any]:
    """What an approval is given for; if any of it changes, the approval no longer covers the source."""
    hot_list = source.hot_list
    return {
        "format": source.format,
        "data": source.data,
        "mapping": source.mapping,
        "delimiter": source.delimiter,
        "alarm_class": source.alarm_class,
        "reason": source.reason,
        "group": hot_list.group_id,
        "classes": sorted(hot_list.classes),
        "ttl_days": hot_list.ttl_days,
    }


def current(source: HotListSource) -> StandingApproval | None:
    """The approval in force of a source; one that has ended by its date is not."""
    held = source.standing.filter(approved_at__isnull=False, ended_at=None).first()
    return held if held is not None and held.ends_on >= clock.today() else None


@transaction.atomic
def propose(person: Person, draft: StandingApproval) -> StandingApproval:
    """Propose an approval for its source as it is now. Raises Refused, ValidationError."""
    check(person, "lists.import")
    source, today = draft.source, clock.today()
    if not today < draft.ends_on <= today + LONGEST:
        raise ListRefused(CLAUSE, f"a standing approval ends within {LONGEST.days} days from today")
    if source.format == "csv" and not source.mapping:
        raise ListRefused(
            CLAUSE, "load the source once and check its mapping before", "nobody: load it first"
        )
    if source.standing.filter(approved_at=None, ended_at=None).exists():
        raise ListRefused(CLAUSE, "one waits for the Commander already", "the Commander, who decides it")
    draft.terms, draft.proposed_by, draft.proposed_at = terms_of(source), person, clock.now()
    draft.full_clean()
    draft.save(force_insert=True)
    _log(draft, person, "lists.standing_propose")
    return draft


@transaction.atomic
def approve(person: Person, pk: int) -> StandingApproval:
    """Give it, as a second person; the one before it of the same source ends. Raises Refused."""
    held = _locked(pk)
    check(person, "lists.approve", obj=held)
    if held.approved_at is not None or held.ended_at is not None:
        raise ListRefused(CLAUSE, f"{held} does not wait for a decision")
    if held.terms != terms_of(held.source):
        raise ListRefused(CLAUSE, "the source was changed since this was proposed", "nobody: propose it anew")
    now = clock.now()
    for former in held.source.standing.filter(approved_at__isnull=False, ended_at=None):
        former.ended_by, former.ended_at, former.ended_why = person, now, f"replaced by {held}"
        former.save(update_fields=["ended_by", "ended_at", "ended_why"])
    held.approved_by, held.approved_at = person, now
    held.save(update_fields=["approved_by", "approved_at"])
    _log(held, person, "lists.standing_approve")
    return held


@transaction.atomic
def end(person: Person, pk: int, why: str) -> StandingApproval:
    """End it, or decline it; by the Commander or the administrator. Raises Refused."""
    check(person, "lists.view")
    held = _locked(pk)
    if held.ended_at is not None:
        raise ListRefused(CLAUSE, f"{held} has ended")
    if not why.strip():
        raise ListRefused(CLAUSE, "ending it needs its reason")
    held.ended_by, held.ended_at, held.ended_why = person, clock.now(), why.strip()
    held.save(update_fields=["ended_by", "ended_at", "ended_why"])
    _log(held, person, "lists.standing_end")
    return held


def put_in_force(version: HotListVersion) -> HotListVersion:
    """Put a fresh draft into force if every source that was loaded has a standing approval that covers it.

    Where a source has one and the load is outside of it, the draft says why. Nothing is said of sources
    without one.
    """
    with transaction.atomic():
        held = HotListVersion.objects.select_for_update(of=("self",)).get(pk=version.pk)
        sources = list(held.hot_list.sources.filter(name__in=[file["source"] for file in held.files]))
        approvals = [current(source) for source in sources]
        given = [one for one in approvals if one is not None]
        if held.state != "draft" or not given:
            return held
        why = [
            f"no standing approval for {s.name}" for s, one in zip(sources, approvals, strict=True) if not one
        ]
        why += _faults(held) + [fault for one in given for fault in outside(held, one)]
        if not why:
            try:
                approver = given[0].approved_by
                assert approver is not None
                versions.put_in_force(held, approver)
            except ListRefused as refused:
                why = [refused.why]
        if why:
            held.warnings = [*held.warnings, *(f"outside of the standing approval: {one}" for one in why)]
            held.save(update_fields=["warnings"])
        else:
            held.standing.set(given)
        _log_load(held, given, why)
    return held


def outside(version: HotListVersion, approval: StandingApproval) -> list[str]:
    """Why a load is not within an approval, empty if it is."""
    source, approver = approval.source, approval.approved_by
    why = []
    if approval.terms != terms_of(source):
        why.append(f"{source.name} is read or used otherwise than it was approved")
    if approver is None or not may(approver, "lists.approve"):
        why.append("who gave it may no longer approve lists")
    entries = version.entries.filter(source=source)
    count = entries.count()
    if count > approval.most_entries:
        why.append(f"{source.name}: {count} entries, more than {approval.most_entries}")
    former = version.former.entries.filter(source=source).count() if version.former else 0
    if not former:
        return [*why, f"{source.name}: nothing is in force to compare it with"]
    moved = entries.filter(change__in=(compare.ADDED, compare.CHANGED)).count()
    moved += versions.removed(version).filter(source=source).count()
    if moved * 100 > approval.most_change * former:
        share = f"{moved * 100 / former:.1f} %"
        why.append(f"{source.name}: {share} of the entries change, more than {approval.most_change} %")
    return why


def _faults(version: HotListVersion) -> list[str]:
    """What no approval covers: a mapping that does not fit the file, a class that would be empty."""
    lines, bad = (sum(file[name] for file in version.files) for name in ("lines", "bad"))
    why = []
    if bad > compare.BAD * lines:
        why.append(f"{bad} of {lines} lines could not be used")
    before = version.changes.get("by_class", {})
    for name in version.hot_list.classes:
        if name in before and not version.counts.get(name):
            why.append(f"no entry of the class {name.replace('_', ' ')} would be left")
    return why


def _locked(pk: int) -> StandingApproval:
    rows = StandingApproval.objects.select_related("source__hot_list").select_for_update(of=("self",))
    held = rows.filter(pk=pk).first()
    if held is None:
        raise ListRefused(CLAUSE, "there is no such standing approval")
    return held


def _log(held: StandingApproval, person: Person, action: str) -> None:
    chain.append(
        kind="lists",
        person=person,
        action=action,
        elements={
            "list": held.source.hot_list.name,
            "source": held.source.name,
            "most_entries": held.most_entries,
            "most_change": held.most_change,
            "ends_on": held.ends_on,
            "terms": held.terms,
        },
        ids=[held.pk],
        note=held.ended_why or held.reason,
    )


def _log_load(version: HotListVersion, given: Sequence[StandingApproval], why: Sequence[str]) -> None:
    by = "; ".join(f"{one} of {one.approved_by.username}" for one in given if one.approved_by is not None)
    chain.append(
        kind="lists",
        person=None,
        action="lists.approve",
        elements={
            "list": version.hot_list.name,
            "version": version.number,
            "sha256": version.sha256,
            "counts": version.counts,
            "changes": {
                name: version.changes[name] for name in (compare.ADDED, compare.CHANGED, compare.REMOVED)
            },
            "standing": [one.pk for one in given],
            "outside": list(why),
        },
        result_count=version.entry_count,
        ids=[version.pk],
        outcome="refused" if why else "done",
        note=f"by {by}",
    )
