"""The app of the site's frame; first in the list, so that what it readies is there for the others."""

from __future__ import annotations

from typing import ClassVar

from django.apps import AppConfig
from django.forms import BaseModelForm


def _same(cls: type, _: object) -> type:
    return cls


# Generic in Django's type stubs, not in Django: lets a form say whose it is, ModelForm[Person].
setattr(BaseModelForm, "__class_getitem__", classmethod(_same))  # noqa: B010


class SiteConfig(AppConfig):
    name = "hq.site"
    label = "site"
    menu: ClassVar[list[tuple[str, str, str]]] = [
        ("Start", "site:home", "self.home"),
        ("Settings", "site:settings", "settings.view"),
    ]
