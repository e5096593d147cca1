"""Records of the agency and its settings: one row a version, never changed, in force once approved.

The Commander, custodian and overseer are not here: they are appointments (`hq.people.models`).
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.core.validators import URLValidator
from django.db import models
from django.db.models import F, Q

from hq.log.triggers import protect
from hq.site import clock


class Settings(models.Model):
    """What the agency decided, by whom, with what document (430.1, 430.2-d); the last approved counts."""

    agency = models.CharField("agency", max_length=128)
    ori = models.CharField("ORI", max_length=9)
    policy_id = models.CharField("policy number", max_length=32)
    policy_version = models.CharField("policy version or date", max_length=32)
    meeting_on = models.DateField("public meeting held on (Civil Code 1798.90.55(a))", null=True, blank=True)
    meeting_body = models.CharField("body that met", max_length=128, blank=True)
    meeting_minutes = models.CharField("reference of the minutes", max_length=200, blank=True)
    website = models.CharField(
        "page where the policy is posted",
        max_length=200,
        blank=True,
        validators=[URLValidator(["https", "http"])],
    )
    purposes_off = models.JSONField("purposes switched off", default=list, blank=True)
    classes_off = models.JSONField("alarm classes switched off", default=list, blank=True)
    classes_on = models.JSONField("alarm classes switched on beyond the default", default=list, blank=True)
    case_pattern = models.CharField("form of case and incident numbers", max_length=100, blank=True)
    reason = models.CharField("reason for the change, document", max_length=200)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    proposed_at = models.DateTimeField(default=clock.now)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    approved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="settings_not_approved_by_their_proposer",
                condition=Q(approved_by__isnull=True)
                | Q(proposed_by__isnull=True)
                | ~Q(approved_by=F("proposed_by")),
            )
        ]

    def __str__(self) -> str:
        return f"{self.agency}, policy {self.policy_id} {self.policy_version}"

    @classmethod
    def current(cls) -> Settings | None:
        """The version in force, None before the first approval."""
        return cls.objects.filter(approved_at__isnull=False).order_by("-approved_at", "-id").first()


protect(Settings, allow=("approved_by", "approved_at"))
