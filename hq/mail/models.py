"""Records of mails: the outbox, the alarms that were told, who wants no digest. No plate text is in any."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from hq.site import clock


class Mail(models.Model):
    """One mail to one person: kept until the server has taken it, then for 90 days without its text."""

    class Kind(models.TextChoices):
        DIGEST = "digest", "daily digest"
        ALARM = "alarm", "alarms"

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        SENT = "sent", "sent"
        FAILED = "failed", "given up"
        DISCARDED = "discarded", "discarded"

    kind = models.CharField(max_length=8, choices=Kind.choices)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    address = models.EmailField()
    day = models.DateField("day of the digest", null=True, blank=True)
    subject = models.CharField(max_length=200)
    body = models.TextField(blank=True)
    message_id = models.CharField(max_length=200)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    made_at = models.DateTimeField(default=clock.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(default=clock.now)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["state", "next_at"], name="mail_to_send")]
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="one_digest_a_day", fields=["person", "day"], condition=Q(kind="digest")
            ),
            models.CheckConstraint(
                name="digest_has_its_day", condition=~Q(kind="digest") | Q(day__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} to {self.person}"


class Raised(models.Model):
    """An alarm that was told, so that it is not told again while it lasts."""

    source = models.CharField(max_length=16)
    clause = models.CharField(max_length=32)
    text = models.CharField(max_length=400)
    key = models.CharField(max_length=64)
    first_at = models.DateTimeField(default=clock.now)
    cleared_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="alarm_stands_once", fields=["key"], condition=Q(cleared_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.clause}: {self.text}"


class NoDigest(models.Model):
    """That a person wants no digest. Alarms reach whoever must act whatever stands here."""

    person = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.PROTECT, primary_key=True, related_name="no_digest"
    )
    since = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return f"no digest for {self.person}"
