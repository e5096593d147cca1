"""Records of the register: what is where, who approved it, what ran on it, what was done to it, why there.

A row of work, a reported change, an acceptance is never changed; a device is changed only by versions of
what is accepted (430.2-c). Whether a unit's records are taken is `hq.records.models.Unit.state`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from hq.log.triggers import protect
from hq.records.models import Unit
from hq.site import clock

_PERSON = settings.AUTH_USER_MODEL


def _who(name: str = "", *, null: bool = False) -> models.ForeignKey:  # type: ignore[type-arg]
    return models.ForeignKey(
        _PERSON, models.PROTECT, null=null, blank=null, related_name="+", verbose_name=name or None
    )


class Device(models.Model):
    """What the register says of one unit beside its id and name: one row a unit."""

    class Mount(models.TextChoices):
        FIXED = "fixed", "fixed"
        TRAILER = "trailer", "trailer"
        VEHICLE = "vehicle", "vehicle"

    PLACE: ClassVar = ("serial", "mount", "site", "latitude", "longitude", "heading", "camera")

    unit = models.OneToOneField(Unit, models.PROTECT, primary_key=True, related_name="device")
    serial = models.CharField("serial number", max_length=64)
    mount = models.CharField(max_length=8, choices=Mount.choices, default=Mount.FIXED)
    site = models.CharField("site or trailer", max_length=200)
    latitude = models.FloatField(
        "latitude, degrees", null=True, blank=True, validators=[MinValueValidator(-90), MaxValueValidator(90)]
    )
    longitude = models.FloatField(
        "longitude, degrees",
        null=True,
        blank=True,
        validators=[MinValueValidator(-180), MaxValueValidator(180)],
    )
    heading = models.FloatField(
        "heading, degrees from north",
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(360)],
    )
    camera = models.CharField("camera and lens", max_length=200)
    installed_by = models.CharField("installed by", max_length=128)
    installed_on = models.DateField("installed on")
    document = models.CharField("order or permit", max_length=200, blank=True)
    registered_by = _who("registered by")
    registered_at = models.DateTimeField(default=clock.now)
    proposed_by = _who("last changed by")
    proposed_at = models.DateTimeField(default=clock.now)
    approved_by = _who("approved by", null=True)
    approved_at = models.DateTimeField(null=True, blank=True)
    ended_by = _who("ended by", null=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_why = models.CharField("reason", max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["unit"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="device_is_approved_by_a_second_person",
                condition=Q(approved_at__isnull=True, approved_by__isnull=True)
                | (
                    Q(approved_at__isnull=False, approved_by__isnull=False)
                    & ~Q(approved_by=F("registered_by"))
                    & ~Q(approved_by=F("proposed_by"))
                ),
            ),
            models.CheckConstraint(
                name="device_position_is_whole",
                condition=Q(latitude__isnull=True, longitude__isnull=True)
                | Q(latitude__isnull=False, longitude__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.unit_id} at {self.site}"

    def place(self) -> dict[str, Any]:
        """What an acceptance is about, of what the register says."""
        return {name: getattr(self, name) for name in self.PLACE}


class Acceptance(models.Model):
    """What somebody of authority accepted a unit to be: its place and what runs on it. The last counts."""

    unit = models.ForeignKey(Unit, models.PROTECT, related_name="acceptances")
    place = models.JSONField()
    software = models.CharField(max_length=1000, blank=True)
    config_hash = models.CharField(max_length=1000, blank=True)
    model_hashes = models.JSONField(default=list)
    proposed_by = _who()
    accepted_by = _who()
    accepted_at = models.DateTimeField(default=clock.now)
    reason = models.CharField(max_length=200)

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="acceptance_by_a_second_person", condition=~Q(accepted_by=F("proposed_by"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.unit_id} as accepted {self.accepted_at:%Y-%m-%d}"


class Reported(models.Model):
    """What a unit said runs on it, from when on; a row at each change, of unregistered units too."""

    unit = models.ForeignKey(Unit, models.DO_NOTHING, related_name="reported", db_constraint=False)
    at = models.DateTimeField()
    software = models.CharField(max_length=1000, blank=True)
    config_hash = models.CharField(max_length=1000, blank=True)
    model_hashes = models.JSONField(default=list)

    class Meta:
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"{self.unit_id} {self.software}"


class Work(models.Model):
    """One line of the installation and maintenance log. Never changed: a mistake gets a line of its own."""

    class Kind(models.TextChoices):
        INSTALLATION = "installation", "installation"
        MAINTENANCE = "maintenance", "maintenance"
        REPAIR = "repair", "repair"
        INSPECTION = "inspection", "inspection"
        MOVE = "move", "move or turn"
        SOFTWARE = "software", "software, model or configuration"
        MEDIUM = "medium", "card or stick changed"
        REGISTER = "register", "entry in the register changed"
        REMOVAL = "removal", "removal"

    unit = models.ForeignKey(Unit, models.PROTECT, related_name="work")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    at = models.DateTimeField("done at")
    done_by = models.CharField("done by", max_length=128)
    note = models.CharField("what was done", max_length=1000)
    document = models.CharField("work order", max_length=200, blank=True)
    recorded_by = _who()
    recorded_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering: ClassVar = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.unit_id} {self.kind} {self.at:%Y-%m-%d}"


class Wipe(models.Model):
    """How a unit's card or stick was sanitised and who saw that it was (CJIS MP)."""

    class Method(models.TextChoices):
        OVERWRITTEN = "overwritten", "overwritten"
        ERASED = "erased", "secure erase of the device"
        DESTROYED = "destroyed", "destroyed"

    unit = models.ForeignKey(Unit, models.PROTECT, related_name="wipes")
    medium = models.CharField("kind and serial number of the medium", max_length=200)
    method = models.CharField(max_length=12, choices=Method.choices)
    wiped_by = models.CharField("wiped by", max_length=128)
    wiped_at = models.DateTimeField("wiped at")
    recorded_by = _who()
    recorded_at = models.DateTimeField(default=clock.now)
    witnessed_by = _who("witness", null=True)
    witnessed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="wipe_is_witnessed_by_a_second_person",
                condition=Q(witnessed_by__isnull=True) | ~Q(witnessed_by=F("recorded_by")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.medium} of {self.unit_id}"


class Deployment(models.Model):
    """Units sent to an incident (430.3(c)-1): what for, where, from when to when, at whose request.

    `code` is what a technician may set as `unit.deployment`, which every read then carries; a read belongs to
    a deployment by that code, or by its unit and time.
    """

    class Kind(models.TextChoices):
        HOMICIDE = "homicide", "homicide"
        SHOOTING = "shooting", "shooting"
        MAJOR = "major_incident", "other major incident"
        SCENE = "crime_scene", "crime scene canvass"
        MISSING = "missing_person", "missing person"
        DETAIL = "detail", "planned detail"

    code = models.SlugField(max_length=64, unique=True)
    incident = models.CharField("case or incident number", max_length=64)
    kind = models.CharField("type", max_length=16, choices=Kind.choices)
    area = models.CharField(max_length=300)
    units = models.ManyToManyField(Unit, related_name="deployments")
    requested_by = models.CharField("requested by", max_length=128)
    opened_by = _who()
    opened_at = models.DateTimeField(default=clock.now)
    until = models.DateTimeField("expected to end")
    started_by = _who(null=True)
    started_at = models.DateTimeField(null=True, blank=True)
    stopped_by = _who(null=True)
    stopped_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="deployment_names_incident_and_requester",
                condition=~Q(incident="") & ~Q(requested_by="") & ~Q(area=""),
            ),
            models.CheckConstraint(
                name="deployment_stops_after_it_started",
                condition=Q(stopped_at__isnull=True) | Q(stopped_at__gte=F("started_at")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code}, incident {self.incident}"

    @property
    def state(self) -> str:
        """In one word, for a list."""
        if self.stopped_at is not None:
            return "stopped" if self.started_at is not None else "called off"
        return "running" if self.started_at is not None else "opened"


protect(
    Device,
    allow=[
        f.name for f in Device._meta.local_concrete_fields
        if f.name not in ("unit", "registered_by", "registered_at")
    ],
)  # fmt: skip
protect(Acceptance)
protect(Reported)
protect(Work)
protect(Wipe, allow=("witnessed_by", "witnessed_at"))
protect(
    Deployment,
    allow=("started_by", "started_at", "stopped_by", "stopped_at", "until"),
)
