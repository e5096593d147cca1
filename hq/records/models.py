"""Reads, hits, pictures, losses and access records as the units sent them, and how they came to HQ.

Owns the tables and what a row means. Writing them is `hq.records.intake`; the review of a hit, the purge
of a read and the register of units are other apps' business. The fields are those of `mqtt.records` under the
same names, but for a position, which is `lat`, `lon` and `heading` here, and a plate, which is `text` as it
was read.

Some foreign keys carry no constraint in the database: with several subscribers a hit or a picture may be
committed before its read, and a unit may send before anybody has registered it.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from hq.log.triggers import protect

FILE_NAME_LENGTH = 200
_PEOPLE = settings.AUTH_USER_MODEL


class Unit(models.Model):
    """One reader. Only an enrolled one's records are taken; others' go into quarantine (430.2-c)."""

    class State(models.TextChoices):
        PROPOSED = "proposed", "proposed"
        ENROLLED = "enrolled", "enrolled"
        REVOKED = "revoked", "revoked"
        RETIRED = "retired", "retired"

    unit_id = models.CharField(primary_key=True, max_length=64)
    name = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PROPOSED, db_index=True)
    category = models.CharField(max_length=40, default="alpr", help_text="retention category of its reads")
    registered_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name or self.unit_id


class Read(models.Model):
    """The newest revision of one passage; the ones before it are `Revision`s.

    `at` is captured_at, or received_at where the unit's clock was not set: what searches and lists go by.
    `key` is `text` in the form in which plates are compared, `lookalike` the key with look-alikes made one
    (`plates.lookalike.fold`). `purge_after` is the end of the floor, counted from the later of capture and
    receipt (430.4-c).
    """

    id = models.UUIDField(primary_key=True, editable=False)
    unit = models.ForeignKey(Unit, models.PROTECT, related_name="reads", db_index=False)
    store_id = models.CharField(max_length=36)
    sequence = models.BigIntegerField()
    revision = models.BigIntegerField()
    captured_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField()
    at = models.DateTimeField()
    category = models.CharField(max_length=40)
    purge_after = models.DateTimeField()
    text = models.CharField(max_length=32)
    key = models.CharField(max_length=32)
    lookalike = models.CharField(max_length=32)
    confidence = models.FloatField()
    char_confidence = models.JSONField()
    candidates = models.JSONField(help_text="[[text, probability], ...], best first")
    region = models.CharField(max_length=10, blank=True)
    region_confidence = models.FloatField(
        default=0.0, db_default=0.0, help_text="0 where the region is not known"
    )
    flags = models.JSONField()
    lat = models.FloatField(null=True)
    lon = models.FloatField(null=True)
    heading = models.FloatField(null=True)
    deployment = models.CharField(max_length=1000, blank=True)
    camera = models.CharField(max_length=1000)
    clock = models.JSONField()
    box = models.JSONField(help_text="x, y, width, height in pixels of the frame")
    frame_size = models.JSONField(help_text="width, height")
    detection_score = models.FloatField()
    looks = models.BigIntegerField()
    agreeing = models.BigIntegerField()
    parked = models.BooleanField()
    model_hashes = models.JSONField()
    config_hash = models.CharField(max_length=64)
    software = models.CharField(max_length=1000)
    demo = models.BooleanField()
    digest = models.CharField(max_length=64, help_text="SHA-256 of the record as JSON, as it came")

    class Meta:
        indexes = (
            models.Index(fields=("key", "at"), name="read_key"),
            models.Index(fields=("lookalike", "at"), name="read_lookalike"),
            models.Index(fields=("unit", "at"), name="read_unit"),
            models.Index(fields=("at",), name="read_at"),
            models.Index(fields=("purge_after",), name="read_purge"),
            models.Index(fields=("deployment", "at"), name="read_deployment", condition=~Q(deployment="")),
        )

    def __str__(self) -> str:
        return str(self.id)


class Trigram(models.Model):
    """Three adjacent characters of a read's text or of a correction's, with look-alikes made one.

    The rows of one `gram` lie together in the order of time, with all that a search asks first, so that the
    newest reads that fit a pattern, and their number up to a limit, are found in one run through the index,
    however many reads there are: `key` and `lookalike` are the whole text, `at` and `received_at` the read's.
    On SQLite the primary key is the table. `hq.records.trigrams` keeps it.
    """

    pk = models.CompositePrimaryKey("gram", "at", "read", "key", "lookalike", "received_at")
    gram = models.CharField(max_length=3)
    at = models.DateTimeField()
    read = models.ForeignKey(Read, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False)
    key = models.CharField(max_length=32)
    lookalike = models.CharField(max_length=32)
    received_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.read_id)


class Picture(models.Model):
    """One picture of a read. `missing` until its bytes have come and were checked against `sha256`."""

    class Kind(models.TextChoices):
        PLATE = "plate", "plate"
        SCENE = "scene", "scene"

    read = models.ForeignKey(
        Read, models.CASCADE, related_name="pictures", db_constraint=False, db_index=False
    )
    kind = models.CharField(max_length=5, choices=Kind.choices)
    sha256 = models.CharField(max_length=64)
    file = models.FileField(max_length=FILE_NAME_LENGTH, blank=True)
    size = models.BigIntegerField()
    width = models.BigIntegerField(default=0, help_text="0 until its read has come")
    height = models.BigIntegerField(default=0)
    missing = models.BooleanField(default=True)
    current = models.BooleanField(default=True, help_text="named by the newest revision of its read")
    received_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("read", "kind", "sha256"), name="picture_once"),)
        indexes = (
            models.Index(fields=("read",), name="picture_missing", condition=Q(missing=True)),
            # Not db_index, by which PostgreSQL gets a second index for LIKE.
            models.Index(fields=("file",), name="records_picture_file"),
        )

    def __str__(self) -> str:
        return f"{self.kind} of {self.read_id}"


class Hit(models.Model):
    """A read that matches a hot list entry, as the unit said it: a lead, UNVERIFIED (430.3(f)).

    What people make of it is in `hq.hits`. The row is the newest revision; `withdrawn` says that the read as
    revised no longer matches.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    read = models.ForeignKey(Read, models.DO_NOTHING, related_name="hits", db_constraint=False)
    unit = models.ForeignKey(Unit, models.PROTECT, related_name="hits", db_index=False)
    store_id = models.CharField(max_length=36)
    sequence = models.BigIntegerField()
    read_revision = models.BigIntegerField()
    hit_at = models.DateTimeField(null=True, help_text="when the unit found the match")
    received_at = models.DateTimeField()
    kind = models.CharField(max_length=10)
    score = models.FloatField()
    status = models.CharField(max_length=1000)
    withdrawn = models.BooleanField()
    entry_plate = models.CharField(max_length=32)
    entry_state = models.CharField(max_length=1000, blank=True)
    alarm_class = models.CharField(max_length=1000)
    reason = models.CharField(max_length=1000, blank=True)
    source = models.CharField(max_length=1000, blank=True)
    case_number = models.CharField(max_length=1000, blank=True)
    expiry = models.CharField(max_length=10)
    priority = models.SmallIntegerField()
    state_agrees = models.BooleanField(null=True)
    list_version = models.CharField(max_length=1000)
    list_age_s = models.FloatField(null=True)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the record as JSON, as it came")

    class Meta:
        indexes = (
            models.Index(fields=("received_at",), name="hit_received"),
            models.Index(fields=("unit", "received_at"), name="hit_unit"),
        )

    def __str__(self) -> str:
        return str(self.id)


class Revision(models.Model):
    """A revision of a read or hit that a later one took the place of, as it was received. Never changed."""

    kind = models.CharField(max_length=4, choices=(("read", "read"), ("hit", "hit")))
    record = models.UUIDField(help_text="id of the read or hit")
    revision = models.BigIntegerField()
    received_at = models.DateTimeField()
    store_id = models.CharField(max_length=36, default="", db_default="", help_text="empty if not kept")
    sequence = models.BigIntegerField(default=0, db_default=0, help_text="0 if not kept")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the record as JSON, as it came")
    body = models.JSONField(help_text="the record as in mqtt.records")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("record", "kind", "revision"), name="revision_once"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.record} revision {self.revision}"


class Unsealed(models.Model):
    """The reads and hits of one committed batch until a seal holds them: entries of `hq.records.leaves`."""

    entries = models.BinaryField()
    hit_entries = models.BinaryField(null=True, help_text="null: from before hits were sealed")

    class Meta:
        verbose_name_plural = "unsealed"

    def __str__(self) -> str:
        return f"batch {self.pk}"


class Seal(models.Model):
    """The reads and hits of some batches as they came, in the order of their commits. Never changed.

    Its hash is over all of it and the hash of the seal before it: `hq.log.seals`. It keeps the entries of
    what was destroyed since: ids, a number and a hash, from which nobody learns a plate. `hits` is null in a
    seal from before hits were sealed, whose hash is made without them.
    """

    number = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    late = models.BooleanField(help_text="of what came before such was sealed, as it was then")
    first = models.BigIntegerField(help_text="of the batches; 0: of none")
    last = models.BigIntegerField()
    reads = models.IntegerField(help_text="entries, one for each revision")
    entries = models.BinaryField()
    hits = models.IntegerField(null=True, help_text="entries of hits, one for each revision")
    hit_entries = models.BinaryField(null=True)
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering: ClassVar = ["-number"]

    def __str__(self) -> str:
        return f"seal {self.number}: {self.reads} reads"


class Loss(models.Model):
    """What a unit could not keep or send, as it counted it (430.4-b)."""

    unit = models.ForeignKey(Unit, models.PROTECT, related_name="losses", db_index=False)
    store_id = models.CharField(max_length=36)
    sequence = models.BigIntegerField()
    kind = models.CharField(max_length=10)
    count = models.BigIntegerField()
    reason = models.CharField(max_length=1000)
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)
    read = models.ForeignKey(Read, models.DO_NOTHING, null=True, related_name="losses", db_constraint=False)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the record as JSON, as it came")
    received_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("unit", "store_id", "sequence", "digest"), name="loss_once"),
        )
        indexes = (models.Index(fields=("received_at",), name="loss_received"),)

    def __str__(self) -> str:
        return f"{self.count} {self.kind}: {self.reason}"


class AccessReceived(models.Model):
    """Who saw plate text on a unit, as the unit recorded it (430.5(a), CC-52a). Never changed."""

    id = models.UUIDField(primary_key=True, editable=False)
    unit = models.ForeignKey(Unit, models.PROTECT, related_name="accesses", db_index=False)
    store_id = models.CharField(max_length=36)
    sequence = models.BigIntegerField()
    accessed_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField()
    clock = models.JSONField()
    person = models.CharField(max_length=1000)
    title = models.CharField(max_length=1000)
    agency = models.CharField(max_length=1000)
    action = models.CharField(max_length=1000)
    query = models.CharField(max_length=1000, blank=True)
    purpose = models.CharField(max_length=1000)
    case_number = models.CharField(max_length=1000, blank=True)
    results = models.BigIntegerField()
    ids = models.JSONField()
    outcome = models.CharField(max_length=10)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the record as JSON, as it came")

    class Meta:
        indexes = (
            models.Index(fields=("received_at",), name="access_received"),
            models.Index(fields=("unit", "received_at"), name="access_unit"),
        )

    def __str__(self) -> str:
        return str(self.id)


class Series(models.Model):
    """How far the numbers of one unit's store have come: what a receipt is made of.

    `contiguous` is the number up to which everything is committed here, read or in quarantine; `highest` the
    highest that came. The numbers missing between the two are `Gap`s.
    """

    unit = models.ForeignKey(
        Unit, models.DO_NOTHING, related_name="series", db_constraint=False, db_index=False
    )
    store_id = models.CharField(max_length=36)
    contiguous = models.BigIntegerField(default=0)
    highest = models.BigIntegerField(default=0)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("unit", "store_id"), name="series_once"),)
        verbose_name_plural = "series"

    def __str__(self) -> str:
        return f"{self.unit_id} {self.store_id} up to {self.contiguous}"


class Gap(models.Model):
    """A range of numbers, both ends included, that has not come yet; narrowed and removed as it comes.

    Together with `Loss` it is the ledger of what is not here (430.4-b).
    """

    series = models.ForeignKey(Series, models.CASCADE, related_name="gaps", db_index=False)
    first = models.BigIntegerField()
    last = models.BigIntegerField()
    noticed_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("series", "first"), name="gap_once"),)
        indexes = (models.Index(fields=("noticed_at",), name="gap_noticed"),)

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"


class Admission(models.Model):
    """Leave to take in what a unit sent before its enrolment was approved; two persons give it (430.2-c).

    It reaches `messages` quarantined messages, those of the unit that had come by `proposed_at`; `sha256` is
    over their digests in the order of their ids. Each of them is tried once.
    """

    unit = models.ForeignKey(Unit, models.PROTECT, related_name="admissions")
    reason = models.CharField(max_length=300)
    messages = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    proposed_by = models.ForeignKey(_PEOPLE, models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()
    approved_by = models.ForeignKey(_PEOPLE, models.PROTECT, null=True, related_name="+")
    approved_at = models.DateTimeField(null=True)
    declined_by = models.ForeignKey(_PEOPLE, models.PROTECT, null=True, related_name="+")
    declined_at = models.DateTimeField(null=True)
    declined_why = models.CharField(max_length=300, blank=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints = (
            models.CheckConstraint(
                condition=Q(approved_by=None) | ~Q(approved_by=F("proposed_by")),
                name="admission_second_person",
            ),
            models.CheckConstraint(
                condition=Q(done_at=None) | Q(approved_at__isnull=False), name="admission_done_is_approved"
            ),
            models.UniqueConstraint(
                fields=("unit",), condition=Q(done_at=None, declined_at=None), name="admission_one_open"
            ),
        )

    def __str__(self) -> str:
        return f"admission {self.pk}"


class Quarantined(models.Model):
    """A message that was not taken, with its reason; one that comes again is counted.

    A large payload is in `file`, any other in `payload`. `unit_name` is what its topic said, which need not
    be a unit. `admission` is the one that tried it; `admitted_at` is set when it was taken after all, and its
    payload is then where it belongs and no longer here.
    """

    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of topic, NUL and payload")
    topic = models.TextField()
    unit_name = models.CharField(max_length=64, blank=True, db_index=True)
    reason = models.CharField(max_length=1000)
    not_enrolled = models.BooleanField(default=False)
    payload = models.BinaryField()
    file = models.FileField(max_length=FILE_NAME_LENGTH, blank=True)
    size = models.BigIntegerField()
    times = models.BigIntegerField(default=1)
    received_at = models.DateTimeField(db_index=True)
    last_at = models.DateTimeField()
    admitted_at = models.DateTimeField(null=True)
    admission = models.ForeignKey(Admission, models.PROTECT, null=True, related_name="tried")

    class Meta:
        verbose_name_plural = "quarantined"

    def __str__(self) -> str:
        return f"{self.digest[:12]}: {self.reason}"


class Transfer(models.Model):
    """One committed batch: from which units, what, how much, by which way, when (430.4-b). Never changed."""

    class Way(models.TextChoices):
        MQTT = "mqtt", "MQTT"
        MEDIUM = "medium", "card or stick"
        ADMISSION = "admit", "out of quarantine"

    way = models.CharField(max_length=6, choices=Way.choices)
    subscriber = models.CharField(max_length=100, help_text="client id, or the folder that was imported")
    brought_by = models.CharField(max_length=200, blank=True, help_text="who brought the card or stick")
    committed_at = models.DateTimeField(db_index=True)
    messages = models.IntegerField()
    octets = models.BigIntegerField()
    new = models.IntegerField(help_text="records that were not here")
    known = models.IntegerField(help_text="records that had come before")
    quarantined = models.IntegerField()
    units = models.JSONField(help_text='{unit: {"read": 3, ..., "first": 17, "last": 22}}')
    sha256 = models.CharField(max_length=64, help_text="of the payloads' SHA-256s in their order")

    def __str__(self) -> str:
        return f"{self.committed_at}: {self.messages} messages"


class UnitStatus(models.Model):
    """The last heartbeat of a unit, of one that is not registered too."""

    unit = models.OneToOneField(
        Unit, models.DO_NOTHING, primary_key=True, related_name="status", db_constraint=False
    )
    received_at = models.DateTimeField(db_index=True)
    state = models.CharField(max_length=10)
    status_at = models.DateTimeField(null=True)
    software = models.CharField(max_length=1000, blank=True)
    config_hash = models.CharField(max_length=1000, blank=True)
    model_hashes = models.JSONField()
    queue = models.BigIntegerField()
    list_version = models.TextField(blank=True)
    list_age_s = models.FloatField(null=True)
    record = models.JSONField(help_text="the whole status as in mqtt.records")

    class Meta:
        verbose_name_plural = "unit statuses"

    def __str__(self) -> str:
        return f"{self.unit_id} {self.state}"


# How reads, pictures and hits may change or go is the retention schedule's business (`hq.retention`).
protect(AccessReceived)
protect(
    Admission,
    allow=("approved_by", "approved_at", "declined_by", "declined_at", "declined_why", "done_at"),
)
protect(Loss)
protect(Transfer)
protect(Seal)
protect(Unsealed, delete_when="EXISTS (SELECT 1 FROM records_seal s WHERE OLD.id BETWEEN s.first AND s.last)")
