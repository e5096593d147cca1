"""Destruction: proposed with its counts, approved by the Commander, co-signed by the custodian, certified.

A proposal needs a live authority: the legislative body's resolution and the attorney's written consent
(GC-34090.6); a standing one runs out. It must hold when the first reads are destroyed: what was begun in time
is finished, for half a destruction has no certificate; what was not begun may be withdrawn. What carries it
out is `hq.retention.purge`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from django.db import transaction

from hq.people.inforce import policy_words
from hq.people.models import Person
from hq.people.policy import Refused, check, said
from hq.retention import asked, copies, holds, selection
from hq.retention.models import Authority, Batch, Certificate, Proposal, Schedule
from hq.site import clock
from hq.site.models import Settings

STATEMENT = (
    "I have compared this proposal with the records schedule and the holds, and consent to the destruction."
)


@transaction.atomic
def propose(person: Person, schedule: Schedule, authority: Authority) -> Proposal:
    """Propose to destroy what a schedule in force makes due now. Raises Refused."""
    check(person, "destruction.propose")
    # Of two that are proposed at once the second waits here, and finds the first.
    schedule = Schedule.objects.select_for_update(of=("self",)).get(pk=schedule.pk)
    if schedule.state != Schedule.State.IN_FORCE:
        raise Refused("430.4-c", f"{schedule} is not in force", "the Commander and the custodian of records")
    _check_authority(authority)
    holds.check_readable()
    if Proposal.objects.filter(
        schedule__category=schedule.category, schedule__unit=schedule.unit, state__in=Proposal.OPEN
    ).exists():
        raise Refused(
            "430.2.1(f)",
            "a proposal for these records is open already",
            "its signers, who decide or withdraw it",
        )
    now = clock.now()
    found = selection.count(schedule, now)
    if not found.reads:
        why = "no read is due under this schedule that no hold or open request keeps"
        if open_ones := asked.named(selection.due(schedule, now), now):
            # Numbers alone, for it has to fit into the log; the page of destruction says the rest.
            why += f"; still open: {', '.join(one.number for one in open_ones)}"
        raise Refused("430.4-c", why, "whoever finishes these requests" if open_ones else "nobody")
    proposal = Proposal(
        schedule=schedule,
        authority=authority,
        due_at=now,
        reads=found.reads,
        pictures=found.pictures,
        octets=found.octets,
        held=found.held,
        earliest=found.earliest,
        latest=found.latest,
        proposed_by=person,
        proposed_at=now,
    )
    proposal.ids_sha256 = digest(selection.ids(selection.of_proposal(proposal)))
    proposal.save(force_insert=True)
    return proposal


@transaction.atomic
def approve(person: Person, pk: int) -> Proposal:
    """The Commander's signature, for the department head (GC-34090.6). Raises Refused."""
    proposal = _proposed(pk)
    check(person, "destruction.approve", obj=proposal)
    if proposal.approved_by is not None:
        why = f"proposal {pk} is approved already by {proposal.approved_by}"
        raise Refused("430.2.1(f)", why, "nobody: it stays approved")
    proposal.approved_by, proposal.approved_at = person, clock.now()
    proposal.save(update_fields=["approved_by", "approved_at"])
    return proposal


@transaction.atomic
def cosign(person: Person, pk: int) -> Proposal:
    """The custodian's signature, after the Commander's; from then on the purge may run. Raises Refused."""
    proposal = _proposed(pk)
    if proposal.approved_by is None:
        raise Refused("GC-34090.6", "the Commander has not approved this proposal yet", "the Commander")
    check(person, "destruction.cosign", obj=proposal)
    _check_authority(proposal.authority)
    holds.check_readable()
    proposal.cosigned_by, proposal.cosigned_at = person, clock.now()
    proposal.statement, proposal.state = STATEMENT, Proposal.State.COSIGNED
    proposal.save(update_fields=["cosigned_by", "cosigned_at", "statement", "state"])
    return proposal


@transaction.atomic
def refuse(person: Person, pk: int, why: str) -> Proposal:
    """Either signer may refuse a proposal. Raises Refused."""
    proposal = _proposed(pk)
    try:
        check(person, "destruction.approve", obj=proposal)
    except Refused:
        check(person, "destruction.cosign", obj=proposal)
    reason = said("430.2.1(f)", "the reason of the refusal", why)
    proposal.refused_by, proposal.refused_at, proposal.refused_why = person, clock.now(), reason[:300]
    proposal.state = Proposal.State.REFUSED
    proposal.save(update_fields=["refused_by", "refused_at", "refused_why", "state"])
    return proposal


@transaction.atomic
def withdraw(person: Person, pk: int, why: str) -> Proposal:
    """Take back a proposal under which nothing was destroyed, by a role that signs it. Raises Refused."""
    proposal = Proposal.objects.select_for_update().get(pk=pk)
    if proposal.state not in Proposal.OPEN:
        raise Refused("430.2.1(f)", f"proposal {pk} is {proposal.get_state_display()}", "nobody")
    check(person, "destruction.withdraw", obj=proposal)
    if begun(proposal):
        raise Refused(
            "430.4-d",
            f"records were destroyed under proposal {pk} already: it can only be finished",
            "whoever runs platewarden-hq purge",
        )
    if proposal.batches.filter(state__in=Batch.OPEN).exists():
        raise Refused(
            "430.4-d",
            f"a purge of proposal {pk} is under way, or was cut off",
            "whoever runs platewarden-hq purge --recover, which undoes a batch that was cut off",
        )
    reason = said("430.2.1(f)", "the reason of the withdrawal", why)
    proposal.refused_by, proposal.refused_at, proposal.refused_why = person, clock.now(), reason[:300]
    proposal.state = Proposal.State.WITHDRAWN
    proposal.save(update_fields=["refused_by", "refused_at", "refused_why", "state"])
    return proposal


def begun(proposal: Proposal) -> bool:
    """Whether anything was destroyed under it: from then on it can only be finished."""
    reads = proposal.batches.filter(state__in=(Batch.State.DELETED, Batch.State.DONE))
    return reads.exists() or proposal.copies.exists()


def certify(proposal: Proposal, run_by: str) -> Certificate:
    """Close a proposal whose purge has finished, with its certificate."""
    batches = list(proposal.batches.filter(state=Batch.State.DONE).order_by("pk"))
    reads = sum(batch.reads for batch in batches)
    now = clock.now()
    certificate = Certificate(
        proposal=proposal,
        number=f"C-{now:%Y}-{proposal.pk:05d}",
        at=now,
        reads=reads,
        pictures=sum(batch.pictures for batch in batches),
        octets=sum(batch.octets for batch in batches),
        held_since=proposal.reads - reads,
        ids_sha256=digest(batch.ids_sha256 for batch in batches),
        run_by=run_by,
    )
    certificate.text = _words(certificate)
    certificate.save(force_insert=True)
    proposal.state = Proposal.State.DONE
    proposal.save(update_fields=["state"])
    return certificate


def check_still_good(pk: int) -> Proposal:
    """The proposal, locked, if its purge may begin or go on now. In a transaction only. Raises Refused."""
    proposal = Proposal.objects.select_for_update().get(pk=pk)
    if proposal.state != Proposal.State.COSIGNED:
        state = proposal.get_state_display()
        raise Refused("430.2.1(f)", f"proposal {pk} is {state}, not co-signed", "the custodian of records")
    if not begun(proposal):
        _check_authority(proposal.authority)
    holds.check_readable()
    return proposal


def digest(lines: Iterable[object]) -> str:
    """SHA-256 of texts, one a line."""
    found = hashlib.sha256()
    for line in lines:
        found.update(f"{line}\n".encode())
    return found.hexdigest()


def _check_authority(authority: Authority) -> None:
    if authority.kind != Authority.Kind.DESTRUCTION or not authority.live():
        raise Refused(
            "GC-34090.6",
            f"the authority {authority.title!r} does not allow a destruction today",
            "the legislative body, with the agency attorney's written consent",
        )


def _proposed(pk: int) -> Proposal:
    proposal = Proposal.objects.select_for_update().get(pk=pk)
    if proposal.state != Proposal.State.PROPOSED:
        raise Refused(
            "430.2.1(f)", f"proposal {pk} is {proposal.get_state_display()}", "whoever makes a new one"
        )
    return proposal


def _words(certificate: Certificate) -> str:
    proposal, authority = certificate.proposal, certificate.proposal.authority
    agency = Settings.current()
    first = proposal.batches.filter(state=Batch.State.DONE).order_by("pk").first()
    lines = [
        f"Certificate of destruction {certificate.number}",
        "",
        f"Agency: {agency.agency if agency else 'not set'}",
        f"Under: {policy_words(certificate.at)}",
        f"Destroyed: {certificate.reads} reads, {certificate.pictures} pictures, {certificate.octets} bytes",
        f"Of: {proposal.schedule}",
        f"Proposed: {proposal.reads} reads, captured from {_time(proposal.earliest)} "
        f"to {_time(proposal.latest)}",
        f"Due at {_time(proposal.due_at)}; begun at {_time(first.started_at if first else None)}; "
        f"finished at {_time(certificate.at)}",
        f"Kept by holds and open requests when proposed: {proposal.held}; "
        f"by holds, requests or schedules that came since: {certificate.held_since}",
        f"Authority: {authority.title}; {authority.council_resolution} of {authority.resolution_on}; "
        f"written consent of {authority.attorney} of {authority.consent_on}; "
        f"document SHA-256 {authority.sha256}",
        f"Basis: {proposal.schedule.basis}",
        f"Proposed by {proposal.proposed_by} at {_time(proposal.proposed_at)}",
        f"Approved by {proposal.approved_by} at {_time(proposal.approved_at)}",
        f"Co-signed by {proposal.cosigned_by} at {_time(proposal.cosigned_at)}: {proposal.statement}",
        f"Run by {certificate.run_by}",
        f"SHA-256 of the proposed ids: {proposal.ids_sha256}",
        f"SHA-256 of the batches' digests: {certificate.ids_sha256}",
        *_copies(proposal),
    ]
    return "\n".join(lines) + "\n"


def _copies(proposal: Proposal) -> Iterator[str]:
    """What became of HQ's own files of packages and releases."""
    gone = list(proposal.copies.order_by("pk"))
    yield f"HQ's own copies of packages and releases destroyed, as reads in them are: {len(gone)}"
    for copy in gone:
        yield f"  {copy.number}, {copy.reads} reads, {copy.gone} of them destroyed, SHA-256 {copy.sha256}"
    if left := copies.unreadable():
        yield f"Left, as nobody can tell which reads are in their damaged files: {', '.join(left)}"


def _time(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if at else "-"
