"""The app of searching."""

from typing import ClassVar

from django.apps import AppConfig


class SearchConfig(AppConfig):
    name = "hq.search"
    label = "search"
    menu: ClassVar = [
        ("Search", "search:form", "reads.search"),
        ("Canvass", "search:canvass", "deployments.canvass"),
        ("Shifts", "search:shifts", "shifts.view"),
    ]

    def ready(self) -> None:
        from hq.people import cases
        from hq.records.models import Read

        cases.identify("read", cases.row_of(Read))
