"""Records of the API and the feeds: tokens, feeds, and the queue of messages. None holds a plate.

What was asked with a token and what a feed sent is in the access log.
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from hq.log.triggers import protect
from hq.site import clock

LONGEST: Final = timedelta(days=90)
"""The life of a token, from its proposal."""


class ApiToken(models.Model):
    """Leave for a program to read in the name of one person (430.3-0: named, never shared).

    Proposed, approved by a second person, then collected once by its person; only its SHA-256 is kept.
    """

    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="api_tokens")
    program = models.CharField(
        "program", max_length=100, help_text="Which program uses it, and where it runs."
    )
    expires_at = models.DateTimeField("expires")
    digest = models.CharField(max_length=64, blank=True)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(default=clock.now)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    approved_at = models.DateTimeField(null=True, blank=True)
    collected_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    revoked_at = models.DateTimeField(null=True, blank=True)
    hour = models.DateTimeField(null=True, blank=True, help_text="the hour that `used` counts")
    used = models.PositiveIntegerField(default=0)

    class Meta:
        ordering: ClassVar = ["-proposed_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["digest"], name="token_once", condition=~Q(digest="")),
            models.CheckConstraint(
                name="token_lives_90_days_at_most",
                condition=Q(expires_at__gt=F("proposed_at"), expires_at__lte=F("proposed_at") + LONGEST),
            ),
            models.CheckConstraint(
                name="token_takes_a_second_person",
                condition=~Q(proposed_by=F("person"))
                & (
                    Q(approved_by__isnull=True)
                    | (~Q(approved_by=F("proposed_by")) & ~Q(approved_by=F("person")))
                ),
            ),
            models.CheckConstraint(
                name="token_approved_before_collected",
                condition=Q(digest="") | Q(approved_at__isnull=False, collected_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person}: {self.program}"

    @property
    def state(self) -> str:
        """In one word."""
        if self.revoked_at is not None:
            return "revoked"
        if clock.now() >= self.expires_at:
            return "expired"
        if self.approved_at is None:
            return "proposed"
        return "in force" if self.digest else "approved"


class Feed(models.Model):
    """A standing delivery to one program of the own agency; nothing is sent before the Commander approves."""

    class What(models.TextChoices):
        HITS = "hits", "hits, as alpr_alert"
        READS = "reads", "every read, as alpr_group"

    name = models.CharField(
        "recipient", max_length=100, help_text="Which program receives it, where it runs."
    )
    responsible = models.CharField("responsible person, title", max_length=128)
    agency = models.CharField("agency of the recipient", max_length=128)
    url = models.URLField("address", max_length=500)
    what = models.CharField(max_length=5, choices=What.choices, default=What.HITS)
    purpose = models.CharField("purpose", max_length=64)
    document = models.CharField("document reference", max_length=200)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(default=clock.now)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    approved_at = models.DateTimeField(null=True, blank=True)
    stopped_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    stopped_at = models.DateTimeField(null=True, blank=True)
    queued_until = models.DateTimeField(
        null=True, blank=True, help_text="what was received before is queued, but for late commits"
    )

    class Meta:
        ordering: ClassVar = ["-proposed_at", "-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="feed_takes_a_second_person",
                condition=Q(approved_by__isnull=True) | ~Q(approved_by=F("proposed_by")),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def on(self) -> bool:
        """Whether it sends."""
        return self.approved_at is not None and self.stopped_at is None

    @property
    def state(self) -> str:
        """In one word."""
        if self.stopped_at is not None:
            return "stopped"
        return "on" if self.on else "proposed"


class FeedMessage(models.Model):
    """One message of a feed: which read or hit, how often tried, when it arrived."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        SENT = "sent", "sent"
        GIVEN_UP = "given_up", "given up"

    feed = models.ForeignKey(Feed, models.PROTECT, related_name="messages", db_index=False)
    record = models.UUIDField(help_text="id of the read or hit")
    queued_at = models.DateTimeField()
    due_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    done_at = models.DateTimeField(null=True)
    trouble = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["feed", "record"], name="feed_message_once")]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], name="feed_message_due", condition=Q(state="waiting"))
        ]

    def __str__(self) -> str:
        return str(self.pk)


protect(
    ApiToken,
    allow=(
        "digest",
        "approved_by",
        "approved_at",
        "collected_at",
        "revoked_by",
        "revoked_at",
        "hour",
        "used",
    ),
)
protect(Feed, allow=("approved_by", "approved_at", "stopped_by", "stopped_at", "queued_until"))
protect(FeedMessage, allow=("due_at", "attempts", "state", "done_at", "trouble"))
