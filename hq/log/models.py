"""Records of the access log: append-only, hash-chained.

Owns the rows and nothing else: `hq.log.chain` writes and verifies them, `hq.log.triggers` keeps them from
change.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from hq.log.triggers import protect


class AccessRecord(models.Model):
    """Who saw or did what, when, why: Civil Code 1798.90.52(a), CJIS AU-3.

    Name, title and agency are copies, for the record must say who the person was then.
    """

    OUTCOMES: ClassVar = [("done", "done"), ("refused", "refused"), ("failed", "failed")]

    sequence = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(db_index=True)
    kind = models.CharField(max_length=32)
    action = models.CharField(max_length=64, db_index=True)
    outcome = models.CharField(max_length=8, choices=OUTCOMES)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="access_records"
    )
    username = models.CharField(max_length=64)
    name = models.CharField(max_length=128)
    title = models.CharField(max_length=128)
    agency = models.CharField(max_length=128)
    on_behalf_of = models.CharField(max_length=128)
    purpose = models.CharField(max_length=64)
    case = models.CharField(max_length=64)
    elements = models.JSONField(default=dict)
    result_count = models.BigIntegerField(null=True, blank=True)
    ids = models.JSONField(default=list)
    note = models.CharField(max_length=500)
    session = models.CharField(max_length=16)
    client = models.CharField(max_length=45)
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering: ClassVar = ["-sequence"]
        indexes: ClassVar = [models.Index(fields=["username", "sequence"], name="log_by_name")]

    def __str__(self) -> str:
        return f"{self.sequence} {self.action} {self.outcome}"


class ChainHead(models.Model):
    """The chain's last row, alone in its table: writers queue for its lock, so that the chain cannot fork."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    sequence = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.sequence} {self.hash}"


class SignedHead(models.Model):
    """A head that was signed and exported: what later versions of the log must still contain."""

    at = models.DateTimeField()
    sequence = models.BigIntegerField()
    hash = models.CharField(max_length=64)
    signature = models.TextField()

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.sequence} {self.hash}"


protect(AccessRecord)
protect(SignedHead)
protect(ChainHead, allow=("sequence", "hash"))
