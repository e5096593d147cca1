"""Runs the audit plan: draw a sample, mark it, raise and resolve findings, sign, sign off.

Owns who may take which step; in no step does anybody judge their own actions (430.5(c)).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from hq.audits.acts import person_of
from hq.audits.models import Audit, Finding, Item, Plan
from hq.audits.sample import draw
from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.people.policy import Refused, check, said
from hq.records.models import AccessReceived
from hq.site import clock

CLAUSE = "430.5(c)"
_SOON = timedelta(minutes=2)
"""The second press of the button comes within it."""


def propose(person: Person, plan: Plan) -> Plan:
    """Propose a version of the plan. Raises Refused, ValidationError."""
    check(person, "audits.plan")
    plan.proposed_by = person
    plan.full_clean()
    plan.save(force_insert=True)
    return plan


@transaction.atomic
def approve_plan(person: Person, pk: int) -> Plan:
    """Put a version in force. Raises Refused for its proposer or auditor."""
    plan = Plan.objects.select_for_update().get(pk=pk)
    check(person, "audits.approve", obj=plan)
    if plan.approved_at is not None:
        raise Refused(CLAUSE, "this plan is approved", "nobody")
    plan.approved_by, plan.approved_at = person, clock.now()
    plan.save(update_fields=["approved_by", "approved_at"])
    return plan


def due_on(plan: Plan) -> date:
    """By which day the next audit is to be signed: counted from where what is signed ends, without a gap."""
    audits = Audit.objects.order_by("since", "pk").values_list("since", "until", "signed_at")
    if not audits:
        return plan.starts_on + timedelta(days=plan.frequency_days)
    audited = audits[0][0]
    for since, until, signed_at in audits:
        if signed_at is not None and since <= audited:
            audited = max(audited, until)
    return clock.day_of(audited) + timedelta(days=plan.frequency_days)


def overdue() -> bool:
    """Whether an audit that the plan asks for is not signed."""
    plan = Plan.current()
    return plan is not None and due_on(plan) < clock.today()


@transaction.atomic
def start(person: Person, until: datetime | None = None, seed: str | None = None) -> Audit:
    """Draw the sample of the period since the last audit; pressed twice, it is drawn once. Raises Refused.

    What the auditor did goes to the other auditor, and the other way round. The period of an audit that its
    auditors can no longer finish, for the plan in force names others, is audited again.
    """
    check(person, "audits.run")
    plan = Plan.current()
    if plan is None:
        raise Refused(CLAUSE, "no audit plan is in force", "the Commander, who approves one")
    if person.pk not in (plan.auditor_id, plan.other_auditor_id):
        raise Refused(CLAUSE, "the plan names other auditors", f"{plan.auditor} or {plan.other_auditor}")
    now = clock.now()
    again = Audit.objects.filter(auditor=person, signed_at=None, started_at__gt=now - _SOON)
    if twin := again.exclude(items__mark__gt="").first():
        return twin
    since, until = _since(plan), min(until or now, now)
    # The log's times are cut to hundredths: a row of the same hundredth belongs to the next audit.
    until = until.replace(microsecond=until.microsecond // 10_000 * 10_000)
    if until <= since:
        raise Refused(CLAUSE, "the period since the last audit is empty", "nobody: wait")
    seed = seed or secrets.token_hex(16)
    drawn = draw(since, until, plan.areas, plan.sample_size, seed)
    audit = Audit.objects.create(
        plan=plan, since=since, until=until, seed=seed, population=drawn.population, auditor=person
    )
    other = plan.other_auditor if person.pk == plan.auditor_id else plan.auditor
    subjects = dict(
        AccessRecord.objects.filter(pk__in=[row for row, _ in drawn.rows]).values_list("pk", "person")
    )
    received = AccessReceived.objects.in_bulk([pk for pk, _ in drawn.units])
    items = [Item(record_id=row, area=area, subject_id=subjects[row]) for row, area in drawn.rows]
    items += [Item(received_id=pk, area=area, subject_id=person_of(received[pk])) for pk, area in drawn.units]
    for item in items:
        item.audit, item.assigned_to = audit, other if item.subject_id == person.pk else person
    Item.objects.bulk_create(items)
    return audit


@transaction.atomic
def mark(person: Person, pk: int, word: str, note: str = "") -> Item:
    """Judge one record, once; a query or violation needs a note and makes a finding. Raises Refused."""
    check(person, "audits.run")
    item = Item.objects.select_for_update().select_related("audit", "assigned_to").get(pk=pk)
    if item.subject_id == person.pk:
        raise Refused(CLAUSE, "it is your own action", str(item.assigned_to))
    if item.assigned_to_id != person.pk:
        raise Refused(CLAUSE, "this record is given to another auditor", str(item.assigned_to))
    if item.mark:
        raise Refused(CLAUSE, f"{item.what} is marked {item.mark}", "nobody: raise a finding")
    if item.audit.signed_at is not None:
        raise Refused(CLAUSE, "this audit is signed", "nobody")
    if word != Item.Mark.OK and not note.strip():
        raise Refused(CLAUSE, "a query or violation needs a note", "nobody: write one")
    item.mark, item.note = Item.Mark(word), note.strip()
    item.marked_by, item.marked_at = person, clock.now()
    item.save(update_fields=["mark", "note", "marked_by", "marked_at"])
    if item.mark != Item.Mark.OK:
        Finding.objects.create(
            audit=item.audit,
            item=item,
            what=f"{item.mark}: {item.note}"[:500],
            subject_id=item.subject_id,
            raised_by=person,
        )
    return item


@transaction.atomic
def raise_finding(person: Person, audit: Audit, what: str) -> Finding:
    """Write down something that no single record shows. Raises Refused."""
    check(person, "audits.finding")
    if Audit.objects.select_for_update().get(pk=audit.pk).signed_at is not None:
        raise Refused(CLAUSE, "this audit is signed", "nobody: raise it in the next one")
    what = said(CLAUSE, "what was found", what)
    return Finding.objects.create(audit=audit, what=what, raised_by=person)


@transaction.atomic
def assign(person: Person, pk: int, to: Person, due: date) -> Finding:
    """Give a finding to somebody to see to. Raises Refused for the one that it is about."""
    check(person, "audits.finding")
    finding = _open(person, pk)
    if finding.subject_id == to.pk:
        raise Refused(CLAUSE, "nobody sees to a finding about themselves", "another person")
    finding.assigned_to, finding.due_on = to, due
    finding.save(update_fields=["assigned_to", "due_on"])
    return finding


@transaction.atomic
def resolve(person: Person, pk: int, how: str) -> Finding:
    """Record how a finding ended. Raises Refused."""
    check(person, "audits.finding")
    finding = _open(person, pk)
    if finding.assigned_to_id is None:
        raise Refused(CLAUSE, "this finding is given to nobody yet", "nobody: assign it first")
    how = said(CLAUSE, "how the finding ended", how)
    finding.resolution, finding.resolved_by, finding.resolved_at = how, person, clock.now()
    finding.save(update_fields=["resolution", "resolved_by", "resolved_at"])
    return finding


@transaction.atomic
def sign(person: Person, pk: int, conclusion: str) -> Audit:
    """The auditor signs. Raises Refused while a record is not judged or a finding is given to nobody."""
    check(person, "audits.sign")
    audit = Audit.objects.select_for_update().get(pk=pk)
    if audit.auditor_id != person.pk:
        raise Refused(CLAUSE, "the auditor who ran it signs", str(audit.auditor))
    if audit.signed_at is not None:
        raise Refused(CLAUSE, "this audit is signed", "nobody")
    if left := audit.items.filter(mark="").count():
        raise Refused(CLAUSE, f"{left} records are not judged", "their auditors")
    if left := audit.findings.filter(assigned_to=None).count():
        raise Refused(CLAUSE, f"{left} findings are given to nobody", "an auditor, who assigns them")
    conclusion = said(CLAUSE, "the conclusion", conclusion)
    audit.conclusion, audit.signed_by, audit.signed_at = conclusion, person, clock.now()
    audit.save(update_fields=["conclusion", "signed_by", "signed_at"])
    return audit


@transaction.atomic
def approve(person: Person, pk: int) -> Audit:
    """Somebody who judged nothing in it signs off. Raises Refused."""
    audit = Audit.objects.select_for_update().get(pk=pk)
    check(person, "audits.approve", obj=audit)
    if audit.signed_at is None or audit.approved_at is not None:
        raise Refused(CLAUSE, f"this audit is {audit.state}", "the auditor, who signs first")
    if audit.items.filter(assigned_to=person).exists():
        raise Refused(CLAUSE, "you judged records of this audit", "another Commander or a designee")
    audit.approved_by, audit.approved_at = person, clock.now()
    audit.save(update_fields=["approved_by", "approved_at"])
    return audit


def late_findings() -> QuerySet[Finding]:
    """Findings whose day has passed."""
    return Finding.objects.filter(resolved_at=None, due_on__lt=clock.today())


def _since(plan: Plan) -> datetime:
    last = Audit.objects.order_by("-until").first()
    if last is None:
        return datetime.combine(plan.starts_on, time.min, ZoneInfo(settings.TIME_ZONE))
    return min([last.until, *(audit.since for audit in _left(plan))])


def _left(plan: Plan) -> Iterator[Audit]:
    """The audits that nobody can sign any more and whose period no later one holds."""
    for audit in Audit.objects.filter(signed_at=None):
        judges = {audit.auditor_id, *audit.items.filter(mark="").values_list("assigned_to", flat=True)}
        later = Audit.objects.filter(pk__gt=audit.pk, since__lte=audit.since, until__gte=audit.until)
        if not judges <= {plan.auditor_id, plan.other_auditor_id} and not later.exists():
            yield audit


def _open(person: Person, pk: int) -> Finding:
    finding = Finding.objects.select_for_update().get(pk=pk)
    if finding.resolved_at is not None:
        raise Refused(CLAUSE, "this finding is resolved", "nobody")
    if finding.subject_id == person.pk:
        raise Refused(CLAUSE, "this finding is about yourself", "another auditor")
    return finding
