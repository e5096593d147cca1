"""Records of the access log: append-only, hash-chained.

Owns the rows and nothing else: `hq.log.chain` writes and verifies them, `hq.log.triggers` keeps them from
change, `hq.log.floor` says which may go one day.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from hq.log.triggers import protect
from hq.site import clock


class AccessRecord(models.Model):
    """Who saw or did what, when, why: Civil Code 1798.90.52(a), CJIS AU-3.

    Name, title and agency are copies, for the record must say who the person was then.
    """

    OUTCOMES: ClassVar = [("done", "done"), ("refused", "refused"), ("failed", "failed")]

    sequence = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(db_index=True)
    kind = models.CharField(max_length=32)
    action = models.CharField(max_length=64, db_index=True)
    outcome = models.CharField(max_length=8, choices=OUTCOMES)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="access_records"
    )
    username = models.CharField(max_length=64)
    name = models.CharField(max_length=128)
    title = models.CharField(max_length=128)
    agency = models.CharField(max_length=128)
    on_behalf_of = models.CharField(max_length=128)
    purpose = models.CharField(max_length=64)
    case = models.CharField(max_length=64)
    elements = models.JSONField(default=dict)
    result_count = models.BigIntegerField(null=True, blank=True)
    ids = models.JSONField(default=list)
    note = models.CharField(max_length=500)
    session = models.CharField(max_length=16)
    client = models.CharField(max_length=45)
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering: ClassVar = ["-sequence"]
        indexes: ClassVar = [models.Index(fields=["username", "sequence"], name="log_by_name")]

    def __str__(self) -> str:
        return f"{self.sequence} {self.action} {self.outcome}"


class ChainHead(models.Model):
    """The chain's last row, alone in its table: writers queue for its lock, so that the chain cannot fork."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    sequence = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.sequence} {self.hash}"


class SignedHead(models.Model):
    """A head that was signed and exported: what later versions of the log must still contain."""

    at = models.DateTimeField()
    sequence = models.BigIntegerField()
    hash = models.CharField(max_length=64)
    signature = models.TextField()

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.sequence} {self.hash}"


class Removal(models.Model):
    """A proposed removal of old rows, as a destruction of reads is: by three persons, under an authority.

    Its ranges can only shrink: what was kept when it was proposed stays, what is held since stays too.
    """

    class State(models.TextChoices):
        PROPOSED = "proposed", "proposed"
        COSIGNED = "cosigned", "co-signed"
        DONE = "done", "done"
        REFUSED = "refused", "refused"
        WITHDRAWN = "withdrawn", "withdrawn"

    OPEN: ClassVar = (State.PROPOSED, State.COSIGNED)

    schedule = models.ForeignKey("retention.Schedule", models.PROTECT, related_name="log_removals")
    authority = models.ForeignKey("retention.Authority", models.PROTECT, related_name="log_removals")
    state = models.CharField(max_length=10, choices=State.choices, default=State.PROPOSED)
    before = models.DateTimeField("rows written before")
    ranges = models.JSONField("first and last row of each range", default=list)
    rows = models.BigIntegerField()
    kept = models.BigIntegerField("older rows that are kept")
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(default=clock.now)
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    approved_at = models.DateTimeField(null=True)
    cosigned_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    cosigned_at = models.DateTimeField(null=True)
    statement = models.CharField("what the custodian signs", max_length=300, blank=True)
    refused_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    refused_at = models.DateTimeField(null=True)
    refused_why = models.CharField(max_length=300, blank=True)
    done_at = models.DateTimeField(null=True)
    run_by = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="log_removal_is_signed_twice",
                condition=~Q(state__in=["cosigned", "done"])
                | Q(approved_by__isnull=False, cosigned_by__isnull=False),
            ),
            models.CheckConstraint(
                name="log_removal_signers_are_three_persons",
                condition=(Q(approved_by__isnull=True) | ~Q(approved_by=F("proposed_by")))
                & (
                    Q(cosigned_by__isnull=True)
                    | (~Q(cosigned_by=F("proposed_by")) & ~Q(cosigned_by=F("approved_by")))
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"removal {self.pk}: {self.rows} rows of the access log"


class Removed(models.Model):
    """Stands in the chain for removed rows: the hash before the first of them and the last one's, signed."""

    removal = models.ForeignKey(Removal, models.PROTECT, related_name="anchors")
    first = models.BigIntegerField(unique=True)
    last = models.BigIntegerField(unique=True)
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)
    at = models.DateTimeField(default=clock.now)
    signature = models.TextField()

    class Meta:
        ordering: ClassVar = ["first"]
        constraints: ClassVar = [
            models.CheckConstraint(name="log_removed_range_is_whole", condition=Q(last__gte=F("first")))
        ]

    def __str__(self) -> str:
        return f"rows {self.first} to {self.last}"


protect(SignedHead)
protect(ChainHead, allow=("sequence", "hash"))
protect(Removed)
protect(
    Removal,
    allow=(
        "state",
        "approved_by",
        "approved_at",
        "cosigned_by",
        "cosigned_at",
        "statement",
        "refused_by",
        "refused_at",
        "refused_why",
        "done_at",
        "run_by",
    ),
)
