"""The forms of searching: what a person types becomes an `Asked`; what it means is that module's business."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms

from hq.people.models import Person, Role
from hq.people.policy import Standing
from hq.records.models import Unit
from hq.search import canvass, localtime
from hq.search.asked import Asked, AskedError, Box, Circle, plate_text
from hq.search.finding import Reach
from hq.search.models import Shift

MOST_PAGES = 400


class Moment(forms.CharField):
    """A time that `localtime` reads."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=40, required=False, **kwargs)

    def clean(self, value: Any) -> datetime | None:
        text = super().clean(value)
        if not text:
            return None
        try:
            return localtime.parse(text)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


class PurposeFields(forms.Form):
    """Why and for whom: what the access log says beside what is asked."""

    purpose = forms.ChoiceField(label="Purpose")
    case = forms.CharField(
        label="Case or incident number",
        max_length=64,
        help_text="Where the purpose is a live hit, an audit, a course, a unit, a read, a request, a package "
        "or a proposal, its id.",
    )
    behalf_person = forms.CharField(
        label="On whose behalf: person", max_length=60, required=False, help_text="If it is not yourself."
    )
    behalf_agency = forms.CharField(
        label="On whose behalf: agency",
        max_length=60,
        required=False,
        help_text="If it is not yours. What is found goes to another agency by a release only (430.8).",
    )

    def __init__(self, standing: Standing, reach: Reach, data: Any = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.person = standing.person
        self.reach = reach
        choices = [(p.code, f"{p.title} ({p.clause})") for p in standing.purposes()]
        self.fields["purpose"].choices = choices  # type: ignore[attr-defined]

    @property
    def on_behalf_of(self) -> str:
        """Person and agency in one line."""
        parts = (self.cleaned_data.get("behalf_person", ""), self.cleaned_data.get("behalf_agency", ""))
        return ", ".join(part.strip() for part in parts if part.strip())


class WhereFields(forms.Form):
    """When and where."""

    since = Moment(label="From", help_text="Local time, such as 2026-06-03 14:30.")
    until = Moment(label="Before", help_text="With an offset such as -07:00 it need not be local.")
    unit = forms.ModelChoiceField(Unit.objects.none(), label="Unit", required=False, empty_label="any")
    deployment = forms.CharField(label="Deployment", max_length=200, required=False)
    south = forms.FloatField(label="South", required=False)
    west = forms.FloatField(label="West", required=False)
    north = forms.FloatField(label="North", required=False)
    east = forms.FloatField(label="East", required=False)
    lat = forms.FloatField(label="Centre, latitude", required=False)
    lon = forms.FloatField(label="Centre, longitude", required=False)
    metres = forms.FloatField(label="Radius in metres", required=False)

    def area(self) -> Box | Circle | None:
        """The area, if one is given wholly. Raises AskedError for half of one and for both kinds."""
        data = self.cleaned_data
        box = [data.get(name) for name in ("south", "west", "north", "east")]
        circle = [data.get(name) for name in ("lat", "lon", "metres")]
        given = [[part for part in parts if part is not None] for parts in (box, circle)]
        if all(given):
            raise AskedError("south", "give a box or a circle, not both")
        if given[0]:
            if len(given[0]) < 4:
                raise AskedError("south", "a box has four sides")
            return Box(*given[0])
        if given[1]:
            if len(given[1]) < 3:
                raise AskedError("lat", "a circle has a latitude, a longitude and a radius")
            return Circle(*given[1])
        return None


class SearchForm(PurposeFields, WhereFields):
    """A search; `asked` holds it once the form is valid."""

    field_order = ("purpose", "case", "behalf_person", "behalf_agency", "plate", "lookalikes")
    plate = forms.CharField(
        label="Plate",
        max_length=40,
        required=False,
        help_text="? stands for one unknown character, * for any number.",
    )
    lookalikes = forms.BooleanField(
        label="Look-alikes too (0 O D Q, 1 I, 8 B, 5 S, 2 Z, 6 G)", required=False
    )
    page = forms.IntegerField(min_value=1, max_value=MOST_PAGES, required=False, widget=forms.HiddenInput)
    asof = Moment(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asked = Asked()
        units = Unit.objects.order_by("unit_id")
        if self.reach.units is not None:
            units = units.filter(pk__in=self.reach.units)
        self.fields["unit"].queryset = units  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if not self.errors:
            try:
                self.asked = self._asked(data)
                self.asked.check()
                canvass.check_deployment(self.asked, self.person, data["case"])
            except AskedError as error:
                self.add_error(error.field if error.field in self.fields else None, str(error))
        return data

    def _asked(self, data: Mapping[str, Any]) -> Asked:
        return Asked(
            plate=plate_text(data.get("plate", "")),
            lookalikes=bool(data.get("lookalikes")),
            since=data["since"],
            until=data["until"],
            unit=data["unit"].pk if data["unit"] else "",
            deployment=data["deployment"].strip(),
            area=self.area(),
        )


class CanvassForm(SearchForm):
    """A canvass: every plate of a deployment, or of a place and a time (430.3(c)-1)."""

    plate = None  # type: ignore[assignment]
    lookalikes = None  # type: ignore[assignment]

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if not self.errors and not (self.asked.deployment or self.asked.area):
            self.add_error("deployment", "Give the deployment, or an area with a window.")
        return data


class ShiftForm(forms.ModelForm[Shift]):
    """That a unit is a person's for a time."""

    starts_at = Moment(label="From")
    ends_at = Moment(label="Until")

    class Meta:
        model = Shift
        fields = ("person", "unit", "starts_at", "ends_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        narrow = (Role.OFFICER, Role.DISPATCHER)
        people = Person.objects.filter(state="active", appointments__role__in=narrow).distinct()
        self.fields["person"].queryset = people  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        starts, ends = data.get("starts_at"), data.get("ends_at")
        if starts is None or ends is None:
            self.add_error("starts_at" if starts is None else "ends_at", "A shift begins and ends.")
        elif ends <= starts or (ends - starts).total_seconds() > 24 * 3600:
            self.add_error("ends_at", "A shift ends after it begins, within 24 hours.")
        return data
