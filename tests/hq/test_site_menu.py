"""The menu: under headings, only what the person may open; and the words that every page is made of."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse

from hq import APPS
from hq.api import tokens
from hq.people.models import Person
from hq.site.context import GROUPS
from hq.site.templatetags.hq import deed, lasting, percent, plainly

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
People = Callable[..., Person]
ClientFor = Callable[..., Client]


def menu(client: Client, path: str) -> str:
    page = client.get(path).content.decode()
    return page[page.index('id="pages"') : page.index("</nav>")]


def opened(menu: str) -> set[str]:
    return set(re.findall(r"<details open><summary>([^<]+)", menu))


def test_every_line_of_the_menu_has_its_heading() -> None:
    """A line that nobody placed would stand under "Other"."""
    placed = {address for _, addresses in GROUPS for address in addresses}
    assert len(placed) == sum(len(addresses) for _, addresses in GROUPS)
    for name in APPS:
        for label, address, _ in getattr(apps.get_app_config(name), "menu", ()):
            assert address in placed, label


def test_long_menu_shows_the_group_of_the_page_and_a_short_one_all(
    people: People, client_for: ClientFor
) -> None:
    commander = client_for(people("commander"))
    assert opened(menu(commander, "/")) == set()
    assert opened(menu(commander, reverse("retention:holds"))) == {"Records"}
    assert opened(menu(commander, reverse("people:propose"))) <= {"People"}
    sergeant = menu(client_for(people("training_sergeant")), "/")
    assert "<details>" not in sergeant
    assert "Training" in sergeant


def test_own_tokens_are_in_the_menu_of_those_who_have_any(people: People, client_for: ClientFor) -> None:
    person, boss = people("investigator"), people("administrator")
    assert reverse("api:own") not in menu(client_for(person), "/")
    tokens.propose(person, "case system", 30, boss)
    assert reverse("api:own") in menu(client_for(person), "/")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"stolen_vehicle": 41, "of": ["a", "b"]}, "stolen vehicle 41, of a, b"),
        ([["county.csv", "77"]], "county.csv, 77"),
        ("2026-06-03T19:00:00.00+00:00", "2026-06-03 12:00:00 -07:00"),
        ("7TST123", "7TST123"),
        (True, "yes"),
        (None, ""),
        (0, "0"),
    ],
)
def test_what_was_asked_is_told_in_words(value: Any, shown: str) -> None:
    assert plainly(value) == shown


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        (timedelta(0), "0 min"),
        (timedelta(minutes=59), "59 min"),
        (timedelta(minutes=61), "1 h 01 min"),
        (timedelta(days=1, hours=7), "31 h 00 min"),
        (timedelta(days=3), "3 days"),
    ],
)
def test_spans_are_told_in_words(span: timedelta, shown: str) -> None:
    assert lasting(span) == shown


def test_shares_and_deeds_are_told_in_words() -> None:
    assert percent(0.02) == "2 %"
    assert percent(0.00012) == "0.012 %"
    assert deed("reads.search") == "search reads, see pictures"
    assert deed("session.login") == "session login"
