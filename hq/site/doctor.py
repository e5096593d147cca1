"""What a site lacks: errors refuse a production start, warnings are told.

An app adds its own by a method `doctor()` of its AppConfig, which gives Finding objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.db import DatabaseError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from hq import APPS
from hq.log.models import AccessRecord, SignedHead
from hq.people.models import Role, holders
from hq.site import clock, databases, disks, keys
from hq.site.models import Settings

DEMO_MARK = "(demo)"
# "yes" vouches for nothing: a name, a day and a way are longer.
_LEAST_STATEMENT = 20
_DAY = timedelta(hours=25)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: what, by which rule, what to do. `error` refuses a production start.

    `may_pass`: nothing of the site has to change for it, such as a database that has not started yet.
    """

    error: bool
    rule: str
    what: str
    remedy: str
    may_pass: bool = False

    @property
    def refusal(self) -> str:
        """The line of a command that does not start because of it."""
        return f"refused by {self.rule}: {self.what}; {self.remedy}"


def findings() -> list[Finding]:
    """Everything that is wrong, errors first."""
    try:
        other = other_version()
    except DatabaseError as error:
        what = f"cannot be opened: {' '.join(str(error).split())}"
        return [Finding(True, "database", what, "see DATABASE_URL", isinstance(error, OperationalError))]
    if other is not None:
        return [other]
    found = [
        *_site(),
        *disk_findings(Path(settings.DATA), database_elsewhere=connection.vendor != "sqlite"),
        *_people(),
        *_log(),
    ]
    for name in APPS:
        ask = getattr(apps.get_app_config(name), "doctor", None)
        found.extend(ask() if ask else ())
    return sorted(found, key=lambda f: not f.error)


def demo_findings() -> list[Finding]:
    """What keeps even a demo from starting: no database to work with, or a real site's.

    A demo asks for no TLS and for nothing that the policy wants before a start.
    """
    found = [finding for finding in findings() if finding.rule == "database"]
    held = None if found else Settings.current()
    if held is not None and DEMO_MARK not in held.agency:
        what = f"this is the site of {held.agency}, not a demo"
        found.append(Finding(True, "430.5-0", what, "start it without PLATEWARDEN_HQ_DEMO"))
    return found


def other_version() -> Finding | None:
    """What is wrong with a database that is older or newer than the code; None where they go together.

    Raises DatabaseError where it cannot be opened.
    """
    executor = MigrationExecutor(connection)
    if newer := _newer(executor.loader):
        return newer
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not waiting:
        return None
    return Finding(True, "database", f"migrations that wait: {len(waiting)}", "platewarden-hq migrate")


def newer_version() -> Finding | None:
    """What is wrong with a database that a newer version has brought up to date; None where none has.

    Raises DatabaseError where it cannot be opened.
    """
    return _newer(MigrationLoader(connection))


def _newer(loader: MigrationLoader) -> Finding | None:
    ours = {apps.get_app_config(name).label for name in APPS}
    unknown = sorted(
        f"{app}.{name}"
        for app, name in loader.applied_migrations
        if app in ours and (app, name) not in loader.disk_migrations
    )
    if not unknown:
        return None
    what = f"it is of a newer version, which made {unknown[0]}"
    return Finding(True, "database", what, "install that version, or restore a backup of this one")


def _site() -> Iterator[Finding]:
    held = Settings.current()
    if settings.SECRET_KEY_MISSING:
        yield Finding(
            True, "430.5-0", "no secret key", "set PLATEWARDEN_HQ_SECRET_KEY to 50 random characters"
        )
    elif len(settings.SECRET_KEY) < 50:
        yield Finding(True, "430.5-0", "the secret key is short", "make it 50 random characters at least")
    if held is None:
        yield Finding(True, "430.1", "no agency and policy are set", "platewarden-hq setup")
    elif not settings.DEMO and DEMO_MARK in held.agency:
        yield Finding(
            True, "430.1", "the data is a demo's", "use another PLATEWARDEN_HQ_DATA or DATABASE_URL"
        )
    else:
        for name in ("agency", "ori", "policy_id", "policy_version"):
            if not getattr(held, name):
                yield Finding(True, "430.1", f"the settings lack {name}", "propose settings with it")
        if held.meeting_on is None:
            yield Finding(False, "CC-55a", "no public meeting is recorded", "record it in the settings")
        if not held.website:
            yield Finding(
                False, "430.2.1(g)", "no page is named where the policy is posted", "name it in the settings"
            )
    if Path(settings.DATA).stat().st_mode & 0o007:
        yield Finding(
            True, "430.5-0", f"everybody can look into {settings.DATA}", f"chmod 700 {settings.DATA}"
        )
    if loud := databases.talkative():
        what = f"PostgreSQL writes plates into its own log: {', '.join(loud)}"
        yield Finding(False, "430.7-b", what, "its superuser sets what docs/hq-running.md names")
    for path in keys.exposed():
        yield Finding(True, "430.5-0", f"others can read {path}", f"chmod 600 {path}; make a new key")


def disk_findings(folder: Path, *, database_elsewhere: bool) -> Iterator[Finding]:
    """What is wrong about the encryption of the disks, where it cannot be seen and nobody has vouched for it.

    A disk that is seen to be in clear stays a warning even then: its own controller may encrypt it.
    """
    vouched = len(settings.DISK_STATEMENT.strip()) >= _LEAST_STATEMENT
    found = disks.state(folder)
    if found.kept is not disks.Kept.ENCRYPTED and not (vouched and found.kept is disks.Kept.UNKNOWN):
        yield Finding(
            not vouched,
            "430.5-0",
            f"disk encryption of {folder}: {found.kept.value} ({found.why})",
            _remedy(vouched, "move it to an encrypted disk"),
        )
    if database_elsewhere and not vouched:
        yield Finding(
            True,
            "430.5-0",
            "disk encryption of the PostgreSQL server: cannot tell from here",
            _remedy(vouched, "encrypt its disk"),
        )


def _remedy(vouched: bool, otherwise: str) -> str:
    if vouched:
        return "a statement vouches for it; see that it is true"
    return f"{otherwise}, or say in PLATEWARDEN_HQ_DISK_STATEMENT who vouches for it, since when and how"


def _people() -> Iterator[Finding]:
    for role, rule, error in (
        (Role.COMMANDER, "430.1", True),
        (Role.CUSTODIAN, "430.2.1(f)", True),
        (Role.OVERSEER, "430.2.1(e)", False),
        (Role.ADMINISTRATOR, "430.2-e", False),
        (Role.TRAINING_SERGEANT, "430.6", False),
        (Role.AUDITOR, "430.5(c)", False),
    ):
        if not holders(role):
            yield Finding(
                error, rule, f"nobody is appointed {role.label}", "the Commander appoints, under Accounts"
            )


def _log() -> Iterator[Finding]:
    # The checks of every app, as some guard their tables with triggers of their own.
    for message in checks.run_checks(tags=[checks.Tags.database], databases=[connection.alias]):
        if message.level >= checks.CRITICAL:
            yield Finding(True, "CJIS AU-9", str(message.msg), str(message.hint))
    newest = SignedHead.objects.first()
    if newest is None or clock.now() - newest.at > _DAY:
        yield Finding(
            False,
            "CJIS AU-9",
            "no head of the log was signed today",
            "platewarden-hq log copy FOLDER, or log head --sign",
        )
    if not AccessRecord.objects.filter(action="backups.make", at__gt=clock.now() - _DAY).exists():
        yield Finding(False, "CC-51a", "no backup was made today", "platewarden-hq backup, from a timer")
