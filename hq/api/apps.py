"""The app of the API and the feeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.apps import AppConfig

if TYPE_CHECKING:
    from hq.people.models import Person


class ApiConfig(AppConfig):
    name = "hq.api"
    label = "api"
    menu: ClassVar = [
        ("API tokens", "api:tokens", "tokens.view"),
        ("Feeds", "api:feeds", "feeds.view"),
    ]

    def menu_of(self, person: Person) -> list[tuple[str, str]]:
        """The own tokens, for whom any was proposed."""
        from hq.api.models import ApiToken

        held = ApiToken.objects.filter(person=person).exists()
        return [("Your API tokens", "api:own")] if held else []
