from __future__ import annotations

from pathlib import Path

from mqtt import topics
from tests.broker import ACL

PAGE = (Path(__file__).parents[2] / "docs" / "mqtt.md").read_text()


def test_the_page_names_every_topic() -> None:
    for name in topics.UP:
        assert f"`{topics.ROOT}/units/<unit>/up/{name}`" in PAGE
    for name in topics.DOWN:
        assert f"`{topics.ROOT}/units/<unit>/down/{name}`" in PAGE
    assert f"`{topics.ROOT}/groups/<group>/hotlist`" in PAGE


def test_the_acl_of_the_page_is_the_one_that_is_tested() -> None:
    assert ACL in PAGE
