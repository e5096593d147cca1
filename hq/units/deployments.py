"""Deployments for incidents: opened, started, stopped; which reads belong to one; trailers without one.

The canvass report over a deployment's reads is a search and logged as one: `hq.search`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet

from hq.people import cases
from hq.people.models import Person
from hq.people.policy import Refused, check, may
from hq.records.models import Read, Unit
from hq.site import clock
from hq.units.models import Deployment, Device

LOOK_BACK: Final = timedelta(hours=24)
"""How far back a trailer's capture without a deployment is looked for."""


@dataclass(frozen=True)
class Stray:
    """A trailer that captured outside every deployment: how many reads, the first and the last of them."""

    device: Device
    reads: int
    since: datetime
    until: datetime


@transaction.atomic
def open_one(
    person: Person,
    deployment: Deployment,
    units: Iterable[Unit],
    *,
    purpose: str | None = None,
    case: str = "",
) -> Deployment:
    """Open a deployment, also ahead of its day, while another one has the unit.

    Raises Refused, ValidationError for a missing field or a unit not enrolled.
    """
    check(person, "deployments.open", purpose=purpose, case=case)
    held = list(units)
    if not held:
        raise ValidationError({"units": "Name at least one unit."})
    if strange := [unit for unit in held if unit.state != Unit.State.ENROLLED]:
        raise ValidationError({"units": f"Not enrolled: {', '.join(map(str, strange))}."})
    if why := cases.number_fault(deployment.incident):
        raise ValidationError({"incident": why})
    deployment.opened_by = person
    deployment.full_clean()
    deployment.save(force_insert=True)
    deployment.units.set(held)
    return deployment


@transaction.atomic
def start(person: Person, pk: int) -> Deployment:
    """The units stand and read.

    Raises Refused, also while another one runs with one of them: its reads would belong to both incidents.
    """
    held = _locked(person, pk)
    if held.started_at is not None or held.stopped_at is not None:
        raise Refused("430.3(c)-1", f"deployment {held.code} is {held.state}", "nobody")
    # Of two that are started at once with a unit the second waits here, and sees the first.
    units = list(held.units.select_for_update(no_key=True).order_by("pk"))
    running = Deployment.objects.filter(units__in=units, started_at__isnull=False, stopped_at=None)
    if other := running.first():
        which = ", ".join(str(unit) for unit in units if unit in other.units.all())
        raise Refused(
            "430.3(c)-1",
            f"deployment {other} runs with {which}: stop that one first",
            "a technician, who stops it",
        )
    held.started_by, held.started_at = person, clock.now()
    held.save(update_fields=["started_by", "started_at"])
    return held


@transaction.atomic
def stop(person: Person, pk: int) -> Deployment:
    """The units are withdrawn; one that was never started is called off, and has no reads. Raises Refused."""
    held = _locked(person, pk)
    if held.stopped_at is not None:
        raise Refused("430.3(c)-1", f"deployment {held.code} is {held.state}", "nobody")
    held.stopped_by, held.stopped_at = person, clock.now()
    held.save(update_fields=["stopped_by", "stopped_at"])
    return held


def visible(person: Person, code: str) -> Deployment | None:
    """The deployment of that code; None where there is none, or none that the person may see."""
    held = Deployment.objects.filter(code=code).first()
    return held if held is not None and may(person, "deployments.view") else None


def of_incident(deployment: Deployment, number: str) -> bool:
    """Whether that is the number of the incident that it was opened for."""
    return deployment.incident.strip().casefold() == number.strip().casefold()


def reads(deployment: Deployment) -> QuerySet[Read]:
    """The reads of a deployment: those that carry its code, and its units' while it ran."""
    return Read.objects.filter(within(deployment.code))


def within(code: str) -> Q:
    """Which reads belong to the deployment of a code; of one that HQ does not know, those that carry it."""
    # Naming the index's own condition lets SQLite use it: it does not see that a code is not "".
    found = Q(deployment=code) & ~Q(deployment="")
    held = Deployment.objects.filter(code=code, started_at__isnull=False).first()
    if held is not None:
        units = sorted(held.units.values_list("pk", flat=True))
        during = Q(unit__in=units, at__gte=held.started_at)
        if held.stopped_at is not None:
            during &= Q(at__lt=held.stopped_at)
        found |= during
    return found


def strays(now: datetime | None = None) -> list[Stray]:
    """Trailers that captured in the last day outside every deployment."""
    at = now or clock.now()
    found = []
    trailers = Device.objects.filter(mount=Device.Mount.TRAILER, unit__state=Unit.State.ENROLLED)
    for device in trailers.select_related("unit"):
        outside = Read.objects.filter(unit=device.unit_id, at__gte=at - LOOK_BACK, at__lte=at)
        for deployment in Deployment.objects.filter(units=device.unit, started_at__isnull=False):
            outside = outside.exclude(at__gte=deployment.started_at, at__lt=deployment.stopped_at or at)
        times = outside.order_by("at").values_list("at", flat=True)
        if count := times.count():
            last = outside.order_by("-at").values_list("at", flat=True)[0]
            found.append(Stray(device, count, times[0], last))
    return found


def overrun(now: datetime | None = None) -> QuerySet[Deployment]:
    """Deployments that run past their expected end."""
    at = now or clock.now()
    return Deployment.objects.filter(started_at__isnull=False, stopped_at=None, until__lt=at)


def _locked(person: Person, pk: int) -> Deployment:
    check(person, "deployments.start_stop")
    return Deployment.objects.select_for_update().get(pk=pk)
