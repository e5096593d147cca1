"""Records of partner agencies and of requests to release records to them (430.8, Civil Code 1798.90.55).

A request is kept with its written original, its decision and what was handed over; none is ever deleted.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from hq.evidence.models import MADE, Made
from hq.log.triggers import protect
from hq.retention.models import signed
from hq.retention.scope import Scope
from hq.site import clock

_PERSON = settings.AUTH_USER_MODEL


class Partner(models.Model):
    """An agency that may ask for records."""

    class Kind(models.TextChoices):
        CA_LAW = "ca_law", "California state or local law enforcement"
        CA_PROSECUTOR = "ca_prosecutor", "California prosecutor"
        CA_OTHER = "ca_other", "other California public agency"
        OUT_OF_STATE = "out_of_state", "out of state"
        FEDERAL = "federal", "federal"
        PRIVATE = "private", "private"

    ALLOWED: ClassVar = (Kind.CA_LAW, Kind.CA_PROSECUTOR)

    agency = models.CharField(max_length=200)
    ori = models.CharField("ORI", max_length=9, blank=True)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    agreement = models.CharField("agreement or MOU", max_length=200, blank=True)
    valid_until = models.DateField()
    proposed_by = models.ForeignKey(_PERSON, models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(default=clock.now)
    approved_by, approved_at = signed("who approved it")
    ended_by, ended_at = signed("who ended it")
    ended_why = models.CharField("reason of the end", max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["agency"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="partner_once_until_it_is_ended", fields=["agency"], condition=Q(ended_at__isnull=True)
            ),
            models.CheckConstraint(
                name="partner_approver_is_another_person",
                condition=Q(approved_by__isnull=True) | ~Q(approved_by=F("proposed_by")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agency} ({self.get_kind_display()})"

    def live(self, day: date | None = None) -> bool:
        """Whether it is approved, in date and not ended."""
        return (
            self.approved_at is not None
            and self.ended_at is None
            and (day or clock.today()) <= self.valid_until
        )

    def named(self, agency: str) -> bool:
        """Whether that is its name, whatever the capitals."""
        return agency.strip().casefold() == self.agency.strip().casefold()


class Override(models.Model):
    """A stored legal authority by which a partner of a refused kind may receive records after all."""

    partner = models.ForeignKey(Partner, models.PROTECT, related_name="overrides")
    citation = models.CharField("statute, order or other authority", max_length=300)
    document = models.FileField("scan of the document", upload_to="authorities/%Y")
    sha256 = models.CharField(max_length=64)
    valid_until = models.DateField()
    proposed_by = models.ForeignKey(_PERSON, models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(default=clock.now)
    approved_by, approved_at = signed("Commander")

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="override_has_its_authority", condition=~Q(citation="") & ~Q(sha256="") & ~Q(document="")
            ),
            models.CheckConstraint(
                name="override_approver_is_another_person",
                condition=Q(approved_by__isnull=True) | ~Q(approved_by=F("proposed_by")),
            ),
        ]

    def __str__(self) -> str:
        return self.citation

    def live(self, day: date | None = None) -> bool:
        """Whether the Commander approved it and it is in date."""
        return self.approved_at is not None and (day or clock.today()) <= self.valid_until


class ReleaseRequest(Made):
    """One written request, from its receipt to what was handed over."""

    class Kind(models.TextChoices):
        AGENCY = "agency", "law enforcement or prosecutor"
        OTHER = "other", "anybody else: public records request, subpoena, private person"

    class State(models.TextChoices):
        RECEIVED = "received", "received"
        REVIEWED = "reviewed", "reviewed"
        APPROVED = "approved", "approved"
        DENIED = "denied", "denied"
        FULFILLED = "fulfilled", "fulfilled"
        ROUTED = "routed", "with the custodian of records"
        CLOSED = "closed", "closed by the custodian"

    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.AGENCY)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RECEIVED, db_index=True)
    number = models.CharField(max_length=20, unique=True, null=True, editable=False)
    partner = models.ForeignKey(Partner, models.PROTECT, null=True, blank=True, related_name="requests")
    agency = models.CharField("name of the agency", max_length=200)
    person_name = models.CharField("name of the person requesting", max_length=200)
    person_title = models.CharField("title", max_length=200, blank=True)
    person_contact = models.CharField("telephone or e-mail", max_length=200, blank=True)
    requested_by = models.ForeignKey(
        _PERSON,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="if the one who asks has an account here",
    )
    purpose = models.CharField("intended purpose", max_length=64)
    purpose_text = models.CharField("intended purpose, in the request's words", max_length=500)
    case = models.CharField("case number", max_length=64)
    document = models.FileField("the written request", upload_to="requests/%Y")
    document_sha256 = models.CharField(max_length=64)
    received_at = models.DateTimeField("received at")
    due_on = models.DateField("to be answered by", null=True, blank=True)
    registered_by = models.ForeignKey(_PERSON, models.PROTECT, related_name="+")
    registered_at = models.DateTimeField(default=clock.now)
    scope_asked = models.JSONField(default=dict)
    pictures_asked = models.BooleanField("pictures are asked for", default=False)
    reviewed_by, reviewed_at = signed("who reviewed it")
    review_note = models.CharField(max_length=500, blank=True)
    decided_by, decided_at = signed("who decided it")
    decision_reason = models.CharField(max_length=500, blank=True)
    scope_approved = models.JSONField(null=True, blank=True)
    pictures_approved = models.BooleanField(default=False)
    fulfilled_by, fulfilled_at = signed("who fulfilled it")
    closed_by, closed_at = signed("who closed it")
    closing_note = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="release_names_agency_person_purpose",
                condition=~Q(agency="") & ~Q(person_name="") & ~Q(purpose="") & ~Q(purpose_text=""),
            ),
            models.CheckConstraint(
                name="release_has_its_written_request", condition=~Q(document="") & ~Q(document_sha256="")
            ),
            models.CheckConstraint(
                name="release_is_reviewed_and_approved_before_it_is_fulfilled",
                condition=~Q(state__in=["approved", "fulfilled"])
                | Q(
                    kind="agency",
                    partner__isnull=False,
                    reviewed_by__isnull=False,
                    decided_by__isnull=False,
                    scope_approved__isnull=False,
                ),
            ),
            models.CheckConstraint(
                name="release_approver_asked_and_fulfils_nothing",
                condition=Q(decided_by__isnull=True)
                | (
                    ~Q(decided_by=F("registered_by"))
                    & (Q(requested_by__isnull=True) | ~Q(decided_by=F("requested_by")))
                    & (Q(fulfilled_by__isnull=True) | ~Q(decided_by=F("fulfilled_by")))
                ),
            ),
            models.CheckConstraint(
                name="release_fulfilled_is_whole",
                condition=~Q(state="fulfilled")
                | (Q(fulfilled_by__isnull=False) & ~Q(sha256="") & ~Q(file="")),
            ),
            models.CheckConstraint(
                name="release_to_others_has_no_export",
                condition=~Q(kind="other") | Q(state__in=["routed", "closed"], file="", due_on__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.number or f"request {self.pk}"

    @property
    def approved_by(self) -> object:
        """Who decided it: the person whom rights.toml keeps apart from the fulfilment."""
        return self.decided_by

    @property
    def asked(self) -> Scope:
        """The scope that was asked for."""
        return Scope.from_json(self.scope_asked)

    @property
    def approved(self) -> Scope | None:
        """The scope that was approved, None before."""
        return Scope.from_json(self.scope_approved) if self.scope_approved else None


protect(Partner, allow=("approved_by", "approved_at", "ended_by", "ended_at", "ended_why"))
protect(Override, allow=("approved_by", "approved_at"))
protect(
    ReleaseRequest,
    allow=("state", "number"),
    once={
        "reviewed_at": ("reviewed_by", "review_note"),
        "decided_at": ("decided_by", "decision_reason", "scope_approved", "pictures_approved"),
        "fulfilled_at": (*MADE, "fulfilled_by"),
        "closed_at": ("closed_by", "closing_note"),
    },
)
