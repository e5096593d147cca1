"""Every address of HQ, walked: none without its guard, none for whom policy refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client

from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.people.policy import COLUMNS, RIGHTS
from tests.hq import addresses

pytestmark = pytest.mark.django_db
PUBLIC = {
    "people:login",
    "people:second_factor",
    "people:logout",
    "people:lock",
    "people:unlock",
    "site:source",
}
ROLES = [role if role == "officer" else pytest.param(role, marks=pytest.mark.slow) for role in COLUMNS]
"""Every role walks every address; the one that most have does so in the default suite."""
GUARDED = [(one.name, one.path(), one.action) for one in addresses.PAGES]


@pytest.mark.clause("430.5(a)")
@pytest.mark.clause("430.2.1(d)")
def test_every_address_is_a_guarded_page_or_a_known_public_one() -> None:
    """A new view that forgets `page` fails here; a public one must be named public where it is written."""
    public = [one.name for one in addresses.ALL if getattr(one.view, "public", False)]
    unguarded = {one.name for one in addresses.ALL if not one.action and not one.token_action}
    assert unguarded == set(public)
    assert {name for name in public if name.split(":")[0] in ("site", "people", "log")} == PUBLIC


@pytest.mark.clause("CJIS IA-2")
def test_nobody_sees_anything_with_the_password_alone(
    client_for: Callable[..., Client], people: Callable[..., Person]
) -> None:
    client = client_for(people(list(COLUMNS), second_factor=False))
    for name, path, _ in GUARDED:
        assert client.get(path).status_code in (302, 401, 405), name


@pytest.mark.clause("430.3(d)")
@pytest.mark.clause("430.2-e")
@pytest.mark.parametrize("lapse", ["untrained", pytest.param("no appointment", marks=pytest.mark.slow)])
def test_lapsed_person_sees_nothing(
    client_for: Callable[..., Client], people: Callable[..., Person], lapse: str
) -> None:
    person = (
        people("", grants=["dept_reads"])
        if lapse == "no appointment"
        else people(list(COLUMNS), trained=False)
    )
    client = client_for(person, purpose="criminal_investigation", case="26-1")
    for name, path, action in GUARDED:
        if lapse == "no appointment" and action.startswith("self."):
            continue
        assert client.get(path).status_code in (403, 405), name
        assert client.post(path).status_code in (403, 405), name


@pytest.mark.clause("430.2-d")
@pytest.mark.parametrize("role", ROLES)
def test_role_without_the_right_is_refused_with_the_clause_and_logged(
    client_for: Callable[..., Client], people: Callable[..., Person], role: str
) -> None:
    person = people(role, grants=["dept_reads", "restricted"])
    client = client_for(person)
    for name, path, action in GUARDED:
        right = RIGHTS[action]
        if role in right.marks:
            continue
        for method in (client.get, client.post):
            answer = method(path)
            assert answer.status_code in (403, 405), name
            if answer.status_code == 403:
                assert right.clause in answer.content.decode(), name
                row = AccessRecord.objects.first()
                assert row is not None
                assert (row.person, row.action, row.outcome) == (person, action, "refused")


@pytest.mark.clause("430.2.1(d)")
def test_nothing_is_shown_or_changed_when_the_log_cannot_be_written(
    client_for: Callable[..., Client], people: Callable[..., Person], monkeypatch: Any
) -> None:
    client = client_for(people(list(COLUMNS), grants=["dept_reads", "restricted"]))

    def broken(*_: object, **__: object) -> None:
        raise DatabaseError("disk is full")

    monkeypatch.setattr(AccessRecord, "save", broken)
    for name, path, _ in GUARDED:
        answer = client.get(path)
        if answer.status_code in (302, 405):
            continue
        assert answer.status_code == 503, name
        assert b"What is not recorded is not shown" in answer.content, name
    client.post(
        "/people/propose/",
        {"username": "new", "full_name": "New", "title": "T", "kind": "member", "agency": "A"},
    )
    assert not Person.objects.filter(username="new").exists()


@pytest.mark.clause("430.7-b")
def test_pages_are_kept_by_no_cache_and_load_nothing_from_elsewhere(
    client_for: Callable[..., Client], people: Callable[..., Person]
) -> None:
    answer = client_for(people("commander")).get("/")
    assert answer.headers["Cache-Control"] == "no-store"
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_no_template_has_inline_script_or_style() -> None:
    from hq.site.views import ROOT

    for file in (ROOT / "hq").rglob("templates/**/*.html"):
        text = file.read_text()
        if 'extends "site/base.html"' not in text and file.name != "base.html":
            continue  # a document of its own, such as an evidence package's index
        assert not re.search(r"<script(?![^>]*\bsrc=)|\bstyle=|<style|\son\w+=|javascript:", text), file.name


def test_person_is_told_which_clause_refuses_and_who_can_grant(
    client_for: Callable[..., Client], people: Callable[..., Person]
) -> None:
    answer = client_for(people("officer")).get("/people/")
    text = answer.content.decode()
    assert answer.status_code == 403
    assert "430.2.1(a)" in text
    assert "Commander for an appointment" in text


def test_source_of_the_running_version_is_handed_out(client: Client) -> None:
    answer = client.get("/source/")
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.content[:2] == b"PK"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "path"),
    [
        ("auditor", "/log/"),
        ("auditor", "/log/own/"),
        ("auditor", "/audits/reports/"),
        ("technician", "/hits/misreads/"),
    ],
)
@pytest.mark.parametrize("period", ["since=2026-01-01&until=9999-12-31", "since=0202-01-01&until=2026-06-03"])
def test_day_far_off_is_refused_at_its_field(
    people: Callable[..., Person], client_for: Callable[..., Client], role: str, path: str, period: str
) -> None:
    answer = client_for(people(role)).get(f"{path}?{period}")
    assert "Give a day from 2000-01-01 on, and within a year from now." in answer.content.decode()
