"""Records of audits and breaches. A row is written once; what may be added later is named at `protect`."""

from __future__ import annotations

from datetime import date, timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from hq.audits.acts import Act, of_log, of_unit
from hq.log.models import AccessRecord
from hq.log.triggers import protect
from hq.records.models import AccessReceived
from hq.site import clock

_PERSON = settings.AUTH_USER_MODEL

PAPERS_DAYS = 730
"""Audit papers are kept two years at least, as access logs are (State Auditor 2019-118, rec. 39)."""


def _who(name: str = "", *, null: bool = False) -> models.ForeignKey:  # type: ignore[type-arg]
    return models.ForeignKey(
        _PERSON, models.PROTECT, null=null, blank=null, related_name="+", verbose_name=name or None
    )


class Plan(models.Model):
    """One version of the audit plan (430.5(c), CC-53); the last approved is in force."""

    frequency_days = models.PositiveSmallIntegerField("days from one audit to the next", default=90)
    auditor = _who("auditor")
    other_auditor = _who("other auditor, for the auditor's own actions")
    reviewer = _who("reviewer, who signs off")
    sample_size = models.PositiveSmallIntegerField("records in a sample", default=60)
    areas = models.JSONField("risk areas")
    papers_days = models.PositiveIntegerField("days that audit papers are kept", default=PAPERS_DAYS)
    starts_on = models.DateField("first period starts on", default=clock.today)
    document = models.CharField("plan document", max_length=200)
    proposed_by = _who()
    proposed_at = models.DateTimeField(default=clock.now)
    approved_by = _who(null=True)
    approved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="plan_persons_are_apart",
                condition=~Q(auditor=F("other_auditor"))
                & ~Q(reviewer=F("auditor"))
                & ~Q(reviewer=F("other_auditor")),
            ),
            models.CheckConstraint(
                name="plan_is_approved_by_neither_proposer_nor_auditor",
                condition=Q(approved_by__isnull=True)
                | (~Q(approved_by=F("proposed_by")) & ~Q(approved_by=F("auditor"))),
            ),
            models.CheckConstraint(
                name="plan_is_at_least_yearly_and_keeps_papers",
                condition=Q(
                    frequency_days__gte=1,
                    frequency_days__lte=366,
                    sample_size__gte=1,
                    papers_days__gte=PAPERS_DAYS,
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"audit every {self.frequency_days} days by {self.auditor}"

    @classmethod
    def current(cls) -> Plan | None:
        """The version in force, None before the first approval."""
        return cls.objects.filter(approved_at__isnull=False).order_by("-approved_at", "-pk").first()


class Audit(models.Model):
    """One run of the plan over the log's rows from `since` up to, not including, `until`.

    `seed` and `population` (rows by risk area) let anybody draw the same sample again.
    """

    plan = models.ForeignKey(Plan, models.PROTECT, related_name="audits")
    since = models.DateTimeField()
    until = models.DateTimeField()
    seed = models.CharField(max_length=64)
    population = models.JSONField()
    auditor = _who()
    started_at = models.DateTimeField(default=clock.now)
    conclusion = models.CharField(max_length=2000, blank=True)
    signed_by = _who(null=True)
    signed_at = models.DateTimeField(null=True, blank=True)
    approved_by = _who(null=True)
    approved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(name="audit_period_is_not_empty", condition=Q(until__gt=F("since"))),
            models.CheckConstraint(
                name="audit_is_signed_off_by_another_person",
                condition=Q(approved_by__isnull=True)
                | (
                    Q(signed_by__isnull=False) & ~Q(approved_by=F("signed_by")) & ~Q(approved_by=F("auditor"))
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"audit {self.pk}"

    @property
    def state(self) -> str:
        """In one word."""
        if self.approved_at is not None:
            return "closed"
        return "signed" if self.signed_at is not None else "open"

    @property
    def keep_until(self) -> date:
        """Until when its papers are kept at least."""
        return clock.day_of(self.started_at) + timedelta(days=self.plan.papers_days)


class Item(models.Model):
    """One record of a sample, given to one auditor, who is never the person whose action it is.

    It is of the access log (`record`) or a unit's own (`received`).
    """

    class Mark(models.TextChoices):
        OK = "ok", "in order"
        QUERY = "query", "query"
        VIOLATION = "violation", "violation"

    audit = models.ForeignKey(Audit, models.PROTECT, related_name="items")
    record = models.ForeignKey(AccessRecord, models.PROTECT, null=True, related_name="+")
    received = models.ForeignKey(AccessReceived, models.PROTECT, null=True, related_name="+")
    area = models.CharField(max_length=16)
    subject = _who(null=True)
    assigned_to = _who()
    mark = models.CharField(max_length=9, choices=Mark.choices, blank=True)
    note = models.CharField(max_length=500, blank=True)
    marked_by = _who(null=True)
    marked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["record_id", "received__received_at", "received_id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["audit", "record"], name="item_once_in_an_audit"),
            models.UniqueConstraint(fields=["audit", "received"], name="unit_item_once_in_an_audit"),
            models.CheckConstraint(
                name="item_is_of_the_log_or_a_unit",
                condition=Q(record__isnull=False, received__isnull=True)
                | Q(record__isnull=True, received__isnull=False),
            ),
            models.CheckConstraint(
                name="nobody_audits_own_actions",
                condition=Q(subject__isnull=True)
                | (~Q(assigned_to=F("subject")) & (Q(marked_by__isnull=True) | ~Q(marked_by=F("subject")))),
            ),
            models.CheckConstraint(
                name="mark_has_a_person_and_a_doubt_has_a_note",
                condition=Q(mark="", marked_by__isnull=True)
                | Q(mark="ok", marked_by__isnull=False)
                | (Q(marked_by__isnull=False) & ~Q(note="")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.what} in {self.audit}"

    @property
    def what(self) -> str:
        """Which record it is, in words without a plate."""
        return f"row {self.record_id}" if self.record_id else f"unit record {self.received_id}"

    @property
    def act(self) -> Act:
        """The record as it is judged."""
        if self.received is not None:
            return of_unit(self.received)
        assert self.record is not None
        return of_log(self.record)


class Finding(models.Model):
    """What an auditor found, who is to see to it by when, and how it ended."""

    audit = models.ForeignKey(Audit, models.PROTECT, related_name="findings")
    item = models.OneToOneField(Item, models.PROTECT, null=True, blank=True, related_name="finding")
    what = models.CharField("what was found", max_length=500)
    subject = _who(null=True)
    raised_by = _who()
    raised_at = models.DateTimeField(default=clock.now)
    assigned_to = _who("who sees to it", null=True)
    due_on = models.DateField("by", null=True, blank=True)
    resolution = models.CharField("how it ended", max_length=500, blank=True)
    resolved_by = _who(null=True)
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="nobody_resolves_a_finding_about_themselves",
                condition=Q(subject__isnull=True)
                | (
                    (Q(assigned_to__isnull=True) | ~Q(assigned_to=F("subject")))
                    & (Q(resolved_by__isnull=True) | ~Q(resolved_by=F("subject")))
                ),
            ),
            models.CheckConstraint(
                name="resolved_finding_says_how",
                condition=Q(resolved_at__isnull=True, resolved_by__isnull=True)
                | (Q(resolved_at__isnull=False, resolved_by__isnull=False) & ~Q(resolution="")),
            ),
        ]

    def __str__(self) -> str:
        return f"finding {self.pk} of {self.audit}"


class LogReview(models.Model):
    """Somebody looked at a week of the log (CJIS AU-6): what it held then, whether the chain was whole."""

    week = models.DateField("Monday of the week", unique=True)
    figures = models.JSONField()
    chain = models.CharField(max_length=200)
    note = models.CharField("what was seen", max_length=1000)
    by = _who()
    at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering: ClassVar = ["-week"]

    def __str__(self) -> str:
        return f"log of the week of {self.week}"


class Reevaluation(models.Model):
    """The retention was held against the age of what people search (2019-118, rec. 19 and 47)."""

    ages = models.JSONField("ages of what was searched")
    conclusion = models.CharField("is the retention still needed", max_length=1000)
    document = models.CharField("memo", max_length=200, blank=True)
    by = _who()
    at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"retention re-evaluated {self.at:%Y-%m-%d}"


class AccountReview(models.Model):
    """Somebody looked at every account but the own (CJIS AC-2-j): what each had then."""

    accounts = models.JSONField()
    conclusion = models.CharField("what was found and done about it", max_length=1000)
    by = _who()
    at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"accounts reviewed {self.at:%Y-%m-%d}"


class Breach(models.Model):
    """An incident of unauthorised access, loss or disclosure (430.5-z)."""

    what = models.CharField("what happened", max_length=1000)
    detected_at = models.DateTimeField("detected at")
    began_at = models.DateTimeField("began at, as far as known", null=True, blank=True)
    ended_at = models.DateTimeField("ended at", null=True, blank=True)
    told_by = models.CharField("how it was noticed, by whom", max_length=200)
    recorded_by = _who()
    recorded_at = models.DateTimeField(default=clock.now)
    closed_by = _who(null=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    closing_note = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering: ClassVar = ["-pk"]
        verbose_name_plural = "breaches"

    def __str__(self) -> str:
        return f"breach {self.pk}"


class Step(models.Model):
    """One thing that was done or learned about a breach."""

    class Kind(models.TextChoices):
        CONTAINMENT = "containment", "containment"
        FINDING = "finding", "what was learned"
        RECOVERY = "recovery", "recovery"

    breach = models.ForeignKey(Breach, models.PROTECT, related_name="steps")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    what = models.CharField("what was done or learned", max_length=1000)
    by = _who()
    at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering: ClassVar = ["pk"]

    def __str__(self) -> str:
        return f"{self.kind} of {self.breach}"


class Affected(models.Model):
    """What a query for the extent of a breach asked and counted; no plate is in the counts."""

    breach = models.ForeignKey(Breach, models.PROTECT, related_name="affected")
    scope = models.JSONField()
    counts = models.JSONField()
    by = _who()
    at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"extent of {self.breach}"


class Notice(models.Model):
    """Somebody who must be told of a breach, by when and on what basis, and that it was done."""

    breach = models.ForeignKey(Breach, models.PROTECT, related_name="notices")
    to = models.CharField("to whom", max_length=200)
    basis = models.CharField("statute or policy", max_length=200)
    due_on = models.DateField("due")
    entered_by = _who()
    entered_at = models.DateTimeField(default=clock.now)
    sent_at = models.DateTimeField(null=True, blank=True)
    sent_by = _who(null=True)
    reference = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["due_on"]

    def __str__(self) -> str:
        return f"notice to {self.to}"


class Freeze(models.Model):
    """Rows of the access log that are kept because of a breach, whatever the log's own retention says."""

    breach = models.ForeignKey(Breach, models.PROTECT, related_name="freezes")
    first = models.BigIntegerField()
    last = models.BigIntegerField()
    head = models.CharField("hash of the last row", max_length=64)
    chain = models.CharField(max_length=200)
    by = _who()
    at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(name="freeze_is_not_empty", condition=Q(last__gte=F("first")))
        ]

    def __str__(self) -> str:
        return f"rows {self.first} to {self.last}"


class Export(models.Model):
    """A file of frozen rows that was handed out."""

    freeze = models.ForeignKey(Freeze, models.PROTECT, related_name="exports")
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()
    by = _who()
    at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return self.sha256


protect(Plan, allow=("approved_by", "approved_at"))
protect(Audit, allow=("conclusion", "signed_by", "signed_at", "approved_by", "approved_at"))
protect(Item, allow=("mark", "note", "marked_by", "marked_at"))
protect(Finding, allow=("assigned_to", "due_on", "resolution", "resolved_by", "resolved_at"))
protect(LogReview)
protect(Reevaluation)
protect(AccountReview)
protect(Breach, allow=("began_at", "ended_at", "closed_by", "closed_at", "closing_note"))
protect(Step)
protect(Affected)
protect(Notice, allow=("sent_at", "sent_by", "reference"))
protect(Freeze)
protect(Export)
