"""The text of mails. Everything that varies in them goes through `withheld` first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from django.apps import apps

from hq import APPS
from hq.mail import expiries
from hq.mail.alarms import Standing as Stands
from hq.mail.expiries import Expiry
from hq.mail.withheld import withhold
from hq.people.models import Person
from hq.people.policy import Standing
from hq.retention.alarms import Alarm
from hq.site import clock
from hq.site.models import Settings

_FOOT = "No plate, picture or case is ever in a mail (430.7-b). Log in to HQ to see more; it sends no links."


def digest(person: Person, stands: Iterable[Stands]) -> tuple[str, str] | None:
    """Subject and text of a person's digest, None where there is nothing to tell."""
    standing = Standing(person)
    waiting = _waiting(person, standing)
    ending = expiries.told(person, standing)
    mine = [one for one in stands if standing.roles & set(one.roles)]
    if not waiting and not ending and not mine:
        return None
    count = sum(number for _, number in waiting)
    parts = [
        _head(person, f"Daily digest of {clock.today()}"),
        _part("Waiting for you", [f"{label}: {number}" for label, number in waiting]),
        *_ending(ending),
        _part("Alarms that stand", _lines(mine)),
        f"{_FOOT}\nYou can switch this digest off under “Your mail”; alarms come all the same.",
    ]
    things = f"{count} thing waits" if count == 1 else f"{count} things wait"
    return f"Platewarden HQ: {f'{things} for you' if count else 'daily digest'}", _joined(parts)


def alarms(person: Person, news: Sequence[Stands]) -> tuple[str, str]:
    """Subject and text of a mail that tells alarms."""
    clauses = ", ".join(sorted({one.alarm.clause for one in news}))
    subject = f"Platewarden HQ: {len(news)} alarm{'s' * (len(news) > 1)} ({clauses})"
    head = _head(person, "New alarms")
    body = "\n".join(["These need somebody now. Each is told once while it lasts.", *_lines(news)])
    return subject[:200], _joined([head, body, _FOOT])


def bare(alarm: Alarm) -> tuple[str, str]:
    """Subject and text of one alarm where the database cannot be asked whom it greets or what to withhold."""
    return (
        f"Platewarden HQ: 1 alarm ({alarm.clause})",
        _joined([f"This needs somebody now.\n  {alarm.clause}: {alarm.text}", _FOOT]),
    )


def _head(person: Person, what: str) -> str:
    held = Settings.current()
    agency, name, title = withhold([held.agency if held else person.agency, person.full_name, person.title])
    return f"{agency}, Platewarden HQ\n{what}, for {name}, {title}"


def _waiting(person: Person, standing: Standing) -> list[tuple[str, int]]:
    """As on the start page; its alarms stand in a part of their own."""
    found = [
        (label, count)
        for name in APPS
        if (ask := getattr(apps.get_app_config(name), "waiting", None))
        for label, _, count in ask(person, standing)
        if count and not label.startswith("alarms ")
    ]
    labels = withhold([label for label, _ in found])
    return [(label, count) for label, (_, count) in zip(labels, found, strict=True)]


def _ending(ending: Sequence[Expiry]) -> list[str]:
    today = clock.today()
    soon, later = today + expiries.SOON, today + expiries.LATER

    def within(first: date, last: date) -> list[str]:
        held = [e for e in ending if first <= e.on <= last]
        texts = withhold([e.what for e in held])
        return [f"  {e.on}  {text} ({e.clause})" for e, text in zip(held, texts, strict=True)]

    day = timedelta(days=1)
    return [
        _part("Ended lately", within(date.min, today - day)),
        _part("Ends within 7 days", within(today, soon)),
        _part("Ends within 30 days", within(soon + day, later)),
    ]


def _lines(stands: Sequence[Stands]) -> list[str]:
    texts = withhold([one.alarm.text for one in stands])
    return [f"  {one.alarm.clause}: {text}" for one, text in zip(stands, texts, strict=True)]


def _part(heading: str, lines: Sequence[str]) -> str:
    return "\n".join([f"{heading}:", *lines]) if lines else ""


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
