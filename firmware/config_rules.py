"""The rules that bind several configuration options together, or an option to a file.

Owns the rules; each yields (option, problem) pairs and is left out where an option that it looks at
is wrong by itself, so that one mistake makes one line.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

Problem = tuple[str, str]
Rule = Callable[[Mapping[str, Any]], Iterator[Problem]]


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine, without asking a name server."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _picture(v: Mapping[str, Any]) -> Iterator[Problem]:
    for name in ("camera.width", "camera.height"):
        if v[name] % 2:
            yield name, f"{v[name]} is not allowed: must be even"


def _preview(v: Mapping[str, Any]) -> Iterator[Problem]:
    width, preview = v["camera.width"], v["camera.preview_width"]
    if preview > width:
        yield "camera.preview_width", f"{preview} is not allowed: must be at most camera.width, {width}"


def _light(v: Mapping[str, Any]) -> Iterator[Problem]:
    below, above = v["camera.night_below"], v["camera.day_above"]
    if above <= below:
        yield "camera.day_above", f"{above:g} is not allowed: must be above camera.night_below, {below:g}"


def _pins(v: Mapping[str, Any]) -> Iterator[Problem]:
    names = [f"signals.{part}_pin" for part in ("alarm_lamp", "status_lamp", "buzzer", "button")]
    if v["trigger.kind"] == "gpio":
        names.append("trigger.pin")
    user: dict[int, str] = {}
    for name in names:
        pin = v[name]
        if pin and pin in user:
            yield name, f"{pin} is not allowed: GPIO {pin} is {user[pin]}'s already"
        user.setdefault(pin, name)


def _backoff(v: Mapping[str, Any]) -> Iterator[Problem]:
    low, high = v["mqtt.backoff_min_s"], v["mqtt.backoff_max_s"]
    if high < low:
        yield "mqtt.backoff_max_s", f"{high:g} is not allowed: must be at least mqtt.backoff_min_s, {low:g}"


def _plain(section: str) -> Rule:
    """Plate data leaves the machine encrypted (430.5-0)."""

    def rule(v: Mapping[str, Any]) -> Iterator[Problem]:
        host = v[f"{section}.host"]
        secured = v[f"{section}.tls"] or v[f"{section}.allow_plain"]
        if v[f"{section}.enabled"] and not secured and not is_loopback(host):
            yield (
                f"{section}.tls",
                f'false is not allowed with the broker "{host}" on another machine: must be true, '
                f"or {section}.allow_plain = true where the network is closed",
            )

    return rule


def _demo(v: Mapping[str, Any]) -> Iterator[Problem]:
    for section in ("mqtt", "homeassistant"):
        host = v[f"{section}.host"]
        if v["unit.demo"] and v[f"{section}.enabled"] and not is_loopback(host):
            yield (
                "unit.demo",
                f'true is not allowed with {section}.host "{host}": a demo stays on this machine',
            )


def _pairs(v: Mapping[str, Any]) -> Iterator[Problem]:
    for section, one, other in (
        ("mqtt", "cert_file", "key_file"),
        ("mqtt", "username", "password_file"),
        ("homeassistant", "username", "password_file"),
    ):
        for have, lack in ((one, other), (other, one)):
            if v[f"{section}.{have}"] and not v[f"{section}.{lack}"]:
                yield f"{section}.{lack}", f'"" is not allowed: {section}.{have} needs it'


def _file(section: str, key: str, *, secret: bool = False, tls: bool = False) -> Rule:
    """A file that is named is there and readable; a secret one is not everybody's (430.5-0)."""

    def rule(v: Mapping[str, Any]) -> Iterator[Problem]:
        name = v[f"{section}.{key}"]
        if not name or not v[f"{section}.enabled"] or (tls and not v[f"{section}.tls"]):
            return
        try:
            with Path(name).open("rb"):
                mode = Path(name).stat().st_mode
        except OSError as error:
            yield f"{section}.{key}", f"{name} cannot be read: {error.strerror or error}"
            return
        if secret and mode & 0o007:
            yield f"{section}.{key}", f"{name} is open to every user of this machine: chmod o-rwx it"

    return rule


RULES: Final[tuple[Rule, ...]] = (
    _picture,
    _preview,
    _light,
    _pins,
    _backoff,
    _plain("mqtt"),
    _plain("homeassistant"),
    _demo,
    _pairs,
    _file("mqtt", "ca_file", tls=True),
    _file("mqtt", "cert_file", tls=True),
    _file("mqtt", "key_file", tls=True, secret=True),
    _file("mqtt", "password_file", secret=True),
    _file("mqtt", "list_key_file"),
    _file("homeassistant", "ca_file", tls=True),
    _file("homeassistant", "password_file", secret=True),
)


def broken_rules(values: Mapping[str, Any]) -> Iterator[Problem]:
    """(option, problem) for each rule that `values`, by "section.key" and without the wrong ones, breaks."""
    for rule in RULES:
        found: list[Problem] = []
        try:
            found.extend(rule(values))
        except KeyError:
            continue  # an option that the rule needs is wrong by itself and has its line already
        yield from found
