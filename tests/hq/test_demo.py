"""The demo agency: every page has something to show, and nothing in it went around the rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db.models import F
from django.template import defaulttags
from django.test import Client

from hq import demo
from hq.log import chain
from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.people.policy import RIGHTS
from hq.site import clock
from hq.site.doctor import DEMO_MARK
from hq.site.models import Settings
from tests.hq import addresses
from tests.hq.test_browser_pages import EXAMPLES, FILES, ROLES

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

EMPTY = {"log:removals": "there is nothing to remove before the log is two years old"}
"""Pages that a demo cannot fill."""
SEEN_BY = {"api:own": "investigator"}
"""Where not everybody who may look has something there."""
NO_EXAMPLE = {"log:removal"}


@pytest.fixture
def ids(settings: Any, tmp_path: Path) -> dict[str, Any]:
    """What the demo made."""
    settings.DEMO, settings.DATA, settings.MEDIA_ROOT = True, tmp_path, tmp_path / "pictures"
    return demo.build()


def test_it_is_made_on_an_evening_that_is_tomorrow_in_greenwich(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training that is completed today, and all that begins today, is today's at the agency."""
    settings.DEMO, settings.DATA, settings.MEDIA_ROOT = True, tmp_path, tmp_path / "pictures"
    now = datetime.now(UTC)
    tomorrow = now.date() + timedelta(days=1)
    ahead = datetime.combine(tomorrow, time(5), UTC) - now
    monkeypatch.setattr(clock, "source", lambda: datetime.now(UTC) + ahead)
    assert clock.today() < tomorrow
    assert demo.build()


@pytest.fixture
def lists_shown(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each list that has words for "none" had a row, on the pages rendered since this was emptied."""
    shown: list[bool] = []
    render = defaulttags.ForNode.render

    def watched(node: defaulttags.ForNode, context: Any) -> Any:
        if node.nodelist_empty:
            shown.append(bool(node.sequence.resolve(context, ignore_failures=True)))
        return render(node, context)

    monkeypatch.setattr(defaulttags.ForNode, "render", watched)
    return shown


def test_every_page_with_a_list_shows_at_least_one_row(
    ids: dict[str, Any], lists_shown: list[bool], client_for: Callable[..., Client]
) -> None:
    clients: dict[str, Client] = {}
    bare, looked_at = [], 0
    for page in addresses.PAGES:
        if page.name in FILES | NO_EXAMPLE or ("<" in page.route and page.name not in EXAMPLES):
            continue
        may = (name for role, name in ROLES.items() if role in RIGHTS[page.action].marks)
        who = SEEN_BY.get(page.name) or next(may)
        if who not in clients:
            clients[who] = client_for(
                Person.objects.get(username=who), purpose="criminal_investigation", case="26-4417"
            )
        path = (
            re.sub(r"<[^>]+>", str(ids[EXAMPLES[page.name]]), page.route) if "<" in page.route else page.route
        )
        lists_shown.clear()
        answer = clients[who].get(f"/{path}")
        if answer.status_code == 405 or page.name.startswith("search:canvass"):
            continue  # the target of a form, no page
        assert answer.status_code == 200, f"{page.name}: {answer.status_code}"
        looked_at += 1
        html = answer.content.decode()
        if (lists_shown and not any(lists_shown)) or ("<tbody" in html and "<td" not in html):
            bare.append(page.name)
    assert set(bare) <= EMPTY.keys(), bare
    assert looked_at > 60


@pytest.mark.clause("430.2-d")
def test_everything_in_it_took_two_persons_and_is_marked(ids: dict[str, Any]) -> None:
    pairs = (("proposed_by", "approved_by"), ("prepared_by", "approved_by"), ("registered_by", "decided_by"))
    looked_at = 0
    for model in apps.get_models():
        names = {field.name for field in model._meta.get_fields()}
        for first, second in pairs:
            if model.__module__.startswith("hq.") and {first, second} <= names:
                looked_at += model._default_manager.exclude(**{second: None}).count()
                alone = model._default_manager.filter(**{first: F(second)}).exclude(**{first: None})
                assert not alone.exists(), f"{model.__name__}: one person did both"
    assert looked_at > 10
    assert chain.verify() is None
    assert AccessRecord.objects.filter(action="destruction.run").exists()
    held = Settings.current()
    assert held is not None
    assert DEMO_MARK in held.agency
