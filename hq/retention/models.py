"""Records of how long what is kept, what is held, what was destroyed and by whose authority.

Owns the rows and what the database itself refuses about them. The floor under reads is in `floor`, what may
be done with these rows in `schedules`, `holds`, `proposals` and `purge`. No row here is ever deleted but a
finished journal's items.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from hq.log.triggers import protect
from hq.records.keeping import FLOOR_DAYS
from hq.records.models import Unit
from hq.retention.scope import Scope, ScopeError, like_of
from hq.site import clock

_PERSON = settings.AUTH_USER_MODEL

RECORD_CATEGORIES = {
    "access_log": 730,
    "release_requests": 730,
    "audit_papers": 730,
    "unit_records": 730,
}
"""Categories of records other than reads, with the least days that they are kept.

HQ deletes none of them but rows of the access log (`hq.log.removal`).
"""


def signed(name: str) -> tuple[models.ForeignKey, models.DateTimeField]:  # type: ignore[type-arg]
    """Who and when, both empty until it has happened."""
    who = models.ForeignKey(
        _PERSON, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=name
    )
    return who, models.DateTimeField(null=True, blank=True)


class Authority(models.Model):
    """A stored, signed document by which records may be destroyed, or kept for less than a year (GC-34090.6).

    It names the council's resolution and the attorney's written consent. A standing one runs out.
    """

    class Kind(models.TextChoices):
        DESTRUCTION = "destruction", "destruction of records after the floor"
        SHORTER = "shorter", "retention below one year"

    kind = models.CharField(max_length=12, choices=Kind.choices)
    title = models.CharField(max_length=200)
    council_resolution = models.CharField("resolution of the legislative body", max_length=200)
    resolution_on = models.DateField("date of the resolution")
    attorney = models.CharField("attorney who consented in writing", max_length=200)
    consent_on = models.DateField("date of the consent")
    signed_by = models.CharField("signed by", max_length=200)
    document = models.FileField("scan of the signed document", upload_to="authorities/%Y")
    sha256 = models.CharField(max_length=64)
    least_days = models.PositiveIntegerField("fewest days that it allows", default=FLOOR_DAYS)
    valid_from = models.DateField(default=clock.today)
    valid_until = models.DateField()
    entered_by = models.ForeignKey(_PERSON, models.PROTECT, related_name="+")
    entered_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering: ClassVar = ["-pk"]
        verbose_name_plural = "authorities"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="authority_names_resolution_and_attorney",
                condition=~Q(council_resolution="") & ~Q(attorney="") & ~Q(signed_by="") & ~Q(sha256=""),
            ),
            models.CheckConstraint(
                name="authority_below_a_year_is_of_that_kind",
                condition=Q(least_days__gte=FLOOR_DAYS) | Q(kind="shorter", least_days__gte=1),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.council_resolution})"

    def live(self, day: date | None = None) -> bool:
        """Whether it holds on a day, today by default."""
        return self.valid_from <= (day or clock.today()) <= self.valid_until


class Schedule(models.Model):
    """One version of how long one category is kept; of one unit's reads, or of all others.

    In force from both signatures on: the Commander's and the custodian's (430.2-d, 430.2.1(f)).
    """

    class State(models.TextChoices):
        PROPOSED = "proposed", "proposed"
        IN_FORCE = "in_force", "in force"
        SUPERSEDED = "superseded", "superseded"
        REFUSED = "refused", "refused"

    category = models.SlugField(max_length=40, default="alpr")
    unit = models.ForeignKey(
        Unit, models.PROTECT, null=True, blank=True, related_name="schedules", verbose_name="source"
    )
    version = models.PositiveIntegerField()
    days = models.PositiveIntegerField("days kept")
    grace_days = models.PositiveIntegerField("days after which keeping longer is an alarm", default=30)
    basis = models.CharField("records schedule or other basis", max_length=300)
    authority = models.ForeignKey(Authority, models.PROTECT, null=True, blank=True, related_name="schedules")
    state = models.CharField(max_length=10, choices=State.choices, default=State.PROPOSED)
    reason = models.CharField(max_length=300)
    proposed_by = models.ForeignKey(_PERSON, models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(default=clock.now)
    approved_by, approved_at = signed("Commander")
    cosigned_by, cosigned_at = signed("custodian")
    in_force_from = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_why = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering: ClassVar = ["category", "unit", "-version"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["category", "unit", "version"], name="schedule_version_once"),
            models.UniqueConstraint(
                fields=["category"],
                condition=Q(state="in_force", unit__isnull=True),
                name="schedule_one_in_force_for_a_category",
            ),
            models.UniqueConstraint(
                fields=["category", "unit"],
                condition=Q(state="in_force"),
                name="schedule_one_in_force_for_a_unit",
            ),
            models.CheckConstraint(
                name="schedule_of_a_year_at_least_or_by_authority",
                condition=Q(days__gte=FLOOR_DAYS) | Q(days__gte=1, authority__isnull=False),
            ),
            models.CheckConstraint(
                name="schedule_in_force_is_signed_twice",
                condition=~Q(state__in=["in_force", "superseded"])
                | Q(approved_by__isnull=False, cosigned_by__isnull=False, in_force_from__isnull=False),
            ),
            models.CheckConstraint(
                name="schedule_signers_are_three_persons",
                condition=(Q(approved_by__isnull=True) | ~Q(approved_by=F("proposed_by")))
                & (
                    Q(cosigned_by__isnull=True)
                    | (~Q(cosigned_by=F("proposed_by")) & ~Q(cosigned_by=F("approved_by")))
                ),
            ),
        ]

    def __str__(self) -> str:
        source = f", {self.unit_id}" if self.unit_id else ""
        return f"{self.category.replace('_', ' ')}{source}, version {self.version}: {self.days} days"


class Hold(models.Model):
    """Keeps reads past their purge date, for as long as it is not released by two persons (430.4-d)."""

    class Kind(models.TextChoices):
        CRIMINAL = "criminal_evidence", "evidence in a criminal action"
        CIVIL = "civil_evidence", "evidence in a civil action or claim"
        BELIEF = "reasonable_belief", "reasonable to believe that it will become evidence"
        DISCOVERY = "discovery", "discovery request"
        PRODUCTION = "production", "public records request or subpoena"
        OTHER = "other", "other lawful action to produce records"

    kind = models.CharField(max_length=20, choices=Kind.choices)
    case = models.CharField("case or claim number", max_length=64)
    requester = models.CharField("who asks for it, with agency", max_length=200)
    requested_by = models.ForeignKey(
        _PERSON,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="if the one who asks has an account here",
    )
    reason = models.CharField(max_length=500)
    placed_by = models.ForeignKey(_PERSON, models.PROTECT, related_name="+")
    placed_at = models.DateTimeField(default=clock.now)
    review_on = models.DateField("to be reviewed on")
    by_scope = models.BooleanField(default=True)
    plate = models.CharField("plate; ? for one character, * for any", max_length=32, blank=True)
    plate_like = models.CharField(max_length=32, blank=True, editable=False)
    unit = models.ForeignKey(Unit, models.PROTECT, null=True, blank=True, related_name="+")
    since = models.DateTimeField(null=True, blank=True)
    until = models.DateTimeField(null=True, blank=True)
    south = models.FloatField(null=True, blank=True)
    west = models.FloatField(null=True, blank=True)
    north = models.FloatField(null=True, blank=True)
    east = models.FloatField(null=True, blank=True)
    release_by, release_asked_at = signed("who asks to release it")
    release_reason = models.CharField(max_length=500, blank=True)
    released_by, released_at = signed("who releases it")

    class Meta:
        ordering: ClassVar = ["review_on"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="hold_has_case_and_reason", condition=~Q(case="") & ~Q(reason="") & ~Q(requester="")
            ),
            models.CheckConstraint(
                name="hold_is_bounded_by_something",
                condition=Q(by_scope=False)
                | ~Q(plate_like="")
                | Q(unit__isnull=False)
                | Q(since__isnull=False)
                | Q(until__isnull=False)
                | Q(south__isnull=False),
            ),
            models.CheckConstraint(
                name="hold_area_is_whole",
                condition=Q(south__isnull=True, west__isnull=True, north__isnull=True, east__isnull=True)
                | Q(south__isnull=False, west__isnull=False, north__isnull=False, east__isnull=False),
            ),
            models.CheckConstraint(
                name="hold_is_released_by_two_persons",
                condition=Q(released_at__isnull=True, released_by__isnull=True)
                | (
                    Q(released_at__isnull=False, released_by__isnull=False, release_by__isnull=False)
                    & ~Q(release_reason="")
                    & ~Q(released_by=F("release_by"))
                    & ~Q(released_by=F("placed_by"))
                    & (Q(requested_by__isnull=True) | ~Q(released_by=F("requested_by")))
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"hold {self.pk}, {self.get_kind_display()}, case {self.case}"

    @property
    def scope(self) -> Scope:
        """What it reaches, besides the reads that it names one by one."""
        return Scope(
            plate=self.plate,
            unit=self.unit_id or "",
            since=self.since,
            until=self.until,
            area=None
            if self.south is None or self.west is None or self.north is None or self.east is None
            else (self.south, self.west, self.north, self.east),
            lookalikes=True,
        )

    @property
    def unreadable(self) -> str:
        """Why its plate pattern cannot be read; "" if it can.

        Only a hold that came past `hq.retention.holds` has such a pattern, or one of which the database
        compares another.
        """
        if not self.by_scope or not self.plate:
            return ""
        try:
            like = like_of(self.plate, lookalikes=True)
        except ScopeError as error:
            return str(error)
        return "" if like == self.plate_like else "plate: the database compares another pattern than this one"

    def save(self, *args: object, **kwargs: object) -> None:
        """The database compares `plate_like`, which is made of `plate` once; neither changes afterwards."""
        if self._state.adding:
            self.plate_like = like_of(self.plate, lookalikes=True) if self.plate else ""
        super().save(*args, **kwargs)  # type: ignore[arg-type]


class HeldRead(models.Model):
    """A read that a hold names by its id."""

    hold = models.ForeignKey(Hold, models.PROTECT, related_name="reads")
    read_id = models.UUIDField(db_index=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["hold", "read_id"], name="held_read_once")]

    def __str__(self) -> str:
        return str(self.read_id)


class HoldReview(models.Model):
    """That somebody looked whether a hold is still needed, and when it is looked at again."""

    hold = models.ForeignKey(Hold, models.PROTECT, related_name="reviews")
    by = models.ForeignKey(_PERSON, models.PROTECT, related_name="+")
    at = models.DateTimeField(default=clock.now)
    finding = models.CharField(max_length=500)
    next_on = models.DateField()

    class Meta:
        ordering: ClassVar = ["-at"]

    def __str__(self) -> str:
        return f"review of hold {self.hold_id}"


class Proposal(models.Model):
    """A proposed destruction: everything of one schedule that was due at one moment, but what is held.

    Its selection can only shrink: what comes later is not due at `due_at`, what was held when it was made is
    left out even if the hold has gone since.
    """

    class State(models.TextChoices):
        PROPOSED = "proposed", "proposed"
        COSIGNED = "cosigned", "co-signed"
        DONE = "done", "done"
        REFUSED = "refused", "refused"
        WITHDRAWN = "withdrawn", "withdrawn"

    OPEN: ClassVar = (State.PROPOSED, State.COSIGNED)

    schedule = models.ForeignKey(Schedule, models.PROTECT, related_name="proposals")
    authority = models.ForeignKey(Authority, models.PROTECT, related_name="proposals")
    state = models.CharField(max_length=10, choices=State.choices, default=State.PROPOSED)
    due_at = models.DateTimeField()
    reads = models.BigIntegerField()
    pictures = models.BigIntegerField()
    octets = models.BigIntegerField()
    held = models.BigIntegerField("due reads that holds keep")
    earliest = models.DateTimeField(null=True)
    latest = models.DateTimeField(null=True)
    ids_sha256 = models.CharField(max_length=64, help_text="of the ids in their order, one a line")
    proposed_by = models.ForeignKey(_PERSON, models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(default=clock.now)
    approved_by, approved_at = signed("Commander")
    cosigned_by, cosigned_at = signed("custodian")
    statement = models.CharField("what the custodian signs", max_length=300, blank=True)
    refused_by, refused_at = signed("who refused or withdrew it")
    refused_why = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="destruction_is_signed_twice",
                condition=~Q(state__in=["cosigned", "done"])
                | Q(approved_by__isnull=False, cosigned_by__isnull=False),
            ),
            models.CheckConstraint(
                name="destruction_signers_are_three_persons",
                condition=(Q(approved_by__isnull=True) | ~Q(approved_by=F("proposed_by")))
                & (
                    Q(cosigned_by__isnull=True)
                    | (~Q(cosigned_by=F("proposed_by")) & ~Q(cosigned_by=F("approved_by")))
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"destruction proposal {self.pk}: {self.reads} reads of {self.schedule}"


class Batch(models.Model):
    """One step of a purge, as its journal: see `hq.retention.purge`.

    With its certificate it proves which reads are lawfully gone from a seal (`hq.log.seals`).
    """

    class State(models.TextChoices):
        MARKED = "marked", "marked: nothing was touched yet, or some files were moved aside"
        MOVED = "moved", "moved: all files are aside"
        DELETED = "deleted", "deleted: the rows are gone"
        DONE = "done", "done: rows and files are gone"
        UNDONE = "undone", "undone: everything is as it was"

    OPEN: ClassVar = (State.MARKED, State.MOVED, State.DELETED)

    proposal = models.ForeignKey(Proposal, models.PROTECT, related_name="batches")
    state = models.CharField(max_length=8, choices=State.choices, default=State.MARKED, db_index=True)
    started_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True)
    reads = models.IntegerField()
    pictures = models.IntegerField(default=0)
    octets = models.BigIntegerField(default=0)
    ids = models.BinaryField(null=True, help_text="of its reads, 16 bytes each, in the order of their hash")
    ids_sha256 = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"batch {self.pk}: {self.reads} reads, {self.state}"


class BatchItem(models.Model):
    """One read of a batch, with the names of its picture files."""

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="items")
    read_id = models.UUIDField(unique=True)
    files = models.JSONField(default=list)

    def __str__(self) -> str:
        return str(self.read_id)


class Destroyed(models.Model):
    """What a batch destroyed of one calendar quarter, counted with its rows: see `hq.retention.destroyed`."""

    batch = models.ForeignKey(Batch, models.PROTECT, related_name="counts")
    starts_on = models.DateField(db_index=True, help_text="first day of the quarter in which HQ received it")
    reads = models.IntegerField()
    classes = models.JSONField(help_text="hits that were not withdrawn, by alarm class")
    outcomes = models.JSONField(help_text="the same hits by their last outcome, empty where there was none")

    class Meta:
        verbose_name_plural = "destroyed"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["batch", "starts_on"], name="destroyed_counted_once")
        ]

    def __str__(self) -> str:
        return f"{self.reads} reads of the quarter from {self.starts_on}"


class DestroyedCopy(models.Model):
    """That HQ's file of a package or release was destroyed with reads in it; its journal too.

    The row comes first: until `at` stands the file may still be there (`hq.retention.copies`).
    """

    proposal = models.ForeignKey(Proposal, models.PROTECT, related_name="copies")
    number = models.CharField("package or release", max_length=20, unique=True)
    file = models.CharField(max_length=200)
    sha256 = models.CharField("SHA-256 of the ZIP", max_length=64)
    reads = models.IntegerField("reads in it")
    gone = models.IntegerField("reads in it that HQ no longer had")
    marked_at = models.DateTimeField(default=clock.now)
    at = models.DateTimeField("destroyed at", null=True)

    def __str__(self) -> str:
        return self.number

    @property
    def under(self) -> str:
        """The certificate, or the proposal whose certificate is still to come."""
        certificate = self.certificate
        return f"certificate {certificate}" if certificate else f"destruction proposal {self.proposal_id}"

    @property
    def certificate(self) -> Certificate | None:
        """The certificate of the purge with which it went."""
        return Certificate.objects.filter(proposal=self.proposal_id).first()


class UnreadableCopy(models.Model):
    """That a purge could not tell which reads are in HQ's file of a package or release, and so left it."""

    proposal = models.ForeignKey(Proposal, models.PROTECT, related_name="+")
    number = models.CharField("package or release", max_length=20, unique=True)
    found_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.number


class Certificate(models.Model):
    """What was destroyed, when, by whose authority and signatures. Permanent; holds no plate."""

    proposal = models.OneToOneField(Proposal, models.PROTECT, related_name="certificate")
    number = models.CharField(max_length=20, unique=True)
    at = models.DateTimeField(default=clock.now)
    reads = models.BigIntegerField()
    pictures = models.BigIntegerField()
    octets = models.BigIntegerField()
    held_since = models.BigIntegerField("kept by holds placed after the proposal")
    ids_sha256 = models.CharField(
        max_length=64, help_text="of the batches' digests in their order, one a line"
    )
    run_by = models.CharField("who ran the purge", max_length=64)
    text = models.TextField()

    class Meta:
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return self.number


protect(Authority)
protect(
    Schedule,
    allow=(
        "state",
        "approved_by",
        "approved_at",
        "cosigned_by",
        "cosigned_at",
        "in_force_from",
        "ended_at",
        "ended_why",
    ),
)
protect(
    Hold,
    allow=("review_on", "release_by", "release_asked_at", "release_reason", "released_by", "released_at"),
)
protect(HeldRead)
protect(HoldReview)
protect(
    Proposal,
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
    ),
)
protect(Batch, allow=("state", "finished_at", "pictures", "octets"))
protect(
    BatchItem,
    delete_when="EXISTS (SELECT 1 FROM retention_batch b "
    "WHERE b.id = OLD.batch_id AND b.state IN ('done', 'undone'))",
)
protect(Destroyed)
protect(DestroyedCopy, once={"at": ()})
protect(UnreadableCopy)
protect(Certificate)
