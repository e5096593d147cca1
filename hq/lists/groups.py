"""Which unit may ask for which group's list.

Owns the memberships. A unit's own configuration says which list it follows (`mqtt.group`); here HQ says which
it gets, and `publisher` refuses any other.
"""

from __future__ import annotations

from django.db.models import QuerySet

from hq.lists.models import ListGroup, Member
from hq.people.models import Person
from hq.records.models import Unit
from hq.site import clock


def put(unit: Unit, group: ListGroup, *, by: Person | None) -> str:
    """Put a unit into a group and return the name of the one that it was in, "" for none."""
    former = Member.objects.filter(unit=unit).select_related("group").first()
    Member.objects.update_or_create(unit=unit, defaults={"group": group, "put_by": by, "put_at": clock.now()})
    return former.group.name if former else ""


def without() -> QuerySet[Unit]:
    """The enrolled units that are in no group, and so get no list."""
    return Unit.objects.filter(state=Unit.State.ENROLLED, list_member=None).order_by("unit_id")
