"""The topics between unit and HQ: their names, taken apart and put together.

    platewarden/v1/units/<unit>/up/{read,hit,picture,loss,access,status,chunk-request}
    platewarden/v1/units/<unit>/down/{receipt,chunk}
    platewarden/v1/groups/<group>/hotlist

Only `status` and `hotlist` are retained; both hold no plate (430.7-b). The broker's ACL gives a
unit its own tree alone, by the name in its certificate.
"""

from __future__ import annotations

import re
from typing import Final

from mqtt.errors import TopicError
from mqtt.fields import UNIT_REGEX

ROOT: Final = "platewarden/v1"
UP: Final = frozenset({"read", "hit", "picture", "loss", "access", "status", "chunk-request"})
DOWN: Final = frozenset({"receipt", "chunk"})
RETAINED: Final = frozenset({"status", "hotlist"})

EVERYTHING_UP: Final = f"{ROOT}/units/+/up/+"
"""The subscription of HQ."""


def check_name(name: str, what: str = "unit id") -> str:
    """Return a unit id or group name if it can stand in a topic. Raises TopicError."""
    if not re.fullmatch(UNIT_REGEX, name):
        raise TopicError(f"{what} {name!r:.80}: wants 1 to 64 letters, digits, dots, - and _")
    return name


def up(unit: str, name: str) -> str:
    """The topic on which a unit sends the message `name`."""
    return f"{ROOT}/units/{check_name(unit)}/up/{_member(name, UP)}"


def down(unit: str, name: str) -> str:
    """The topic on which HQ sends the message `name` to a unit."""
    return f"{ROOT}/units/{check_name(unit)}/down/{_member(name, DOWN)}"


def everything_down(unit: str) -> str:
    """The subscription of a unit."""
    return f"{ROOT}/units/{check_name(unit)}/down/+"


def hotlist(group: str) -> str:
    """The retained topic of a group's manifest."""
    return f"{ROOT}/groups/{check_name(group, 'group')}/hotlist"


def parse_up(topic: str) -> tuple[str, str]:
    """(unit, message name) of a topic that a unit sent on. Raises TopicError."""
    return _parse(topic, "up", UP)


def parse_down(topic: str) -> tuple[str, str]:
    """(unit, message name) of a topic that HQ sent on. Raises TopicError."""
    return _parse(topic, "down", DOWN)


def _parse(topic: str, way: str, names: frozenset[str]) -> tuple[str, str]:
    match = re.fullmatch(f"{ROOT}/units/({UNIT_REGEX})/{way}/([a-z-]+)", topic)
    if match is None or match[2] not in names:
        raise TopicError(f"{topic!r:.120}: is no topic of the way {way}")
    return match[1], match[2]


def _member(name: str, names: frozenset[str]) -> str:
    if name not in names:
        raise TopicError(f"message {name!r:.40}: is none of {', '.join(sorted(names))}")
    return name
