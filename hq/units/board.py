"""How the units are: the heartbeat board, each one's collection against its own norm, and the alarms.

Reads what `hq.records` keeps; changes nothing. No plate is in anything here.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Count, F, Sum

from hq.records.models import Gap, Loss, Quarantined, Read, Unit, UnitStatus
from hq.retention.alarms import Alarm
from hq.site import clock
from hq.site.times import local_minute
from hq.units import deployments, register
from hq.units.models import Acceptance, Device, Reported
from hq.units.reported import drift

SILENT: Final = timedelta(minutes=5)
"""Units send a status every minute by default."""
CLOCK_MS: Final = 1000.0
DISK_SHARE: Final = 0.10
QUEUED: Final = timedelta(hours=1)
LIST_AGE: Final = timedelta(hours=24)
"""Hot lists are to be reloaded at least daily (State Auditor 2019-118, rec. 20)."""
WEEKS: Final = 4
LEAST_NORM: Final = 20.0
"""A norm of fewer reads a day says nothing."""
LOW, HIGH = 0.5, 2.0


@dataclass(frozen=True)
class Health:
    """Reads of the last 24 hours against the same 24 hours of the last four weeks; norm None if unknown."""

    reads: int
    norm: float | None

    @property
    def ratio(self) -> float | None:
        """Reads over norm."""
        return self.reads / self.norm if self.norm else None

    @property
    def fault(self) -> str:
        """What is odd, or nothing."""
        if self.ratio is None or self.norm is None or self.norm < LEAST_NORM:
            return ""
        if self.ratio < LOW:
            return f"reads in 24 h only {self.reads}, usually {self.norm:.0f}"
        if self.ratio > HIGH:
            return f"reads in 24 h {self.reads}, usually {self.norm:.0f}"
        return ""


@dataclass
class Row:
    """One unit on the board."""

    unit_id: str
    unit: Unit | None
    device: Device | None
    status: UnitStatus | None
    health: Health
    gaps: int
    losses: int
    quarantined: int
    drift: list[str]
    faults: list[str] = field(default_factory=list)

    @property
    def record(self) -> dict[str, Any]:
        """The last status as the unit sent it."""
        return self.status.record if self.status else {}

    @property
    def disk_left(self) -> float | None:
        """Share of the store that is free, in percent."""
        total = self.record.get("disk_total_bytes") or 0
        return 100 * self.record["disk_free_bytes"] / total if total else None

    @property
    def list_age(self) -> timedelta | None:
        """Age of the hot list in force."""
        seconds = self.status.list_age_s if self.status else None
        return None if seconds is None else timedelta(seconds=round(seconds))


def rows(now: datetime | None = None) -> list[Row]:
    """Every unit that is registered or has been heard, those with faults first."""
    at = now or clock.now()
    units = {u.unit_id: u for u in Unit.objects.all()}
    statuses = {s.unit_id: s for s in UnitStatus.objects.all()}
    devices = {d.unit_id: d for d in Device.objects.select_related("unit")}
    gaps = dict(
        Gap.objects.values_list("series__unit").annotate(n=Sum(F("last") - F("first") + 1)).order_by()
    )
    since = at - timedelta(days=1)
    losses = dict(
        Loss.objects.filter(received_at__gte=since).values_list("unit").annotate(n=Sum("count")).order_by()
    )
    kept_out = dict(
        Quarantined.objects.filter(not_enrolled=True, admission=None)
        .values_list("unit_name").annotate(n=Count("pk")).order_by()
    )  # fmt: skip
    found = []
    for unit_id in sorted({*units, *statuses, *(name for name in kept_out if name)}):
        device, status = devices.get(unit_id), statuses.get(unit_id)
        row = Row(
            unit_id,
            units.get(unit_id),
            device,
            status,
            health(unit_id, at),
            gaps.get(unit_id) or 0,
            losses.get(unit_id) or 0,
            kept_out.get(unit_id) or 0,
            _drift(device, status),
        )
        row.faults = _faults(row, at)
        found.append(row)
    return sorted(found, key=lambda row: (not row.faults, row.unit_id))


def health(unit_id: str, now: datetime) -> Health:
    """A unit's last day against the median of the same 24 hours one to four weeks before (430.4-a).

    The same by the agency's clock: traffic keeps its hours when daylight saving begins or ends.
    """
    day, week = timedelta(days=1), timedelta(days=7)
    here = now.astimezone(ZoneInfo(settings.TIME_ZONE))

    def count(until: datetime) -> int:
        return Read.objects.filter(unit=unit_id, at__gt=until - day, at__lte=until).count()

    first = Read.objects.filter(unit=unit_id).order_by("at").values_list("at", flat=True).first()
    # Python counts within a time zone by its wall clock.
    ends = [(here - week * n).astimezone(UTC) for n in range(1, WEEKS + 1)]
    before = [count(end) for end in ends if first is not None and first <= end - day]
    return Health(count(now), statistics.median(before) if before else None)


def alarms(now: datetime | None = None) -> list[Alarm]:
    """Everything about units that needs somebody now: for the board, the start page and the digest."""
    at = now or clock.now()
    found = [
        Alarm("430.2-c", f"unit {unit} is enrolled and nobody approved it in the register")
        for unit in register.unapproved()
    ]
    for row in rows(at):
        found += [Alarm("430.2-c", f"unit {row.unit_id}: unapproved change: {line}") for line in row.drift]
        if row.unit is None or row.unit.state in (Unit.State.PROPOSED, Unit.State.REVOKED):
            if row.quarantined:
                found.append(
                    Alarm(
                        "430.2-c",
                        f"unit {row.unit_id}, not enrolled: messages in quarantine: {row.quarantined}",
                    )
                )
            continue
        if row.unit.state == Unit.State.ENROLLED:
            found += [Alarm("430.4-a", f"unit {row.unit_id}: {line}") for line in row.faults]
    for stray in deployments.strays(at):
        found.append(
            Alarm(
                "430.3(c)-1",
                f"trailer {stray.device.unit_id} captured without an open deployment; reads: {stray.reads}",
            )
        )
    for deployment in deployments.overrun(at):
        found.append(Alarm("430.3(c)-1", f"deployment {deployment.code} runs past its expected end"))
    for device in register.unwiped():
        found.append(Alarm("CJIS MP", f"retired unit {device.unit_id} has no witnessed wipe of its media"))
    return found


def _drift(device: Device | None, status: UnitStatus | None) -> list[str]:
    if device is None or device.unit.state != Unit.State.ENROLLED:
        return []
    accepted = Acceptance.objects.filter(unit=device.unit_id).first()
    said = Reported.objects.filter(unit=device.unit_id).first()
    return drift(device, accepted, said, status.record.get("position") if status else None)


def _faults(row: Row, now: datetime) -> list[str]:
    """What is wrong with a unit's working, one line each."""
    if row.unit is not None and row.unit.state == Unit.State.RETIRED:
        return []
    if row.status is None:
        return ["never heard"]
    said, status, found = row.record, row.status, []
    if now - status.received_at > SILENT or status.state == "offline":
        found.append(f"not heard since {local_minute(status.received_at)}")
    elif status.state in ("degraded", "fault"):
        found.append(status.state)
    found += [str(line) for line in said.get("faults") or ()]
    held = said.get("clock") or {}
    if held.get("quality", "none") == "none":
        found.append("clock is not set")
    elif abs(held.get("offset_ms") or 0.0) > CLOCK_MS:
        found.append(f"clock may be off by {held['offset_ms']:.0f} ms")
    if row.disk_left is not None and row.disk_left < 100 * DISK_SHARE:
        found.append(f"{row.disk_left:.0f} % of storage left")
    if (said.get("oldest_queued_s") or 0) > QUEUED.total_seconds():
        oldest = said["oldest_queued_s"] / 3600
        found.append(f"records queued: {status.queue}, the oldest for {oldest:.1f} h")
    if row.list_age is None:
        found.append("no hot list in force")
    elif row.list_age > LIST_AGE:
        found.append(f"hot list is {row.list_age.total_seconds() / 3600:.0f} h old")
    if said.get("camera", "ok") != "ok":
        found.append(f"camera {said['camera']}")
    if row.gaps:
        found.append(f"records missing in its numbers: {row.gaps}")
    if row.losses:
        found.append(f"losses in 24 h: {row.losses}")
    if row.health.fault:
        found.append(row.health.fault)
    return found
