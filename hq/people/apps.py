"""The app of people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from django.apps import AppConfig
from django.urls import reverse

if TYPE_CHECKING:
    from hq.people.models import Person
    from hq.people.policy import Standing
    from hq.retention.alarms import Alarm
    from hq.site.doctor import Finding


class PeopleConfig(AppConfig):
    name = "hq.people"
    label = "people"
    menu: ClassVar[list[tuple[str, str, str]]] = [
        ("Accounts", "people:accounts", "accounts.view"),
        ("Leaving", "people:leaving", "leaving.report"),
        ("Training", "people:training", "training.view"),
        ("Kiosks", "people:kiosks", "kiosks.view"),
    ]

    def ready(self) -> None:
        from axes.models import AccessAttempt
        from django.db.models.signals import pre_save

        from hq.people import accounts, cases
        from hq.people.models import Course

        pre_save.connect(accounts.forget_typed, sender=AccessAttempt, dispatch_uid="hq.people.typed")
        cases.identify("course", cases.row_of(Course, "code"))

    def doctor(self) -> Iterator[Finding]:
        """Secrets of second factors not sealed, or not under the present key; an old list of passwords."""
        from django.conf import settings

        from hq.people import passwords, sealing
        from hq.people.models import Authenticator
        from hq.site.doctor import Finding

        held = list(Authenticator.objects.all())
        if clear := sum(not sealing.is_sealed(one.key) for one in held):
            yield Finding(
                True,
                "430.5-0",
                f"secrets of authenticators that lie in clear: {clear}",
                "platewarden-hq migrate",
            )
        if old := sum(sealing.is_sealed(one.key) and not one.sealed_now for one in held):
            yield Finding(
                False,
                "430.5-0",
                f"secrets of authenticators not sealed under the present PLATEWARDEN_HQ_SECRET_KEY: {old}",
                "set PLATEWARDEN_HQ_SECRET_KEY_OLD to the key of before and run platewarden-hq upkeep",
            )
        if why := passwords.fault(Path(settings.DATA) / passwords.FILE):
            remedy = "put the passwords that your agency bans into it, one a line; touch it each quarter"
            yield Finding(False, "CJIS IA-5", why, remedy)

    def alarms(self) -> Iterator[Alarm]:
        """Accounts set back within a day: whoever handed out the new password could have used it.

        Notices of leaving that nobody has seen to, by number: who left is no matter for a mail (CJIS AC-2).
        An account that should be suspended and cannot be, for nobody could open it again. Courses to come
        that would shut out all who certify.
        """
        from hq.log.models import AccessRecord
        from hq.people.accounts import NEW_START, is_idle, is_last_to_open
        from hq.people.models import Completion, Course, Departure, Person, Role, holders
        from hq.retention.alarms import Alarm
        from hq.site import clock

        since = clock.now() - timedelta(days=1)
        for row in AccessRecord.objects.filter(kind="account", outcome="done", note=NEW_START, at__gte=since):
            for person in Person.objects.filter(pk__in=row.ids):
                yield Alarm("CJIS IA-5", f"the account {person.username} was set back by {row.username}")
        for notice in Departure.objects.filter(seen_to_at=None):
            what = f"somebody {notice.get_kind_display()}, last day {notice.on}"
            yield Alarm("CJIS AC-2", f"{notice}: {what}; nobody has seen to the account")
        for person in Person.objects.filter(state=Person.State.ACTIVE):
            if is_idle(person) and is_last_to_open(person):
                what = "90 days without use; nobody else may open accounts, so it is not suspended"
                yield Alarm("CJIS AC-2", f"the account {person.username}: {what}")
        sergeants = holders(Role.TRAINING_SERGEANT)
        for course in Course.objects.filter(required_from__gt=clock.today()):
            if course.taken_back:
                continue
            needed = not course.roles or Role.TRAINING_SERGEANT in course.roles
            if needed and not Completion.objects.filter(course=course, person__in=sergeants).exists():
                text = f"course {course.pk} is needed from {course.required_from}"
                why = "it is completed by no Training Sergeant, so nobody could certify anybody then"
                yield Alarm("430.6", f"{text}: {why}")

    def waiting(self, person: Person, standing: Standing) -> list[tuple[str, str, int]]:
        """What waits for this person: label, address, count."""
        from hq.people.models import Appointment, Departure, Grant, Kiosk, LastDay, Person
        from hq.people.policy import may

        lines = []
        if may(person, "accounts.approve", standing=standing):
            proposed = Person.objects.filter(state=Person.State.PROPOSED).exclude(proposed_by=person)
            lines.append(
                ("accounts to approve", f"{reverse('people:accounts')}?state=proposed", proposed.count())
            )
        if may(person, "accounts.suspend", standing=standing):
            left = Departure.objects.filter(seen_to_at=None).exclude(person=person)
            lines.append(("people who left or changed duties", reverse("people:leaving"), left.count()))
        for model, action, label in (
            (Appointment, "roles.approve", "roles to approve"),
            (Grant, "grants.approve", "grants to approve"),
            (LastDay, "roles.approve", "last days to approve"),
        ):
            if may(person, action, standing=standing):
                open_ones = model.objects.filter(approved_at=None, ended_at=None).exclude(person=person)
                first = open_ones.first()
                where = reverse("people:account", args=[first.person_id]) if first else ""
                lines.append((label, where, open_ones.count()))
        if may(person, "kiosks.approve", standing=standing):
            kiosks = Kiosk.objects.filter(approved_at=None, ended_at=None).exclude(proposed_by=person)
            lines.append(("kiosks to approve", reverse("people:kiosks"), kiosks.count()))
        return lines
