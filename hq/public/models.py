"""Records of policy texts, figures, publications and checks of the posted page. None is ever changed."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from hq.log.triggers import protect
from hq.site import clock

_PERSON = settings.AUTH_USER_MODEL


class Text(models.Model):
    """What the agency writes into one slot of the policy; the last approved counts."""

    slot = models.SlugField(max_length=32, db_index=True)
    text = models.TextField(max_length=8000)
    prepared_by = models.ForeignKey(_PERSON, models.PROTECT, related_name="+")
    prepared_at = models.DateTimeField(default=clock.now)
    approved_by = models.ForeignKey(_PERSON, models.PROTECT, null=True, blank=True, related_name="+")
    approved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="policy_text_is_approved_by_a_second_person",
                condition=Q(approved_by__isnull=True) | ~Q(approved_by=F("prepared_by")),
            ),
            models.CheckConstraint(name="policy_text_says_something", condition=~Q(text="")),
        ]

    def __str__(self) -> str:
        return f"text {self.pk} of {self.slot}"


class Figures(models.Model):
    """The figures of one calendar quarter, small cells already gone; made once.

    What comes late is not added: the difference of two versions would give away small numbers.
    """

    starts_on = models.DateField(unique=True)
    ends_on = models.DateField()
    tables = models.JSONField()
    made_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering: ClassVar = ["-starts_on"]
        verbose_name_plural = "figures"

    def __str__(self) -> str:
        return f"{self.starts_on} to {self.ends_on}"


class Publication(models.Model):
    """A bundle that was written for the website."""

    at = models.DateTimeField()
    files = models.JSONField(help_text="SHA-256 by file name")
    text_sha256 = models.CharField(max_length=64, help_text="of the policy's visible text")
    gaps = models.JSONField()
    titles = models.JSONField(help_text="job titles that the policy names")

    class Meta:
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"bundle of {self.at:%Y-%m-%d}"


class PostedCheck(models.Model):
    """A comparison of the page on the website with the last bundle (430.2.1(g))."""

    class Outcome(models.TextChoices):
        SAME = "same", "the same file"
        SAME_TEXT = "same_text", "the same text in another page"
        DIFFERS = "differs", "another text"
        UNREACHABLE = "unreachable", "not to be had"

    publication = models.ForeignKey(Publication, models.PROTECT, related_name="checks")
    url = models.CharField(max_length=500)
    at = models.DateTimeField(default=clock.now)
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    sha256 = models.CharField(max_length=64, blank=True)
    detail = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"{self.url}: {self.get_outcome_display()}"

    @property
    def good(self) -> bool:
        """Whether the public sees the policy as it was published."""
        return self.outcome in (self.Outcome.SAME, self.Outcome.SAME_TEXT)


protect(Text, allow=("approved_by", "approved_at"))
protect(Figures)
protect(Publication)
protect(PostedCheck)
