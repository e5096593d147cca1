"""Records of accounts, appointments, grants and training. Who may do what with them: `hq.people.policy`.

Nothing here is ever deleted: an account is closed, an appointment ended, a grant revoked (430.2-d, AU-11).
"""

from __future__ import annotations

from binascii import unhexlify
from datetime import date
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django_otp.plugins.otp_totp.models import TOTPDevice

from hq.log.triggers import protect
from hq.people import sealing
from hq.site import clock


class Role(models.TextChoices):
    """What an appointment makes of a person; the first ten are the columns of rights.toml."""

    COMMANDER = "commander", "Commander"
    ADMINISTRATOR = "administrator", "ALPR administrator"
    CUSTODIAN = "custodian", "Custodian of Records"
    TRAINING_SERGEANT = "training_sergeant", "Training Sergeant"
    AUDITOR = "auditor", "Auditor"
    INVESTIGATOR = "investigator", "Investigator"
    OFFICER = "officer", "Officer"
    DISPATCHER = "dispatcher", "Dispatcher"
    RECORDS_CLERK = "records_clerk", "Records clerk"
    TECHNICIAN = "technician", "Technician"
    OVERSEER = "overseer", "ALPR overseer (430.2.1(e))"
    DESIGNEE = "designee", "Commander's designee"


OFFICES = frozenset(
    (
        Role.COMMANDER,
        Role.ADMINISTRATOR,
        Role.CUSTODIAN,
        Role.TRAINING_SERGEANT,
        Role.AUDITOR,
        Role.OVERSEER,
        Role.DESIGNEE,
    )
)


class PersonManager(BaseUserManager["Person"]):
    """Accounts are made by `hq.people.accounts`; this only looks them up."""

    def get_by_natural_key(self, username: str | None) -> Person:
        return self.get(username__iexact=username)


class Person(AbstractBaseUser):
    """One named person with one account (430.5(a)): a member of the department or a contractor."""

    class Kind(models.TextChoices):
        MEMBER = "member", "member"
        CONTRACTOR = "contractor", "contractor"

    class State(models.TextChoices):
        PROPOSED = "proposed", "proposed"
        ACTIVE = "active", "active"
        SUSPENDED = "suspended", "suspended"
        CLOSED = "closed", "closed"

    USERNAME_FIELD = "username"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["full_name", "title", "agency"]

    username = models.CharField(
        max_length=64,
        unique=True,
        validators=[
            RegexValidator(r"^[a-z0-9][a-z0-9._-]*\Z", "small letters, digits, dot, dash and underscore")
        ],
    )
    full_name = models.CharField(max_length=128)
    title = models.CharField("job title or designation", max_length=128)
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.MEMBER)
    employer = models.CharField(max_length=128, blank=True)
    ends_on = models.DateField("last day", null=True, blank=True)
    agency = models.CharField(max_length=128)
    badge = models.CharField(max_length=32, blank=True)
    email = models.EmailField("e-mail for notices", blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.PROPOSED)
    state_reason = models.CharField(max_length=200, blank=True)
    state_at = models.DateTimeField(default=clock.now)
    proposed_by = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="+")
    proposed_at = models.DateTimeField(default=clock.now)
    approved_by = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="+")
    approved_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField("last used", null=True, blank=True)
    password_at = models.DateTimeField(null=True, blank=True)
    password_once = models.BooleanField("password must be changed at log-in", default=True)
    retrain_from = models.DateTimeField("training must be newer than", null=True, blank=True)
    session_key = models.CharField(max_length=40, blank=True)

    objects = PersonManager()

    class Meta:
        ordering: ClassVar = ["full_name"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="contractor_has_employer_and_last_day",
                condition=Q(kind="member") | (~Q(employer="") & Q(ends_on__isnull=False)),
            ),
            models.CheckConstraint(
                name="person_has_name_title_agency", condition=~Q(full_name="") & ~Q(title="") & ~Q(agency="")
            ),
            models.CheckConstraint(
                name="account_not_approved_by_its_proposer",
                condition=Q(approved_by__isnull=True)
                | Q(proposed_by__isnull=True)
                | ~Q(approved_by=F("proposed_by")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.full_name}, {self.title}"

    @property
    def is_active(self) -> bool:  # type: ignore[override]
        """Django asks this at every request: a suspended or ended account is out at once (AC-2)."""
        return self.state == self.State.ACTIVE and (self.ends_on is None or clock.today() <= self.ends_on)

    def must_retake(self, done: Completion) -> bool:
        """Whether a suspension came after that training, which then no longer counts (2019-118 rec. 11).

        Nor does training from before it of which the sign-off sheet is entered later.
        """
        again = self.retrain_from
        return again is not None and (done.entered_at <= again or done.completed_on < clock.day_of(again))

    def appointments_now(self, day: date | None = None) -> list[Appointment]:
        """The live appointments on a day, today by default."""
        day = day or clock.today()
        return [a for a in self.appointments.all() if a.live(day)]

    def roles(self) -> list[str]:
        """The codes of the roles held today."""
        return sorted({a.role for a in self.appointments_now()})


class Authenticator(TOTPDevice):  # type: ignore[misc]
    """A person's second factor (IA-2), whose secret lies in the database sealed only, for this person."""

    key: str

    class Meta:
        proxy = True

    @property
    def bin_key(self) -> bytes:
        """The secret, which the library asks for; raises sealing.SealBroken."""
        return sealing.unseal(self.key, self._owner)

    @property
    def sealed_now(self) -> bool:
        """Whether the secret is sealed under the present key."""
        return sealing.is_current(self.key, self._owner)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Seal a secret that is new, as the library makes it: hexadecimal."""
        if not sealing.is_sealed(self.key):
            self.key = sealing.seal(unhexlify(self.key), self._owner)
        super().save(*args, **kwargs)

    def seal_anew(self) -> None:
        """Seal under the present key what was sealed under an older one; raises sealing.SealBroken."""
        self.key = sealing.seal(self.bin_key, self._owner)
        self.save(update_fields=["key"])

    @property
    def _owner(self) -> str:
        return owner_of(self.user_id)


def owner_of(person_id: int) -> str:
    """Whom a sealed secret is bound to: a row copied to another person opens nothing."""
    return f"person {person_id}"


class Delegated(models.Model):
    """What two persons give a third for a time: proposed, approved, ended."""

    starts_on = models.DateField(default=clock.today)
    ends_on = models.DateField("last day", null=True, blank=True)
    document = models.CharField("document reference", max_length=200)
    note = models.CharField(max_length=200, blank=True)
    proposed_by = models.ForeignKey(Person, models.PROTECT, null=True, blank=True, related_name="+")
    proposed_at = models.DateTimeField(default=clock.now)
    approved_by = models.ForeignKey(Person, models.PROTECT, null=True, blank=True, related_name="+")
    approved_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.ForeignKey(Person, models.PROTECT, null=True, blank=True, related_name="+")
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_why = models.CharField("reason of the end", max_length=200, blank=True)

    class Meta:
        abstract = True

    def live(self, day: date | None = None) -> bool:
        """Whether it holds on a day, today by default."""
        day = day or clock.today()
        return (
            self.approved_at is not None
            and self.ended_at is None
            and self.starts_on <= day
            and (self.ends_on is None or day <= self.ends_on)
        )

    @property
    def state(self) -> str:
        """In one word, for a list."""
        if self.ended_at is not None:
            return "ended"
        if self.approved_at is None:
            return "proposed"
        if self.live():
            return "in force"
        return "to come" if self.starts_on > clock.today() else "run out"


class Appointment(Delegated):
    """Who holds which role, from when to when, by whom, on which document (430.2-e, 430.2.1(e)).

    A designee holds the Commander's named rights only: actions of rights.toml.
    """

    person = models.ForeignKey(Person, models.PROTECT, related_name="appointments")
    role = models.CharField(max_length=24, choices=Role.choices)
    rights = models.JSONField(default=list, blank=True)

    class Meta:
        ordering: ClassVar = ["-proposed_at"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="nobody_appoints_themselves",
                condition=Q(approved_by__isnull=True) | ~Q(approved_by=F("person")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person}: {self.get_role_display()}"

    @property
    def is_office(self) -> bool:
        """Whether the Commander fills it in person (430.2-e); the other roles are proposed and approved."""
        return self.role in OFFICES


def holders(role: str) -> list[Person]:
    """Who holds a role today, in the order of appointment."""
    found = Appointment.objects.filter(role=role).select_related("person").order_by("approved_at")
    return [a.person for a in found if a.live() and a.person.is_active]


class Grant(Delegated):
    """Leave to see data that a role alone does not open (430.3(e))."""

    class Code(models.TextChoices):
        DEPT_READS = "dept_reads", "department reads"
        WIDE_SEARCH = "wide_search", "reads beyond the own shift and 24 hours"
        CLETS = "clets", "CLETS and SVS list data"
        NCIC = "ncic", "NCIC list data"
        RESTRICTED = "restricted", "restricted lists"
        PARTNER = "partner", "partner agencies' data"

    person = models.ForeignKey(Person, models.PROTECT, related_name="grants")
    code = models.CharField(max_length=16, choices=Code.choices)

    class Meta:
        ordering: ClassVar = ["-proposed_at"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="nobody_grants_themselves",
                condition=Q(approved_by__isnull=True)
                | (
                    ~Q(approved_by=F("person"))
                    & (Q(proposed_by__isnull=True) | ~Q(approved_by=F("proposed_by")))
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person}: {self.get_code_display()}"


class LastDay(Delegated):
    """Another last day for an account, as when a contract is prolonged or cut short (430.2.1(a)).

    Once it is approved the account's own `ends_on` says it; the row stays as what was proposed and decided.
    """

    person = models.ForeignKey(Person, models.PROTECT, related_name="last_days")
    was = models.DateField("last day until then")
    ends_on = models.DateField("new last day")
    note = models.CharField("reason", max_length=200)

    class Meta:
        ordering: ClassVar = ["-proposed_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="one_open_last_day",
                fields=["person"],
                condition=Q(approved_at__isnull=True, ended_at__isnull=True),
            ),
            models.CheckConstraint(
                name="nobody_moves_own_last_day",
                condition=Q(approved_by__isnull=True)
                | (
                    ~Q(approved_by=F("person"))
                    & (Q(proposed_by__isnull=True) | ~Q(approved_by=F("proposed_by")))
                ),
            ),
            models.CheckConstraint(name="last_day_has_its_reason", condition=~Q(note="")),
        ]

    def __str__(self) -> str:
        return f"{self.person}: last day {self.ends_on} in place of {self.was}"

    @property
    def state(self) -> str:
        """In one word, for a list."""
        if self.ended_at is not None:
            return "ended"
        return "proposed" if self.approved_at is None else "approved"


class Kiosk(Delegated):
    """A screen that shows the live board while its session is locked; `hq.people.kiosks` says more."""

    class Kind(models.TextChoices):
        DISPATCH = "dispatch", "dispatch, in a physically secure place"
        VEHICLE = "vehicle", "criminal-justice vehicle"
        RECEIVES = "receives", "only receives, in a physically secure place that is staffed"

    kind = models.CharField("exempt as", max_length=16, choices=Kind.choices)
    place = models.CharField(max_length=200)
    statement = models.CharField("why only authorised people see it", max_length=500)
    key_hash = models.CharField(max_length=64, blank=True)
    placed_by = models.ForeignKey(Person, models.PROTECT, null=True, blank=True, related_name="+")
    placed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-proposed_at", "-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="kiosk_has_place_statement_last_day",
                condition=~Q(place="") & ~Q(statement="") & Q(ends_on__isnull=False),
            ),
            models.CheckConstraint(
                name="kiosk_not_approved_by_its_proposer",
                condition=Q(approved_by__isnull=True)
                | (Q(proposed_by__isnull=False) & ~Q(approved_by=F("proposed_by"))),
            ),
        ]

    def __str__(self) -> str:
        return self.place


class Departure(models.Model):
    """That somebody left or changed duties, as those who run accounts were told it (CJIS AC-2-h).

    `on` is the last day with the duties and may lie before or after the report.
    """

    class Kind(models.TextChoices):
        LEFT = "left", "left"
        DUTIES = "duties", "changed duties"

    person = models.ForeignKey(Person, models.PROTECT, related_name="departures", verbose_name="who")
    kind = models.CharField("what happened", max_length=8, choices=Kind.choices)
    on = models.DateField("last day with the duties")
    told_by = models.CharField("who said so", max_length=128, blank=True)
    note = models.CharField(max_length=200, blank=True)
    reported_by = models.ForeignKey(Person, models.PROTECT, related_name="+")
    reported_at = models.DateTimeField(default=clock.now)
    seen_to_by = models.ForeignKey(Person, models.PROTECT, null=True, blank=True, related_name="+")
    seen_to_at = models.DateTimeField(null=True, blank=True)
    answer = models.CharField("what was done", max_length=200, blank=True)
    mistaken = models.BooleanField(default=False)

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="one_open_departure_of_a_kind",
                fields=["person", "kind"],
                condition=Q(seen_to_at__isnull=True),
            ),
            models.CheckConstraint(
                name="nobody_sees_to_own_departure",
                condition=Q(seen_to_by__isnull=True) | ~Q(seen_to_by=F("person")),
            ),
            models.CheckConstraint(
                name="departure_seen_to_has_an_answer",
                condition=(Q(seen_to_at__isnull=True) & Q(mistaken=False))
                | (Q(seen_to_at__isnull=False) & ~Q(answer="")),
            ),
        ]

    def __str__(self) -> str:
        return f"notice of leaving {self.pk}"

    @property
    def days_after(self) -> int:
        """How many days after that day it was reported; 0 for one reported in time or ahead."""
        return max(0, (clock.day_of(self.reported_at) - self.on).days)

    @property
    def late(self) -> bool:
        """Whether it was reported more than a day after (AC-2-h)."""
        return not self.mistaken and self.days_after > 1


class Course(models.Model):
    """One version of a department-approved course (430.3(d), 430.6). A new version is a new row."""

    code = models.SlugField(max_length=32)
    version = models.CharField(max_length=16)
    title = models.CharField(max_length=128)
    roles = models.JSONField(default=list, blank=True)
    validity_months = models.PositiveSmallIntegerField(default=12)
    required_from = models.DateField("needed from", default=clock.today)
    retired_on = models.DateField("no longer needed from", null=True, blank=True)
    retired_by = models.ForeignKey(Person, models.PROTECT, null=True, blank=True, related_name="+")
    retired_at = models.DateTimeField(null=True, blank=True)
    retired_why = models.CharField("reason", max_length=200, blank=True)
    document = models.CharField("approval document", max_length=200)
    entered_by = models.ForeignKey(Person, models.PROTECT, null=True, blank=True, related_name="+")
    entered_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering: ClassVar = ["code", "-required_from", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["code", "version"], name="course_version_once"),
            models.CheckConstraint(
                name="course_valid_at_most_a_year",
                condition=Q(validity_months__gte=1, validity_months__lte=12),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} {self.version}"

    @property
    def taken_back(self) -> bool:
        """Whether it was retired before it was ever needed."""
        return self.retired_on is not None and self.retired_on <= self.required_from


class Completion(models.Model):
    """That a person completed a course; permanent."""

    person = models.ForeignKey(Person, models.PROTECT, related_name="completions")
    course = models.ForeignKey(Course, models.PROTECT, related_name="completions")
    completed_on = models.DateField()
    expires_on = models.DateField()
    trainer = models.CharField(max_length=128)
    document = models.CharField("sign-off sheet", max_length=200, blank=True)
    entered_by = models.ForeignKey(Person, models.PROTECT, null=True, blank=True, related_name="+")
    entered_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering: ClassVar = ["-completed_on"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="nobody_certifies_own_training",
                condition=Q(entered_by__isnull=True) | ~Q(entered_by=F("person")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person}: {self.course}"


_ENDING = ("approved_by", "approved_at", "ended_by", "ended_at", "ended_why")
protect(
    Person, allow=[f.name for f in Person._meta.local_concrete_fields if f.name not in ("id", "username")]
)
protect(Appointment, allow=_ENDING)
protect(Grant, allow=_ENDING)
protect(LastDay, allow=_ENDING)
protect(Kiosk, allow=(*_ENDING, "key_hash", "placed_by", "placed_at"))
protect(Departure, once={"seen_to_at": ("seen_to_by", "answer", "mistaken")})
protect(Course, allow=("retired_on",), once={"retired_at": ("retired_by", "retired_why")})
protect(Completion)
