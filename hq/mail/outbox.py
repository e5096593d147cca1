"""The outbox: what a run makes, what the server took, what is tried again and when it is given up.

A mail is written here in the transaction that notes what it tells, and sent after that: cut off between the
two it goes out with the next run, perhaps twice, never not at all.
"""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parseaddr
from pathlib import Path
from typing import Final
from uuid import uuid4

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import DatabaseError, transaction

from hq.log import chain, outage
from hq.mail import alarms, wording
from hq.mail.models import Mail, NoDigest
from hq.people.models import Person
from hq.retention.alarms import Alarm
from hq.site import clock
from hq.site.locks import alone

GIVE_UP: Final = timedelta(days=7)
FIRST_WAIT: Final = timedelta(minutes=5)
LONGEST_WAIT: Final = timedelta(hours=6)
KEEP: Final = timedelta(days=90)
STATES = Mail.State
_CLOSING: Final = 421
_FAILURES: Final = (smtplib.SMTPException, OSError, ValueError)
"""Also what a mail cannot be made of, such as a broken address: it must hold up no other."""


class NobodyTold(Exception):
    """The access log is down, and no mail says so; one line that says why."""


@dataclass
class Report:
    """What a run did, in mails."""

    queued: int = 0
    sent: int = 0
    failed: int = 0
    waiting: int = 0
    trouble: str = ""


def configured() -> bool:
    """Whether the agency's server is named."""
    return bool(settings.EMAIL_HOST)


def run(*, digest: bool) -> Report:
    """Make what is new, send what is due; of a run that could not do all, `trouble` says why.

    Raises Busy beside another run; with `digest` it waits for that one's end, for none makes the day's
    digests later. While the access log or the whole database is down only that is told; raises NobodyTold if
    it cannot be, and OSError where HQ's folder takes no lock.
    """
    with alone("mail", wait=digest):
        report = Report()
        if not alarms.log_works():
            try:
                _cry(alarms.LOG_DOWN)
            except _FAILURES as error:
                raise NobodyTold(
                    f"the access log cannot be written, and nobody can be told: {error}"
                ) from error
            report.trouble = alarms.LOG_DOWN.text
            return report
        try:
            _keep_addresses()
        except OSError as error:
            # Today's mails go out all the same.
            report.trouble = f"whom to tell while the log is down is not noted: {error}"
        _tell_of_outage(report)
        report.queued = make(digest=digest)
        _send_due(report)
        _tidy()
        report.waiting = Mail.objects.filter(state=STATES.WAITING).count()
        return report


@transaction.atomic
def make(*, digest: bool) -> int:
    """Put what is new into the queue, and where `digest` says so the day's digests; how many mails."""
    made = [*_alarm_mails(), *(_digests() if digest else ())]
    _note(made)
    return len(made)


def discard(mail: Mail) -> None:
    """Take an undelivered mail out of sight; the caller writes the access record."""
    mail.state, mail.ended_at, mail.body = STATES.DISCARDED, clock.now(), ""
    mail.save(update_fields=["state", "ended_at", "body"])


def undelivered() -> list[Mail]:
    """What the server has not taken: given up, or tried in vain at least once."""
    rows = Mail.objects.filter(state__in=(STATES.WAITING, STATES.FAILED)).exclude(error="")
    return list(rows.select_related("person"))


def unsent(age: timedelta) -> int:
    """How many mails nobody has tried to send for so long."""
    return Mail.objects.filter(state=STATES.WAITING, attempts=0, made_at__lt=clock.now() - age).count()


def _alarm_mails() -> list[Mail]:
    told: dict[int, tuple[Person, list[alarms.Standing]]] = {}
    for one in alarms.news(alarms.standing()):
        for person in one.recipients():
            told.setdefault(person.pk, (person, []))[1].append(one)
    return [_queue(Mail.Kind.ALARM, person, *wording.alarms(person, news)) for person, news in told.values()]


def _digests() -> Iterator[Mail]:
    stands = alarms.standing()
    wants_none = set(NoDigest.objects.values_list("person_id", flat=True))
    today = clock.today()
    done = set(Mail.objects.filter(kind=Mail.Kind.DIGEST, day=today).values_list("person_id", flat=True))
    for person in Person.objects.filter(state=Person.State.ACTIVE).exclude(email=""):
        if person.pk in wants_none or person.pk in done or not person.is_active:
            continue
        if told := wording.digest(person, stands):
            yield _queue(Mail.Kind.DIGEST, person, *told, day=today)


def _queue(kind: str, person: Person, subject: str, body: str, **fields: object) -> Mail:
    return Mail.objects.create(
        kind=kind,
        person=person,
        address=person.email,
        subject=subject,
        body=body,
        message_id=_message_id(),
        **fields,
    )


def _note(made: Sequence[Mail]) -> None:
    """One access record for all that a run made: to whom, what kind."""
    if made:
        chain.append(
            kind="mail",
            person=None,
            action="mail.queue",
            elements={
                "kinds": sorted({m.kind for m in made}),
                "to": sorted({m.person.username for m in made}),
            },
            result_count=len(made),
        )


def _send_due(report: Report) -> None:
    due = Mail.objects.filter(state=STATES.WAITING, next_at__lte=clock.now()).select_related("person")
    mails = list(due.order_by("next_at", "id"))
    if not mails:
        return
    server: BaseEmailBackend | None = None
    try:
        while mails:
            try:
                server = server or connection()
                # Does nothing where it is open; some servers end it after so many mails.
                server.open()
            except _FAILURES as error:
                report.trouble = f"the mail server cannot be reached: {_said(error)}"
                for mail in mails:
                    _try_later(mail, report.trouble, report)
                return
            _send(mails.pop(0), server, report)
    finally:
        if server is not None:
            server.close()


def _send(mail: Mail, server: BaseEmailBackend, report: Report) -> None:
    if not mail.person.is_active:
        discard(mail)
        return
    if mail.person.email:
        mail.address = mail.person.email
    try:
        server.send_messages([_message(mail.subject, mail.body, mail.address, mail.message_id)])
    except _FAILURES as error:
        report.trouble = f"{mail.address}: {_said(error)}"
        _try_later(mail, _said(error), report)
        if _ends_connection(error):
            server.close()
        return
    mail.state, mail.ended_at, mail.body, mail.error = STATES.SENT, clock.now(), "", ""
    mail.attempts += 1
    mail.save(update_fields=["state", "ended_at", "body", "error", "attempts", "address"])
    report.sent += 1


def _ends_connection(error: Exception) -> bool:
    """Whether the server will take no further mail on it: it is gone, or the answer was 421."""
    codes = [getattr(error, "smtp_code", 0)]
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
    answered = isinstance(error, smtplib.SMTPResponseException | smtplib.SMTPRecipientsRefused)
    return _CLOSING in codes if answered else isinstance(error, OSError)


def _try_later(mail: Mail, why: str, report: Report) -> None:
    mail.attempts += 1
    mail.error = why[:300]
    mail.next_at = clock.now() + min(FIRST_WAIT * 2 ** min(mail.attempts - 1, 10), LONGEST_WAIT)
    report.failed += 1
    with transaction.atomic():
        if clock.now() - mail.made_at >= GIVE_UP:
            mail.state, mail.ended_at = STATES.FAILED, clock.now()
            chain.append(
                kind="mail",
                person=mail.person,
                action="mail.give_up",
                outcome="failed",
                ids=[mail.pk],
                note=why,
            )
        mail.save(update_fields=["attempts", "error", "next_at", "state", "ended_at", "address"])


def _tidy() -> None:
    ended = (STATES.SENT, STATES.DISCARDED)
    Mail.objects.filter(state__in=ended, ended_at__lt=clock.now() - KEEP).delete()


def last_run() -> datetime | None:
    """When a run last found the log in order; None where none has, or its note cannot be read."""
    try:
        return datetime.fromisoformat(json.loads(_addresses().read_text())["at"])
    except (OSError, ValueError, KeyError):
        return None


def _tell_of_outage(report: Report) -> None:
    """Tell of a failure of the log between two runs, which nothing shows any more (CJIS AU-5)."""
    since = outage.since()
    if since is None:
        return
    try:
        _cry(alarms.log_was_down(since))
    except _FAILURES as error:
        report.trouble = f"nobody was told that the log was down: {_said(error)}"
        return
    chain.append(kind="mail", person=None, action="log.outage", outcome="failed", note=chain.stamp(since))
    outage.told()


def _addresses() -> Path:
    return Path(settings.DATA) / "log-alarm.json"


def _keep_addresses() -> None:
    """Write down whom to tell, for the time when the database cannot be asked."""
    to = sorted({person.email for person in alarms.Standing("log", alarms.LOG_DOWN).recipients()})
    part = _addresses().with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps({"at": clock.now().isoformat(), "to": to}))
    part.replace(_addresses())


def _addressed(alarm: Alarm) -> list[tuple[str, str, str]]:
    """Address, subject and text of each mail that tells an alarm of the log."""
    one = alarms.Standing("log", alarm)
    try:
        with transaction.atomic():
            return [(person.email, *wording.alarms(person, [one])) for person in one.recipients()]
    except DatabaseError:
        with suppress(OSError, ValueError, KeyError):
            return [(to, *wording.bare(alarm)) for to in json.loads(_addresses().read_text())["to"]]
        return []


def _cry(alarm: Alarm) -> None:
    """Tell of the log past the queue: at every run, as a database that takes no row remembers nothing either.

    Raises smtplib.SMTPException or OSError where nobody could be told.
    """
    server = connection()
    server.open()
    told, failed = 0, "nobody who must act has an address"
    try:
        for address, subject, body in _addressed(alarm):
            try:
                server.send_messages([_message(subject, body, address, _message_id())])
            except _FAILURES as error:
                failed = _said(error)
            else:
                told += 1
    finally:
        server.close()
    if not told:
        raise smtplib.SMTPException(failed)


def connection() -> BaseEmailBackend:
    """To the agency's server; its password is read anew, so that a changed one needs no restart."""
    backend: BaseEmailBackend = get_connection(password=_password())
    return backend


def _password() -> str:
    """The first line of the password file, which may come from Windows (byte order mark, CRLF)."""
    file = settings.SMTP_PASSWORD_FILE
    if not file:
        return ""
    where = f"PLATEWARDEN_HQ_SMTP_PASSWORD_FILE: {file}"
    try:
        password = Path(file).read_text(encoding="utf-8-sig").partition("\n")[0].strip()
    except OSError as error:
        raise smtplib.SMTPException(f"{where}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise smtplib.SMTPException(f"{where}: is no UTF-8 text") from error
    if not password.isascii():
        # smtplib's own words for it would put the character onto the page of mails.
        raise smtplib.SMTPException(f"{where}: holds a character that is not ASCII, which cannot be sent")
    return password


def _message(subject: str, body: str, address: str, message_id: str) -> EmailMessage:
    headers = {"Message-ID": message_id, "Auto-Submitted": "auto-generated", "Precedence": "list"}
    return EmailMessage(subject, body, settings.DEFAULT_FROM_EMAIL, [address], headers=headers)


def _message_id() -> str:
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    return f"<{uuid4()}@{domain}>"


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:300]
