"""Records of hot lists, hot plates and partial plates, and of what was published to the units.

Owns the rows and what the database itself refuses: a class that can never be on, a version approved by the
person who prepared it, a partial plate without its incident. What may be done with them is the services'
(`versions`, `manual`, `partials`, `publish`).
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q

from hq.lists.classes import ALL, words
from hq.lists.sift import FORMATS, Layout
from hq.log.triggers import protect
from hq.records.models import Hit, Read, Unit
from mqtt.fields import UNIT_REGEX
from plates.diff import Key
from plates.words import AlarmClass
from plates.words import HotListEntry as Line

CLASSES: list[tuple[str, str]] = [(name, words(name)) for name in ALL]
_ALLOWED = Q(alarm_class__in=ALL)
_PEOPLE = settings.AUTH_USER_MODEL


class Rules(models.Model):
    """The agency's own limits, one row a change; the last approved counts, the policy's are the defaults."""

    manual_days = models.PositiveSmallIntegerField(
        "days that a manual entry may last",
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(365)],
    )
    partial_days = models.PositiveSmallIntegerField(
        "days that a partial plate may last",
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(365)],
    )
    partial_share = models.FloatField(
        "largest share of recent reads that a partial plate may match",
        default=0.02,
        validators=[MinValueValidator(0.0001), MaxValueValidator(0.1)],
    )
    recent_days = models.PositiveSmallIntegerField(
        "days of reads that new entries are matched against",
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(365)],
    )
    reason = models.CharField("reason for the change, document", max_length=200)
    proposed_by = models.ForeignKey(_PEOPLE, models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()
    approved_by = models.ForeignKey(_PEOPLE, models.PROTECT, null=True, related_name="+")
    approved_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(approved_by=None) | ~Q(approved_by=F("proposed_by")),
                name="lists_rules_second_person",
            )
        ]

    @classmethod
    def current(cls) -> Rules:
        """The rules in force; the defaults where nobody has set any."""
        approved = cls.objects.filter(approved_at__isnull=False)
        return approved.order_by("-approved_at", "-pk").first() or cls()

    def __str__(self) -> str:
        return "rules of the lists"


class ListGroup(models.Model):
    """A group of units that share one published list; its name is `mqtt.group` in their configuration."""

    name = models.CharField(max_length=64, unique=True, validators=[RegexValidator(f"^{UNIT_REGEX}$")])
    note = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return self.name


class Member(models.Model):
    """Which group's list a unit may ask for; in no group it gets none, as a piece holds listed plates."""

    unit = models.OneToOneField(Unit, models.PROTECT, primary_key=True, related_name="list_member")
    group = models.ForeignKey(ListGroup, models.PROTECT, related_name="members")
    put_by = models.ForeignKey(_PEOPLE, models.PROTECT, null=True, related_name="+")
    put_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["unit"]

    def __str__(self) -> str:
        return f"{self.unit_id} in {self.group.name}"


class HotList(models.Model):
    """One list that is loaded again and again from the same sources.

    `classes` are the alarm classes that it may hold; entries of others are left out. `restricted` masks every
    entry of it for people without the grant, whatever its class (CJIS 4.2.2).
    """

    name = models.CharField(max_length=80, unique=True)
    group = models.ForeignKey(ListGroup, models.PROTECT, related_name="lists")
    classes = models.JSONField(default=list)
    ttl_days = models.PositiveSmallIntegerField(
        "days that a loaded entry matches",
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(30)],
    )
    reload_hours = models.PositiveSmallIntegerField("hours after which it is stale", default=24)
    restricted = models.BooleanField(default=False)
    active = models.BooleanField(default=True)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ttl_days__gte=1, ttl_days__lte=30), name="lists_ttl_of_30_days"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class HotListSource(models.Model):
    """One of a list's files: who keeps it, its layout, and the grant that its detail needs (430.3(e))."""

    DATA: ClassVar = [
        ("department", "department"),
        ("clets", "CLETS / SVS"),
        ("ncic", "NCIC"),
        ("partner", "partner agency"),
    ]

    hot_list = models.ForeignKey(HotList, models.PROTECT, related_name="sources")
    name = models.CharField(max_length=60)
    format = models.CharField(max_length=8, choices=[(name, name.upper()) for name in FORMATS])
    data = models.CharField("whose data", max_length=12, choices=DATA, default="department")
    mapping = models.JSONField(default=dict, blank=True)
    delimiter = models.CharField(max_length=1, default=",")
    alarm_class = models.CharField(max_length=32, choices=CLASSES, blank=True)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["hot_list", "name"], name="lists_source_once"),
            models.CheckConstraint(condition=Q(alarm_class="") | _ALLOWED, name="lists_source_class_allowed"),
        ]

    def __str__(self) -> str:
        return f"{self.hot_list.name}: {self.name}"

    def loaded(self) -> bool:
        """Whether entries or hits tell it by its name."""
        return (
            HotListEntry.objects.filter(source=self).exists() or Hit.objects.filter(source=self.name).exists()
        )

    def layout(self) -> Layout:
        """How its files are read."""
        return Layout(
            source=self.name,
            format=self.format,
            mapping=self.mapping,
            delimiter=self.delimiter,
            alarm_class=self.alarm_class,
            reason=self.reason,
        )


class StandingApproval(models.Model):
    """The Commander's leave, given beforehand, for the daily load of one source within bounds (430.2-d).

    `terms` are the layout, group, classes and days that it was given for. `most_change` is in percent of the
    source's entries in force: what is added, changed and removed together.
    """

    source = models.ForeignKey(HotListSource, models.PROTECT, related_name="standing")
    terms = models.JSONField()
    most_entries = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    most_change = models.PositiveSmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(100)])
    ends_on = models.DateField()
    reason = models.CharField(max_length=200)
    proposed_by = models.ForeignKey(_PEOPLE, models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()
    approved_by = models.ForeignKey(_PEOPLE, models.PROTECT, null=True, blank=True, related_name="+")
    approved_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.ForeignKey(_PEOPLE, models.PROTECT, null=True, blank=True, related_name="+")
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_why = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(approved_by=None) | ~Q(approved_by=F("proposed_by")),
                name="lists_standing_second_person",
            ),
            models.UniqueConstraint(
                fields=["source"],
                condition=Q(approved_at__isnull=False, ended_at=None),
                name="lists_one_standing_in_force",
            ),
        ]

    def __str__(self) -> str:
        return f"standing approval {self.pk}"

    @property
    def imported_by(self) -> models.Model:
        """Who may not approve it, by the name that the table of rights has for them."""
        return self.proposed_by


class HotListVersion(models.Model):
    """One load of a list: from which files, what it changes, who prepared it and who approved it.

    `loading` is invisible; `draft` waits for a second person; `approved` goes out with the next publication;
    `published` is in force; `superseded` was, until the next came; `withdrawn` was taken back.
    """

    STATES: ClassVar = [
        (name, name) for name in ("loading", "draft", "approved", "published", "superseded", "withdrawn")
    ]
    IN_FORCE: ClassVar = ("approved", "published")

    hot_list = models.ForeignKey(HotList, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=STATES, default="loading")
    files = models.JSONField(default=list)
    sha256 = models.CharField(max_length=64, blank=True)
    entry_count = models.PositiveIntegerField(default=0)
    counts = models.JSONField(default=dict)
    left_out = models.JSONField(default=dict)
    bad = models.JSONField(default=list)
    former = models.ForeignKey("self", models.PROTECT, null=True, related_name="+")
    changes = models.JSONField(default=dict)
    warnings = models.JSONField(default=list)
    prepared_by = models.ForeignKey(_PEOPLE, models.PROTECT, related_name="+")
    prepared_at = models.DateTimeField()
    approved_by = models.ForeignKey(_PEOPLE, models.PROTECT, null=True, related_name="+")
    approved_at = models.DateTimeField(null=True)
    standing = models.ManyToManyField(StandingApproval, related_name="versions")
    published_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(_PEOPLE, models.PROTECT, null=True, related_name="+")
    ended_at = models.DateTimeField(null=True)
    why = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering: ClassVar = ["-prepared_at", "-pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["hot_list", "number"], name="lists_version_once"),
            models.UniqueConstraint(
                fields=["hot_list"],
                condition=Q(state__in=("approved", "published")),
                name="lists_one_version_in_force",
            ),
            models.CheckConstraint(
                condition=Q(approved_by=None) | ~Q(approved_by=F("prepared_by")), name="lists_second_person"
            ),
            models.CheckConstraint(
                condition=~Q(state__in=("approved", "published")) | Q(approved_by__isnull=False),
                name="lists_in_force_is_approved",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.hot_list.name} version {self.number}"

    @property
    def imported_by(self) -> models.Model:
        """Who may not approve it, by the name that the table of rights has for them."""
        return self.prepared_by


class HotListEntry(models.Model):
    """One line of a version. Goes when its version is no longer in force (rec 20, 48)."""

    id = models.BigAutoField(primary_key=True)
    version = models.ForeignKey(HotListVersion, models.PROTECT, related_name="entries", db_index=False)
    source = models.ForeignKey(HotListSource, models.PROTECT, related_name="+", db_index=False)
    source_name = models.CharField(max_length=1000)
    plate = models.CharField(max_length=32, db_index=True)
    state = models.CharField(max_length=2, blank=True)
    alarm_class = models.CharField(max_length=32, choices=CLASSES)
    reason = models.CharField(max_length=1000, blank=True)
    case_number = models.CharField(max_length=1000, blank=True)
    expiry = models.DateField()
    priority = models.PositiveSmallIntegerField(default=50)
    partial = models.BooleanField(default=False)
    change = models.CharField(max_length=8, blank=True)

    KEY: ClassVar = ("plate", "state", "alarm_class", "source_name", "case_number")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["version", "plate", "state", "alarm_class", "source_name", "case_number"],
                name="lists_entry_once",
            ),
            models.CheckConstraint(condition=_ALLOWED, name="lists_entry_class_allowed"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["version", "change"], condition=~Q(change=""), name="lists_entry_change")
        ]

    def __str__(self) -> str:
        return f"entry {self.pk}"

    @property
    def key(self) -> Key:
        """What makes it the same entry in another version (`plates.diff.key_of`)."""
        return (self.plate, self.state, self.alarm_class, self.source_name, self.case_number)

    def value(self) -> Line:
        """The entry as `plates` knows it."""
        return Line(
            plate=self.plate,
            state=self.state,
            alarm_class=AlarmClass(self.alarm_class),
            reason=self.reason,
            source=self.source_name,
            case_number=self.case_number,
            expiry=self.expiry.isoformat(),
            priority=self.priority,
            partial=self.partial,
        )


class Entered(models.Model):
    """What a hot plate and a partial plate have in common: entered by a person for a case, for a time."""

    group = models.ForeignKey(ListGroup, models.PROTECT, related_name="+")
    state = models.CharField(
        "issuing state", max_length=2, blank=True, validators=[RegexValidator("^[A-Z]{2}$", "two letters")]
    )
    reason = models.CharField(max_length=300)
    case_number = models.CharField("case or incident number", max_length=64)
    expiry = models.DateField("last day on which it matches")
    entered_by = models.ForeignKey(_PEOPLE, models.PROTECT, related_name="+")
    entered_at = models.DateTimeField()
    withdrawn_by = models.ForeignKey(_PEOPLE, models.PROTECT, null=True, related_name="+")
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_why = models.CharField(max_length=300, blank=True)

    class Meta:
        abstract = True

    def live(self, today: date) -> bool:
        """Whether it is on the list that day."""
        return self.withdrawn_at is None and self.expiry >= today

    def value(self) -> Line:
        """The entry as `plates` knows it."""
        raise NotImplementedError


class ManualEntry(Entered):
    """A hot plate that a person put on the list."""

    plate = models.CharField(max_length=10)
    alarm_class = models.CharField(max_length=32, choices=CLASSES)
    priority = models.PositiveSmallIntegerField(default=50, validators=[MaxValueValidator(100)])

    class Meta:
        ordering: ClassVar = ["-entered_at", "-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=_ALLOWED, name="lists_manual_class_allowed"),
            models.CheckConstraint(condition=~Q(case_number=""), name="lists_manual_has_a_case"),
        ]

    def __str__(self) -> str:
        return f"manual entry {self.pk}"

    def value(self) -> Line:
        """The entry as `plates` knows it."""
        return Line(
            plate=self.plate,
            state=self.state,
            alarm_class=AlarmClass(self.alarm_class),
            reason=self.reason,
            source="manual",
            case_number=self.case_number,
            expiry=self.expiry.isoformat(),
            priority=self.priority,
        )


class PartialPlate(Entered):
    """What a witness remembers of a plate at a major incident (430.3(c)).

    `seen_from`, `seen_until` and the circle (centre in degrees, `radius_m` in metres) bound what it is
    matched against at HQ; the units match by the pattern alone. `matched` of `of_reads` recent reads is the
    estimate that was shown before it was entered, `share` what it was judged by.
    """

    pattern = models.CharField(max_length=10)
    make = models.CharField(max_length=40, blank=True)
    colour = models.CharField(max_length=40, blank=True)
    body = models.CharField("body style", max_length=40, blank=True)
    seen_from = models.DateTimeField(null=True, blank=True)
    seen_until = models.DateTimeField(null=True, blank=True)
    latitude = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(-90), MaxValueValidator(90)]
    )
    longitude = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(-180), MaxValueValidator(180)]
    )
    radius_m = models.PositiveIntegerField("radius in metres", null=True, blank=True)
    matched = models.PositiveIntegerField()
    of_reads = models.PositiveIntegerField()
    share = models.FloatField()

    class Meta:
        ordering: ClassVar = ["-entered_at", "-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(case_number=""), name="lists_partial_has_an_incident"),
        ]

    def __str__(self) -> str:
        return f"partial plate {self.pk}"

    def value(self) -> Line:
        """As a hot plate's; the vehicle's hints stand in its reason."""
        hints = " ".join(filter(None, (self.colour, self.make, self.body)))
        return Line(
            plate=self.pattern,
            state=self.state,
            alarm_class=AlarmClass.MAJOR_INCIDENT_PARTIAL,
            reason=f"{self.reason} ({hints})" if hints else self.reason,
            source="partial plate",
            case_number=self.case_number,
            expiry=self.expiry.isoformat(),
            partial=True,
        )


class Piece(models.Model):
    """A piece of a published list, by its hash: compressed entries, as units get them before sealing."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    data = models.BinaryField()

    def __str__(self) -> str:
        return self.sha256


class Publication(models.Model):
    """What a group of units was told to have in force, and of which versions and entries it was made."""

    group = models.ForeignKey(ListGroup, models.PROTECT, related_name="publications")
    version = models.CharField(max_length=40, unique=True)
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    entry_count = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    inputs = models.CharField(max_length=64)
    made_of = models.JSONField(default=list)
    manifest = models.TextField()

    class Meta:
        ordering: ClassVar = ["-issued_at"]

    def __str__(self) -> str:
        return f"{self.group.name} {self.version}"


class UnitListState(models.Model):
    """Which list an enrolled unit has in force, by its last status that told one, and when it asked last."""

    unit = models.OneToOneField(Unit, models.PROTECT, primary_key=True, related_name="list_state")
    group = models.ForeignKey(ListGroup, models.SET_NULL, null=True, related_name="units")
    version = models.CharField(max_length=1000, blank=True)
    entry_count = models.PositiveBigIntegerField(default=0)
    age_s = models.FloatField(null=True)
    reported_at = models.DateTimeField(null=True)
    asked_at = models.DateTimeField(null=True)
    fault = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering: ClassVar = ["unit"]

    def __str__(self) -> str:
        return self.unit_id


class RetroRun(models.Model):
    """A search of stored reads for new entries: what was matched against how many reads, for which case."""

    KINDS: ClassVar = [("manual", "manual entry"), ("partial", "partial plate"), ("version", "list version")]

    kind = models.CharField(max_length=8, choices=KINDS)
    manual = models.ForeignKey(ManualEntry, models.PROTECT, null=True, related_name="runs")
    partial = models.ForeignKey(PartialPlate, models.PROTECT, null=True, related_name="runs")
    version = models.ForeignKey(HotListVersion, models.PROTECT, null=True, related_name="runs")
    since = models.DateTimeField()
    searched = models.PositiveBigIntegerField()
    found = models.PositiveBigIntegerField()
    by = models.ForeignKey(_PEOPLE, models.PROTECT, related_name="+")
    at = models.DateTimeField()
    purpose = models.CharField(max_length=64)
    case_number = models.CharField(max_length=64)

    class Meta:
        ordering: ClassVar = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.kind} run {self.pk}"


class RetroMatch(models.Model):
    """A stored read that fits a new entry: a lead, never exact for a partial plate (430.3(c))."""

    run = models.ForeignKey(RetroRun, models.CASCADE, related_name="matches")
    read = models.ForeignKey(Read, models.DO_NOTHING, related_name="+", db_constraint=False)
    kind = models.CharField(max_length=10)
    score = models.FloatField()

    class Meta:
        ordering: ClassVar = ["-score", "pk"]

    def __str__(self) -> str:
        return f"match {self.pk}"


class Upload(models.Model):
    """A file that waits: for its mapping to be checked, then for the loader; gone once it is loaded.

    Its bytes are in a file of its own under `loading.folder()`, by this id.
    """

    STATES: ClassVar = [("preview", "to be checked"), ("waiting", "to be loaded"), ("failed", "refused")]

    id = models.UUIDField(primary_key=True, editable=False)
    source = models.ForeignKey(HotListSource, models.PROTECT, related_name="uploads")
    file_name = models.CharField(max_length=200)
    size = models.PositiveBigIntegerField()
    state = models.CharField(max_length=8, choices=STATES, default="preview")
    fault = models.CharField(max_length=500, blank=True)
    by = models.ForeignKey(_PEOPLE, models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["at", "pk"]

    def __str__(self) -> str:
        return str(self.pk)


protect(Rules, allow=("approved_by", "approved_at"))
protect(Publication)
protect(StandingApproval, allow=("approved_by", "approved_at", "ended_by", "ended_at", "ended_why"))
protect(ManualEntry, allow=("withdrawn_by", "withdrawn_at", "withdrawn_why"))
protect(PartialPlate, allow=("withdrawn_by", "withdrawn_at", "withdrawn_why"))
