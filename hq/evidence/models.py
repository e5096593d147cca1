"""Records of evidence packages: who asked, who approved, what was made, and where it was booked (430.4-e)."""

from __future__ import annotations

from typing import BinaryIO, ClassVar, cast

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import models
from django.db.models import F, Q

from hq.log.triggers import protect
from hq.retention.models import Hold, signed
from hq.retention.scope import Scope
from hq.site import clock

_PERSON = settings.AUTH_USER_MODEL


class Made(models.Model):
    """The file of a package, and what identifies it."""

    file = models.FileField(blank=True, max_length=200)
    sha256 = models.CharField("SHA-256 of the ZIP", max_length=64, blank=True)
    manifest_sha256 = models.CharField("SHA-256 of its manifest", max_length=64, blank=True)
    public_key = models.CharField("minisign key", max_length=64, blank=True)
    size = models.BigIntegerField("bytes", default=0)
    reads = models.IntegerField(default=0)
    pictures = models.IntegerField(default=0)

    class Meta:
        abstract = True

    @property
    def file_name(self) -> str:
        """Under which it is handed out: by its number, whatever name the storage had free."""
        return f"platewarden-{self}.zip"

    def read_ids(self) -> list[str]:
        """The ids of the reads in its file. Raises bag.Unreadable, a ValueError."""
        # What makes PDFs is loaded where a package is, not by every command.
        from hq.evidence import bag

        try:
            with default_storage.open(str(self.file.name), "rb") as file:
                return bag.read_ids(cast(BinaryIO, file))
        except OSError as error:
            raise bag.Unreadable(f"the package's file cannot be read: {error.strerror}") from error


MADE = ("file", "sha256", "manifest_sha256", "public_key", "size", "reads", "pictures")


class Package(Made):
    """One evidence package, from its request to its place in the property room."""

    class State(models.TextChoices):
        REQUESTED = "requested", "requested"
        APPROVED = "approved", "approved"
        PREPARED = "prepared", "packaged, not booked"
        BOOKED = "booked", "booked"
        REFUSED = "refused", "refused"

    number = models.CharField(max_length=20, unique=True, null=True, editable=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.REQUESTED, db_index=True)
    case = models.CharField("case number", max_length=64)
    purpose = models.CharField(max_length=64)
    reason = models.CharField("what it is evidence of", max_length=500)
    hold = models.ForeignKey(Hold, models.PROTECT, null=True, blank=True, related_name="packages")
    scope_json = models.JSONField(default=dict)
    with_pictures = models.BooleanField(default=True)
    requested_by = models.ForeignKey(_PERSON, models.PROTECT, related_name="+")
    requested_at = models.DateTimeField(default=clock.now)
    approved_by, approved_at = signed("who approved it")
    refused_by, refused_at = signed("who refused it")
    refused_why = models.CharField(max_length=300, blank=True)
    prepared_by, prepared_at = signed("who prepared it")
    medium = models.CharField("kind of medium", max_length=64, blank=True)
    medium_serial = models.CharField("serial number of the medium", max_length=64, blank=True)
    evidence_number = models.CharField("evidence or property number", max_length=64, blank=True)
    booked_where = models.CharField("property room or locker", max_length=128, blank=True)
    booked_name = models.CharField("who booked it", max_length=128, blank=True)
    booked_on = models.DateTimeField("booked at", null=True, blank=True)
    booking_by, booking_at = signed("who recorded the booking")

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="package_has_case_and_reason", condition=~Q(case="") & ~Q(reason="") & ~Q(purpose="")
            ),
            models.CheckConstraint(
                name="package_is_approved_before_it_is_made",
                condition=~Q(state__in=["approved", "prepared", "booked"])
                | Q(approved_by__isnull=False, approved_at__isnull=False),
            ),
            models.CheckConstraint(
                name="package_approver_is_another_person",
                condition=Q(approved_by__isnull=True)
                | (
                    ~Q(approved_by=F("requested_by"))
                    & (Q(prepared_by__isnull=True) | ~Q(approved_by=F("prepared_by")))
                ),
            ),
            models.CheckConstraint(
                name="package_refused_says_by_whom_and_why",
                condition=Q(refused_at__isnull=True, refused_by__isnull=True)
                | (
                    Q(refused_at__isnull=False, refused_by__isnull=False, state="refused")
                    & ~Q(refused_why="")
                    & ~Q(refused_by=F("requested_by"))
                ),
            ),
            models.CheckConstraint(
                name="package_made_is_whole",
                condition=~Q(state__in=["prepared", "booked"])
                | (Q(prepared_by__isnull=False) & ~Q(sha256="") & ~Q(file="")),
            ),
            models.CheckConstraint(
                name="package_booked_is_findable",
                condition=~Q(state="booked")
                | (
                    ~Q(medium_serial="")
                    & ~Q(evidence_number="")
                    & ~Q(booked_name="")
                    & Q(booked_on__isnull=False)
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.number or f"package {self.pk}"

    @property
    def scope(self) -> Scope:
        """What it reaches."""
        return Scope.from_json(self.scope_json)


protect(
    Package,
    allow=(
        *MADE,
        "number",
        "state",
        "approved_by",
        "approved_at",
        "prepared_by",
        "prepared_at",
        "medium",
        "medium_serial",
        "evidence_number",
        "booked_where",
        "booked_name",
        "booked_on",
        "booking_by",
        "booking_at",
    ),
    once={"refused_at": ("refused_by", "refused_why")},
)
