"""The rules that bind several configuration options together, or an option to a file.

Owns the rules. A rule is left out where an option that it needs is wrong by itself, so that one mistake
makes one line.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple


class Broken(NamedTuple):
    """A rule that is broken.

    Attributes:
        option: the option to change, "section.key".
        problem: its value, and what is allowed.
        related: the option whose value forbids it; it may be the one that the user wrote.
    """

    option: str
    problem: str
    related: str = ""


Rule = Callable[[Mapping[str, Any]], Iterator[Broken]]


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine, without asking a name server."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _even(name: str) -> Rule:
    def rule(v: Mapping[str, Any]) -> Iterator[Broken]:
        if v[name] % 2:
            yield Broken(name, f"{v[name]} is not allowed: must be even")

    return rule


def _preview(v: Mapping[str, Any]) -> Iterator[Broken]:
    width, preview = v["camera.width"], v["camera.preview_width"]
    if preview > width:
        problem = f"{preview} is not allowed: must be at most camera.width, {width}"
        yield Broken("camera.preview_width", problem, "camera.width")


def _light(v: Mapping[str, Any]) -> Iterator[Broken]:
    below, above = v["camera.night_below"], v["camera.day_above"]
    if above <= below:
        problem = f"{above:g} is not allowed: must be above camera.night_below, {below:g}"
        yield Broken("camera.day_above", problem, "camera.night_below")


def _pins(v: Mapping[str, Any]) -> Iterator[Broken]:
    names = [f"signals.{part}_pin" for part in ("alarm_lamp", "status_lamp", "buzzer", "button")]
    if v.get("trigger.kind") == "gpio":
        names.append("trigger.pin")
    user: dict[int, str] = {}
    for name in names:
        pin = v.get(name)
        if not pin:
            continue
        if pin in user:
            yield Broken(name, f"{pin} is not allowed: GPIO {pin} is {user[pin]}'s already", user[pin])
        user.setdefault(pin, name)


def _backoff(v: Mapping[str, Any]) -> Iterator[Broken]:
    low, high = v["mqtt.backoff_min_s"], v["mqtt.backoff_max_s"]
    if high < low:
        problem = f"{high:g} is not allowed: must be at least mqtt.backoff_min_s, {low:g}"
        yield Broken("mqtt.backoff_max_s", problem, "mqtt.backoff_min_s")


def _plain(section: str) -> Rule:
    """Plate data leaves the machine encrypted (430.5-0)."""

    def rule(v: Mapping[str, Any]) -> Iterator[Broken]:
        host = v[f"{section}.host"]
        secured = v[f"{section}.tls"] or v[f"{section}.allow_plain"]
        if v[f"{section}.enabled"] and not secured and not is_loopback(host):
            problem = (
                f'false is not allowed with the broker "{host}" on another machine: must be true, '
                f"or {section}.allow_plain = true where the network is closed"
            )
            yield Broken(f"{section}.tls", problem, f"{section}.host")

    return rule


def _demo(section: str) -> Rule:
    def rule(v: Mapping[str, Any]) -> Iterator[Broken]:
        host = v[f"{section}.host"]
        if v["unit.demo"] and v[f"{section}.enabled"] and not is_loopback(host):
            problem = f'true is not allowed with {section}.host "{host}": a demo stays on this machine'
            yield Broken("unit.demo", problem, f"{section}.host")

    return rule


def _both(section: str, one: str, other: str) -> Rule:
    def rule(v: Mapping[str, Any]) -> Iterator[Broken]:
        for have, lack in ((one, other), (other, one)):
            if v[f"{section}.{have}"] and not v[f"{section}.{lack}"]:
                problem = f'"" is not allowed: {section}.{have} needs it'
                yield Broken(f"{section}.{lack}", problem, f"{section}.{have}")

    return rule


def _file(section: str, key: str, *, secret: bool = False, tls: bool = False) -> Rule:
    """A file that is named is there and readable; a secret one is not everybody's (430.5-0)."""
    option = f"{section}.{key}"

    def rule(v: Mapping[str, Any]) -> Iterator[Broken]:
        name = v[option]
        if not name or not v[f"{section}.enabled"] or (tls and not v[f"{section}.tls"]):
            return
        try:
            with Path(name).open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
        except OSError as error:
            yield Broken(option, f"{name} cannot be read: {error.strerror or error}")
            return
        if secret and mode & 0o007:
            yield Broken(option, f"{name} is open to every user of this machine: chmod o-rwx it")

    return rule


RULES: Final[tuple[Rule, ...]] = (
    _even("camera.width"),
    _even("camera.height"),
    _preview,
    _light,
    _pins,
    _backoff,
    _plain("mqtt"),
    _plain("homeassistant"),
    _demo("mqtt"),
    _demo("homeassistant"),
    _both("mqtt", "cert_file", "key_file"),
    _both("mqtt", "username", "password_file"),
    _both("homeassistant", "username", "password_file"),
    _file("mqtt", "ca_file", tls=True),
    _file("mqtt", "cert_file", tls=True),
    _file("mqtt", "key_file", tls=True, secret=True),
    _file("mqtt", "password_file", secret=True),
    _file("mqtt", "list_key_file"),
    _file("homeassistant", "ca_file", tls=True),
    _file("homeassistant", "password_file", secret=True),
)


def broken_rules(values: Mapping[str, Any]) -> Iterator[Broken]:
    """What `values`, by "section.key" and without those that are wrong by themselves, breaks."""
    for rule in RULES:
        try:
            found = list(rule(values))
        except KeyError:
            continue  # an option that the rule needs is wrong by itself and has its line already
        yield from found
