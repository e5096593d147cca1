"""The agency's texts of the policy: prepared by one person, approved by another."""

from __future__ import annotations

from django.db import transaction

from hq.people.models import Person
from hq.people.policy import Refused, check
from hq.public.models import Text
from hq.public.slots import BY_CODE
from hq.site import clock


def prepare(person: Person, slot: str, text: str) -> Text:
    """Write a text for a slot. Raises Refused, KeyError for a slot that there is not."""
    check(person, "policy.prepare")
    return Text.objects.create(slot=BY_CODE[slot].code, text=text.strip(), prepared_by=person)


@transaction.atomic
def approve(person: Person, pk: int) -> Text:
    """Put a text in force. Raises Refused for the one who prepared it."""
    held = Text.objects.select_for_update().get(pk=pk)
    check(person, "policy.approve", obj=held)
    if held.approved_at is not None:
        raise Refused("430.2.1-0", "this text is approved", "nobody")
    held.approved_by, held.approved_at = person, clock.now()
    held.save(update_fields=["approved_by", "approved_at"])
    return held


def waiting() -> list[Text]:
    """The newest text of each slot that waits for approval."""
    newest: dict[str, Text] = {}
    for text in Text.objects.select_related("prepared_by").order_by("pk"):
        newest[text.slot] = text
    return [text for text in newest.values() if text.approved_at is None]
