"""The register of partner agencies, and who of them may receive records at all (430.8-0, CC-55b).

By default California law enforcement and prosecutors. Other public agencies, other states', federal and
private ones are refused, unless a stored legal authority and the Commander say otherwise for that one.
"""

from __future__ import annotations

import hashlib
from datetime import date

from django.core.files import File
from django.db import transaction

from hq.people.models import Person
from hq.people.policy import Refused, check, said
from hq.releases.models import Override, Partner
from hq.site import clock

COMMANDER = "the Commander, on a stored legal authority"


def propose(
    person: Person, *, agency: str, kind: str, valid_until: date, ori: str = "", agreement: str = ""
) -> Partner:
    """Raises Refused, ValidationError."""
    check(person, "partners.propose")
    partner = Partner(
        agency=agency,
        kind=kind,
        ori=ori,
        agreement=agreement,
        valid_until=valid_until,
        proposed_by=person,
        proposed_at=clock.now(),
    )
    partner.full_clean()
    partner.save(force_insert=True)
    return partner


@transaction.atomic
def approve(person: Person, pk: int) -> Partner:
    """Raises Refused, also for who proposed it."""
    partner = Partner.objects.select_for_update().get(pk=pk)
    check(person, "partners.approve", obj=partner)
    if partner.approved_at is not None or partner.ended_at is not None:
        raise Refused("430.8-0", f"{partner} does not wait for approval", "nobody: propose it anew")
    partner.approved_by, partner.approved_at = person, clock.now()
    partner.save(update_fields=["approved_by", "approved_at"])
    return partner


@transaction.atomic
def end(person: Person, pk: int, why: str) -> Partner:
    """Nothing more goes to it. Raises Refused, also without a reason."""
    partner = Partner.objects.select_for_update().get(pk=pk)
    check(person, "partners.approve")
    if partner.ended_at is not None:
        raise Refused("430.8-0", f"{partner} has ended", "nobody")
    reason = said("430.8-0", "the reason of the end", why)[:200]
    partner.ended_by, partner.ended_at, partner.ended_why = person, clock.now(), reason
    partner.save(update_fields=["ended_by", "ended_at", "ended_why"])
    return partner


def propose_override(
    person: Person, partner: Partner, *, citation: str, document: File[bytes], valid_until: date
) -> Override:
    """Store a legal authority for a partner of a refused kind. Raises Refused, ValidationError."""
    check(person, "partners.propose")
    document.seek(0)
    override = Override(
        partner=partner,
        citation=citation,
        document=document,
        sha256=hashlib.sha256(document.read()).hexdigest(),
        valid_until=valid_until,
        proposed_by=person,
        proposed_at=clock.now(),
    )
    document.seek(0)
    override.full_clean()
    override.save(force_insert=True)
    return override


@transaction.atomic
def approve_override(person: Person, pk: int) -> Override:
    """The Commander's override. Raises Refused, also for who proposed it."""
    override = Override.objects.select_for_update().get(pk=pk)
    check(person, "partners.approve", obj=override)
    if override.approved_at is not None:
        raise Refused("CC-55b", "this authority was approved before", "nobody: store a newer one")
    override.approved_by, override.approved_at = person, clock.now()
    override.save(update_fields=["approved_by", "approved_at"])
    return override


def check_may_receive(partner: Partner | None) -> None:
    """Raises Refused for a partner that may not receive records today."""
    if partner is None:
        raise Refused("430.8-0", "the agency is not in the partner register", COMMANDER)
    if not partner.live():
        raise Refused(
            "430.8-0",
            f"{partner} is not approved or no longer in date",
            "the Commander, who approves partners",
        )
    if partner.kind in Partner.ALLOWED:
        return
    if not any(override.live() for override in partner.overrides.all()):
        raise Refused(
            "CC-55b",
            f"records go to no agency of the kind “{partner.get_kind_display()}” without a legal authority",
            COMMANDER,
        )


def may_receive(partner: Partner) -> bool:
    """Whether records may go to a partner today, by its agreement and its kind."""
    try:
        check_may_receive(partner)
    except Refused:
        return False
    return True
