"""Records of searching: which units a person's shift has. What was searched is in the access log alone."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from hq.log.triggers import protect
from hq.records.models import Unit
from hq.site import clock


class Shift(models.Model):
    """That a unit is a person's from one moment to another; entered by somebody else (430.2-d).

    An officer or dispatcher without a wider grant sees what such a unit sent lately (430.5(b)).
    """

    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="shifts")
    unit = models.ForeignKey(Unit, models.PROTECT, related_name="shifts", db_index=False)
    starts_at = models.DateTimeField("from")
    ends_at = models.DateTimeField("until")
    entered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    entered_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering: ClassVar = ["-starts_at", "-id"]
        indexes: ClassVar = [models.Index(fields=["person", "ends_at"], name="shift_person")]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="shift_ends_after_it_starts", condition=Q(ends_at__gt=F("starts_at"))
            ),
            models.CheckConstraint(
                name="nobody_enters_their_own_shift", condition=~Q(person=F("entered_by"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person} {self.unit}"


protect(Shift, allow=("ends_at",))
