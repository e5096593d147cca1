"""Records of what people did about a hit, and of the texts that they corrected.

Owns the rows and what the database itself refuses about them. Every row is written once and never changed; a
later one of its kind counts instead. They go with their read when it is destroyed, and not before. A hit is
`records.Hit`; what may be done about one is `hq.hits.review`'s.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from hq.log.triggers import protect
from hq.records.models import Hit, Read
from hq.retention import floor


class Act(models.Model):
    """Something that a person did about a hit."""

    hit = models.ForeignKey(Hit, models.DO_NOTHING, related_name="%(class)ss", db_constraint=False)
    read = models.ForeignKey(Read, models.CASCADE, related_name="+", db_constraint=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        abstract = True
        ordering: ClassVar = ["pk"]

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {self.pk}"


class Acknowledgement(Act):
    """Somebody has seen the alarm. It says nothing about the hit."""

    class Meta(Act.Meta):
        constraints: ClassVar = [models.UniqueConstraint(fields=["hit"], name="hit_acknowledged_once")]


class Visual(Act):
    """Step 1 of the verification: plate, state and vehicle compared by eye with the entry (430.3(f))."""

    class Plate(models.TextChoices):
        AGREES = "agrees", "the plate in the picture is the listed plate"
        DIFFERS = "differs", "the plate in the picture is another one"
        UNCLEAR = "unclear", "the plate cannot be told from the picture"

    class Other(models.TextChoices):
        AGREES = "agrees", "agrees"
        DIFFERS = "differs", "differs"
        UNCLEAR = "unclear", "cannot be told"
        NOT_LISTED = "not_listed", "the list does not say"

    revision = models.BigIntegerField(help_text="of the read that was looked at")
    plate = models.CharField(max_length=10, choices=Plate.choices)
    read_as = models.CharField("the plate as you read it", max_length=32, blank=True)
    state = models.CharField("state", max_length=10, choices=Other.choices)
    vehicle = models.CharField("make, colour, body", max_length=10, choices=Other.choices)
    seen = models.CharField("vehicle as you see it", max_length=120, blank=True)
    note = models.CharField("note", max_length=300, blank=True)

    class Meta(Act.Meta):
        constraints: ClassVar = [
            models.CheckConstraint(
                name="visual_that_differs_says_what_it_reads",
                condition=~Q(plate="differs") | ~Q(read_as=""),
            )
        ]


class Clets(Act):
    """Step 2: what CLETS answered, as the person who asked says. HQ itself never touches CLETS."""

    class Result(models.TextChoices):
        CONFIRMED = "confirmed", "CONFIRMED"
        NOT_FOUND = "not_found", "NOT FOUND"
        CANCELLED = "cancelled", "CANCELLED"
        NOT_PRACTICABLE = "not_practicable", "NOT PRACTICABLE"

    visual = models.ForeignKey(Visual, models.CASCADE, related_name="+")
    result = models.CharField(max_length=16, choices=Result.choices)
    reason = models.CharField("why it was not practicable", max_length=300, blank=True)
    operator = models.CharField("who ran the query", max_length=128)
    answered_at = models.DateTimeField("when it answered")

    class Meta(Act.Meta):
        verbose_name_plural = "clets"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="clets_not_practicable_has_a_reason",
                condition=~Q(result="not_practicable") | ~Q(reason=""),
            )
        ]


class Outcome(Act):
    """How a hit ended. `acted_on` needs the hit's own step 2: here, and by a trigger (`hq.hits.guard`)."""

    class Kind(models.TextChoices):
        ACTED_ON = "acted_on", "acted on"
        NO_ACTION = "no_action", "no action taken"
        GONE = "gone", "vehicle gone before it could be checked"
        WRONG = "wrong", "not the listed plate: misread or look-alike"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    clets = models.ForeignKey(Clets, models.CASCADE, null=True, related_name="+")
    note = models.CharField(max_length=300, blank=True)

    class Meta(Act.Meta):
        constraints: ClassVar = [
            models.CheckConstraint(
                name="outcome_acted_on_names_step_two",
                condition=~Q(kind="acted_on") | Q(clets__isnull=False),
            )
        ]


class Correction(models.Model):
    """The right text of a misread (CC-51b2F). The read keeps the text that was read.

    `original` is that text, `revision` the revision it stood in; `key` and `lookalike` are of `corrected`, as
    the read's own are of its text, so that a search can find it by either.
    """

    read = models.ForeignKey(Read, models.CASCADE, related_name="corrections", db_constraint=False)
    revision = models.BigIntegerField()
    original = models.CharField(max_length=32)
    corrected = models.CharField("corrected text", max_length=32)
    key = models.CharField(max_length=32, db_index=True)
    lookalike = models.CharField(max_length=32, db_index=True)
    why = models.CharField("why", max_length=300)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="correction_says_why", condition=~Q(why="") & ~Q(corrected="") & ~Q(original="")
            )
        ]

    def __str__(self) -> str:
        return f"correction {self.pk}"


PERMANENT = (Acknowledgement, Visual, Clets, Outcome, Correction)

for model in PERMANENT:
    protect(model, delete_when=floor.when("OLD.read_id"))
