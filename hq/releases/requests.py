"""Release requests: received in writing, reviewed, decided, fulfilled within what was approved (430.8).

RECEIVED -> REVIEWED -> APPROVED or DENIED; APPROVED -> FULFILLED, CLOSED, or DENIED after all. A request of
anybody but law enforcement or a prosecutor is ROUTED to the custodian of records, with a due date and no way
to export (430.8-z).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Final

from django.core.files import File
from django.db import transaction
from django.db.models import Q, QuerySet

from hq.evidence import bag, collect, packages
from hq.hits import corrections
from hq.people import cases, purposes
from hq.people.models import Person
from hq.people.policy import Refused, check, said
from hq.releases import partners
from hq.releases.models import Partner, ReleaseRequest
from hq.retention.scope import Scope
from hq.site import clock

ANSWER_DAYS: Final = 10
"""Days to answer a public records request (Government Code 7922.535)."""

COMMANDER = "the Commander or an authorised designee"
State = ReleaseRequest.State


@transaction.atomic
def register(
    person: Person,
    *,
    kind: str,
    agency: str,
    person_name: str,
    purpose: str,
    purpose_text: str,
    document: File[bytes] | None,
    received_at: datetime,
    case: str = "",
    partner: Partner | None = None,
    person_title: str = "",
    person_contact: str = "",
    scope: Scope | None = None,
    pictures: bool = False,
    due_on: date | None = None,
    requested_by: Person | None = None,
) -> ReleaseRequest:
    """Register a written request with its original. Raises Refused for what 430.8(a) asks and it lacks."""
    check(person, "releases.register")
    _required(agency, person_name, purpose, purpose_text, document)
    assert document is not None
    other = kind == ReleaseRequest.Kind.OTHER
    if not other:
        partners.check_may_receive(partner)
        _asker(agency, partner, person_title, person_contact)
        if why := cases.number_fault(case, own=False):
            raise Refused("430.8(a)3", f"the purpose needs its case number: {why}", "the requesting agency")
        (scope or Scope()).check()
    document.seek(0)
    digest = hashlib.sha256(document.read()).hexdigest()
    document.seek(0)
    row = ReleaseRequest(
        kind=kind,
        state=State.ROUTED if other else State.RECEIVED,
        partner=None if other else partner,
        agency=agency,
        person_name=person_name,
        person_title=person_title,
        person_contact=person_contact,
        requested_by=requested_by,
        purpose=purpose,
        purpose_text=purpose_text,
        case=case.strip(),
        document=document,
        document_sha256=digest,
        received_at=received_at,
        due_on=due_on or (clock.day_of(received_at) + timedelta(days=ANSWER_DAYS) if other else None),
        registered_by=person,
        registered_at=clock.now(),
        scope_asked=(scope or Scope()).to_json(),
        pictures_asked=pictures and not other,
    )
    row.full_clean(exclude=["number", "scope_asked", "scope_approved", "case"])
    row.save(force_insert=True)
    row.number = f"R-{clock.today():%Y}-{row.pk:05d}"
    row.save(update_fields=["number"])
    return row


@transaction.atomic
def review(person: Person, pk: int, note: str) -> ReleaseRequest:
    """The Commander or a designee has read the request and its original, and says what was found.

    Raises Refused.
    """
    row = _in_state(pk, State.RECEIVED)
    check(person, "releases.decide", obj=row)
    found = said("430.8(b)", "what the review found", note)
    row.reviewed_by, row.reviewed_at, row.review_note = person, clock.now(), found[:500]
    row.state = State.REVIEWED
    row.save(update_fields=["reviewed_by", "reviewed_at", "review_note", "state"])
    return row


@transaction.atomic
def approve(person: Person, pk: int, scope: Scope, *, pictures: bool, reason: str) -> ReleaseRequest:
    """Approve no more than was asked. Raises Refused, also without a reason, ScopeError."""
    row = _in_state(pk, State.REVIEWED)
    check(person, "releases.decide", obj=row)
    partners.check_may_receive(row.partner)
    scope.check()
    if not scope.within(row.asked) or (pictures and not row.pictures_asked):
        raise Refused(
            "430.8(b)", "this approves more than the written request asks for", "the requesting agency"
        )
    why = said("430.8(b)", "the reason of the approval", reason)
    row.decided_by, row.decided_at, row.decision_reason = person, clock.now(), why[:500]
    row.scope_approved, row.pictures_approved, row.state = scope.to_json(), pictures, State.APPROVED
    row.save()
    return row


@transaction.atomic
def deny(person: Person, pk: int, reason: str) -> ReleaseRequest:
    """An approved one too, as when the agency's agreement has ended since: the approval stays on file.

    Raises Refused, also without a reason.
    """
    row = _in_state(pk, State.REVIEWED, State.APPROVED)
    check(person, "releases.decide", obj=row)
    why = said("430.8(b)", "the reason of the denial", reason)[:500]
    if row.state == State.APPROVED:
        row.closed_by, row.closed_at, row.closing_note = person, clock.now(), why
    else:
        row.decided_by, row.decided_at, row.decision_reason = person, clock.now(), why
    row.state = State.DENIED
    row.save()
    return row


def fulfil(
    person: Person,
    pk: int,
    *,
    scope: Scope | None = None,
    pictures: bool | None = None,
    log: Callable[[ReleaseRequest], None] = lambda _: None,
) -> ReleaseRequest:
    """Make the package for the partner, within what was approved; all of it by default.

    A large one takes minutes, so that only its row is written in a transaction, with what `log` writes in the
    same.
    Raises Refused before the approval, for who decided, for a wider scope, for a partner that may no longer
    receive; TooMany, bag.Unreadable, packages.NotWritten, keys.KeyExposed.
    """
    row = ReleaseRequest.objects.get(pk=pk)
    if row.kind == ReleaseRequest.Kind.OTHER:
        raise Refused("430.8-z", "this request is the custodian's; nothing is exported for it here", "nobody")
    row = _in_state(pk, State.APPROVED, lock=False)
    check(person, "releases.fulfil", obj=row)
    partners.check_may_receive(row.partner)
    approved = row.approved
    assert approved is not None
    wanted = scope or approved
    with_pictures = row.pictures_approved if pictures is None else pictures
    if not wanted.within(approved) or (with_pictures and not row.pictures_approved):
        raise Refused("430.8(b)", "this is more than was approved", COMMANDER)
    now = clock.now()
    reads = collect.reads_of(approved.q() & wanted.q())
    # A misread of another vehicle stays here: what counts is the corrected text.
    right = corrections.newest(read.id for read in reads)
    reads = [read for read in reads if read.id not in right or wanted.means(right[read.id].key)]
    rows, photos, missing = collect.read_rows(reads, pictures=with_pictures)
    assert row.number
    notes = packages.notes(missing, with_pictures)
    notes.append(
        "Hits and hot lists are not released: their entries are other agencies' data. Nor are the access log "
        "and what people recorded about a read. That this package has none does not say that there are none."
    )
    content = bag.Content(
        cover=packages.cover(
            number=row.number,
            kind="Release to another agency",
            case=row.case,
            purpose=row.purpose,
            people=(f"{row.person_name}, {row.person_title}, {row.agency}", row.decided_by, person),
            at=now,
            scope=wanted,
            notes=notes,
            recipient=f"{row.person_name}, {row.agency}",
        ),
        # What others recorded about a read stays here: it may name people and other cases.
        reads=[{name: value for name, value in read.items() if name != "about"} for read in rows],
        photos=photos,
        units=[{"unit": unit["unit"], "cameras": unit["cameras"]} for unit in collect.unit_rows(reads)],
    )
    with packages.stored(content, now) as stored_as, transaction.atomic():
        # Meanwhile another may have fulfilled or closed it, or the Commander have ended the partner.
        row = _in_state(pk, State.APPROVED)
        check(person, "releases.fulfil", obj=row)
        partners.check_may_receive(row.partner)
        stored_as.note_on(row)
        row.fulfilled_by, row.fulfilled_at, row.state = person, now, State.FULFILLED
        row.save()
        log(row)
    return row


@transaction.atomic
def close(person: Person, pk: int, note: str) -> ReleaseRequest:
    """The custodian has answered an OTHER request by the department's records procedure.

    Or nothing is handed out on an approved one, say since the agency has withdrawn it: an open one keeps its
    reads (430.4-d). Raises Refused.
    """
    row = _in_state(pk, State.ROUTED, State.APPROVED)
    check(person, "releases.register")
    if row.state == State.ROUTED:
        how = said("430.8-z", "how it was answered", note)
    else:
        how = said("430.8(c)", "why nothing is handed out", note)
    row.closed_by, row.closed_at, row.closing_note, row.state = person, clock.now(), how[:500], State.CLOSED
    row.save(update_fields=["closed_by", "closed_at", "closing_note", "state"])
    return row


def waiting() -> QuerySet[ReleaseRequest]:
    """Requests that somebody has to act on, the earliest due first."""
    done = (State.DENIED, State.FULFILLED, State.CLOSED)
    return ReleaseRequest.objects.exclude(state__in=done).order_by("due_on", "received_at")


def late(day: date | None = None) -> QuerySet[ReleaseRequest]:
    """Requests past the day on which they were to be answered."""
    return waiting().filter(Q(due_on__lt=day or clock.today()))


def _required(
    agency: str, person_name: str, purpose: str, purpose_text: str, document: File[bytes] | None
) -> None:
    for clause, what, value in (
        ("430.8(a)1", "the name of the agency", agency),
        ("430.8(a)2", "the name of the person requesting", person_name),
        ("430.8(a)3", "the intended purpose", purpose_text),
    ):
        if not value.strip():
            raise Refused(clause, f"the request lacks {what}", "the requesting agency")
    if purpose not in purposes.ALL:
        raise Refused("430.8(a)3", "the purpose is none of the policy's list", "nobody")
    if document is None or not document.size:
        raise Refused("430.8(a)", "the written request itself is missing", "the requesting agency")


def _asker(agency: str, partner: Partner | None, title: str, contact: str) -> None:
    """Who asks can be asked back, and asks for the very agency that the register lets receive.

    Otherwise a request in the name of one agency would be judged by what another may receive (430.8-0).
    """
    assert partner is not None
    if not partner.named(agency):
        raise Refused(
            "430.8(a)1",
            f"the request names “{agency.strip()}”, the partner register {partner.agency}",
            "the ALPR administrator, who proposes partners",
        )
    for what, value in (("title", title), ("telephone or e-mail", contact)):
        if not value.strip():
            raise Refused(
                "430.8(a)2", f"the request lacks the {what} of the person requesting", "the requesting agency"
            )


def _in_state(pk: int, *states: ReleaseRequest.State, lock: bool = True) -> ReleaseRequest:
    row = (ReleaseRequest.objects.select_for_update() if lock else ReleaseRequest.objects).get(pk=pk)
    if row.state not in states:
        wanted = " or ".join(str(state.label) for state in states)
        raise Refused("430.8(b)", f"request {row} is {row.get_state_display()}, not {wanted}", COMMANDER)
    return row
