"""What every HQ test needs: people of every role, a client that is logged in, a clock that stands still."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.hashers import make_password
from django.db import connections
from django.test import Client, TransactionTestCase
from django_otp import DEVICE_ID_SESSION_KEY

from hq.log import triggers
from hq.people import sessions
from hq.people.models import Appointment, Authenticator, Completion, Course, Grant, Person, Role
from hq.people.policy import RIGHTS
from hq.site import clock as clock_module

PASSWORD = "correct horse battery staple 7"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """SQLite in a file, as in life: the shared memory database knows no WAL and no waiting writers."""
    held = connections["default"].settings_dict
    if held["ENGINE"].endswith("sqlite3"):
        held["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "hq.sqlite3")
        held["OPTIONS"]["init_command"] = held["OPTIONS"]["init_command"].replace("=FULL", "=OFF")


@pytest.fixture(autouse=True, scope="session")
def _data_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """HQ's folder of data is none in the working directory."""
    folder = tmp_path_factory.mktemp("hq-data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(django_settings, "DATA", folder)
        patch.setattr(django_settings, "MEDIA_ROOT", folder / "pictures")
        yield


class Clock:
    """The time that HQ sees; it moves only when told."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def advance(self, **parts: float) -> datetime:
        self.at += timedelta(**parts)
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Holds HQ's clock at noon of a working day."""
    held = Clock(datetime(2026, 6, 3, 19, 0, 0, 123456, tzinfo=UTC))
    monkeypatch.setattr(clock_module, "source", held)
    return held


def _lift(alias: str) -> None:
    connection = connections[alias]
    with connection.cursor() as cursor:
        for table in triggers.tables():
            for statement in triggers.drops(connection, table):
                cursor.execute(statement)


@pytest.fixture(autouse=True, scope="session")
def _empties_protected_tables() -> Iterator[None]:
    """Transactional tests empty every table afterwards, which the triggers rightly refuse."""
    teardown = TransactionTestCase._fixture_teardown

    def emptied(self: TransactionTestCase) -> None:
        for alias in self._databases_names(include_mirrors=False):
            _lift(alias)
        teardown(self)
        for alias in self._databases_names(include_mirrors=False):
            triggers.install(connections[alias])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", emptied)
        yield


@pytest.fixture(autouse=True)
def _settings(settings: Any) -> None:
    """Plain HTTP and a cheap password hash; the tests of both put the real ones back."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.SECURE_SSL_REDIRECT = settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False


def _role(name: str) -> str:
    """A role's code from its code or its name on the pages."""
    codes = {role.label.lower(): role.value for role in Role} | {role.value: role.value for role in Role}
    return codes[name.lower()]


@pytest.fixture
def people(db: None) -> Callable[..., Person]:
    """Makes a person who can log in: `people("Investigator")`.

    role: name or code, or several, or "" for none. trained, state, second_factor: False or another state
    takes that away. grants: codes; by default those that the roles' rights need, but for restricted lists.
    """
    numbers = itertools.count(1)

    def make(
        role: str | Sequence[str] = "Investigator",
        *,
        trained: bool = True,
        state: str = "active",
        grants: Sequence[str] | None = None,
        second_factor: bool = True,
        rights: Sequence[str] = (),
        **fields: Any,
    ) -> Person:
        roles = [_role(name) for name in ([role] if isinstance(role, str) else role) if name]
        number = next(numbers)
        now, today = clock_module.now(), clock_module.today()
        given = {
            "username": f"{(roles or ['nobody'])[0]}{number}",
            "full_name": f"Test {(roles or ['Nobody'])[0].title().replace('_', ' ')} {number}",
            "title": "Sworn member",
            "agency": "Test Police Department",
            "password": make_password(PASSWORD),
            "password_once": False,
            "approved_at": now,
            "seen_at": now,
        } | fields
        person = Person.objects.create(state=state, **given)
        day = today - timedelta(days=30)
        delegated = {"starts_on": day, "document": "test", "approved_at": now}
        for name in roles:
            Appointment.objects.create(
                person=person, role=name, rights=list(rights) if name == Role.DESIGNEE else [], **delegated
            )
        if grants is None:
            held = {r.grant for r in RIGHTS.values() for name in roles if name in r.marks and r.grant}
            grants = sorted(held - {"restricted"})
        for code in grants:
            Grant.objects.create(person=person, code=code, **delegated)
        course, _ = Course.objects.get_or_create(
            code="alpr", version="1", defaults={"title": "ALPR use", "document": "test", "required_from": day}
        )
        if trained:
            Completion.objects.create(
                person=person,
                course=course,
                completed_on=today,
                expires_on=today + timedelta(days=365),
                trainer="Test Trainer",
            )
        if second_factor:
            Authenticator.objects.create(user=person, name="authenticator", confirmed=True)
        return person

    return make


@pytest.fixture
def client_for() -> Callable[..., Client]:
    """A client in which the person is logged in with the second factor.

    `client_for(person, purpose=..., case=..., on_behalf_of=...)`: the words go into the session.
    """

    def make(person: Person, **stated: str) -> Client:
        client = Client()
        client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
        session = client.session
        device = Authenticator.objects.filter(user=person, confirmed=True).first()
        if device is not None:
            session[DEVICE_ID_SESSION_KEY] = device.persistent_id
        session.update(stated)
        sessions.begin(session, person)
        session.save()
        client.cookies[django_settings.SESSION_COOKIE_NAME] = session.session_key
        return client

    return make


@pytest.fixture
def investigator(people: Callable[..., Person], client_for: Callable[..., Client], clock: Any) -> Client:
    """Somebody who may search, at the browser."""
    return client_for(people("Investigator"))
