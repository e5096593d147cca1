"""What stands for a case: a number of the agency's own form, or the id of what table B7 names instead.

Owns that check for every page, call and form that asks for a case. The table itself is `hq.people.purposes`;
the app that owns a thing says how it is found (`identify`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from django.core.exceptions import ValidationError
from django.db import models

from hq.people.purposes import Purpose
from hq.site.models import Settings

Finder = Callable[[str], bool]

_SIGNS: Final = {"#": "[0-9]", "@": "[A-Z]"}
_PLAIN: Final = re.compile(r"(?=.*[0-9])[A-Z0-9][A-Z0-9 ./#_-]*", re.ASCII | re.IGNORECASE)
_MASK: Final = re.compile(r"(?:[#@]\+?|[A-Za-z0-9 ./_-])+", re.ASCII)
_UNCLEAR: Final = re.compile(r"#\+#|@\+@")

_finders: dict[str, Finder] = {}


def identify(kind: str, exists: Finder) -> None:
    """Say how things of a kind of table B7 are found: `exists` takes an id as typed, without its blanks."""
    _finders[kind] = exists


def known() -> frozenset[str]:
    """The kinds that can be found."""
    return frozenset(_finders)


def fault(purpose: Purpose, case: str) -> str:
    """What is wrong with the case given for a purpose, in words that repeat nothing of it; "" if right."""
    given = case.strip()
    if not given:
        return f"the purpose “{purpose.title}” needs the {purpose.case_label}"
    if purpose.case == "required":
        return number_fault(given)
    if not _finders[purpose.case](given):
        return f"the purpose “{purpose.title}” needs the {purpose.case_label}, and there is none of that id"
    return ""


def number_fault(case: str, *, own: bool = True) -> str:
    """What is wrong with a case or incident number; "" if nothing.

    `own` False is for another's number, such as a court's: it needs no more than a digit and plain signs.
    """
    given = case.strip()
    held = Settings.current() if own else None
    masks = split(held.case_pattern) if held else []
    if masks:
        if any(expression(mask).fullmatch(given) for mask in masks):
            return ""
        return f"a case or incident number of this agency looks like {' or '.join(masks)} (# digit, @ letter)"
    if _PLAIN.fullmatch(given):
        return ""
    return "a case or incident number has a digit, and nothing but letters, digits, spaces and . / # _ -"


def validate(case: str) -> None:
    """For a form field that takes a number of the own agency. Raises ValidationError."""
    if why := number_fault(case):
        raise ValidationError(f"{why[:1].upper()}{why[1:]}.")


def split(pattern: str) -> list[str]:
    """The masks of an agency's pattern, which are parted by commas."""
    return [mask.strip() for mask in pattern.split(",") if mask.strip()]


def validate_pattern(pattern: str) -> None:
    """Raises ValidationError for masks that no number, or too much, would fit."""
    for mask in split(pattern):
        if not _MASK.fullmatch(mask) or _UNCLEAR.search(mask):
            raise ValidationError(
                f"“{mask:.20}”: use # for a digit, @ for a letter, + behind one of them for more than one, "
                "and letters, digits, spaces and . / _ - for themselves; such as ##-#+"
            )
        if "#" not in mask:
            raise ValidationError(f"“{mask:.20}”: a number has at least one digit; such as ##-#+")


def expression(mask: str) -> re.Pattern[str]:
    """What a mask stands for."""
    parts = (_SIGNS.get(sign) or ("+" if sign == "+" else re.escape(sign)) for sign in mask)
    return re.compile("".join(parts), re.ASCII | re.IGNORECASE)


def row_of(model: type[models.Model], name: str = "pk") -> Finder:
    """A finder of rows by the field in which the id stands."""

    def exists(text: str) -> bool:
        field = model._meta.pk if name == "pk" else model._meta.get_field(name)
        assert isinstance(field, models.Field)
        try:
            value = field.to_python(text)
        except ValidationError:
            return False
        return model._default_manager.filter(**{name: value}).exists()

    return exists
