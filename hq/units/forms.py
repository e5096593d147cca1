"""The forms of the units pages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.core.validators import RegexValidator

from hq.people import cases
from hq.people.forms import day
from hq.records.models import Unit
from hq.site import clock
from hq.site.moments import HappenedField
from hq.units.models import Deployment, Device, Wipe, Work


class MomentField(forms.DateTimeField):
    """A local date and time, shown by every browser as one."""

    widget = forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"})


class DeviceForm(forms.ModelForm):  # type: ignore[type-arg]
    """What the register says of a unit."""

    name = forms.CharField(max_length=200, required=False)

    class Meta:
        model = Device
        fields = (
            "serial", "mount", "site", "latitude", "longitude", "heading", "camera", "installed_by",
            "installed_on", "document",
        )  # fmt: skip
        widgets = {"installed_on": day()}

    def clean(self) -> dict[str, Any]:
        """A position has two halves."""
        data = super().clean() or self.cleaned_data
        if (data.get("latitude") is None) != (data.get("longitude") is None):
            self.add_error("longitude", "Give both latitude and longitude, or neither.")
        return data


class RegisterForm(DeviceForm):
    """A unit that is new to the register; it may have been heard already."""

    unit_id = forms.CharField(
        label="Unit id",
        max_length=64,
        help_text="As in the unit's configuration and the common name of its certificate.",
        validators=[
            RegexValidator(r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z", "letters, digits, dot, dash, underscore")
        ],
    )
    field_order = ("unit_id", "name")

    def clean_unit_id(self) -> str:
        """Not in the register yet."""
        unit_id = str(self.cleaned_data["unit_id"])
        if Device.objects.filter(unit=unit_id).exists():
            raise forms.ValidationError("This unit is in the register already.")
        return unit_id


class ChangeForm(DeviceForm):
    """A change of the register, with its reason."""

    why = forms.CharField(label="Reason for the change", max_length=200)


class ReasonForm(forms.Form):
    """Why something is approved, accepted or ended."""

    reason = forms.CharField(max_length=150)


class RetireForm(ReasonForm):
    """Why a unit is retired and which of its records are given up."""

    lost = forms.CharField(
        label="Records that are given up",
        max_length=150,
        required=False,
        help_text="Needed while records of this unit have not come.",
    )


class WorkForm(forms.ModelForm):  # type: ignore[type-arg]
    """A line of the maintenance log."""

    at = HappenedField(label="Done at")

    class Meta:
        model = Work
        fields = ("kind", "at", "done_by", "note", "document")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = (Work.Kind.REGISTER, Work.Kind.REMOVAL)
        self.fields["kind"].choices = [c for c in Work.Kind.choices if c[0] not in own]  # type: ignore[attr-defined]

    def clean_at(self) -> datetime:
        """Not in the future."""
        at: datetime = self.cleaned_data["at"]
        if at > clock.now():
            raise forms.ValidationError("This time is yet to come.")
        return at


class WipeForm(forms.ModelForm):  # type: ignore[type-arg]
    """How a medium was sanitised."""

    wiped_at = HappenedField(label="Wiped at")

    class Meta:
        model = Wipe
        fields = ("medium", "method", "wiped_by", "wiped_at")


class DeploymentForm(forms.ModelForm):  # type: ignore[type-arg]
    """A deployment for an incident."""

    until = MomentField(label="Expected to end")

    class Meta:
        model = Deployment
        fields = ("code", "incident", "kind", "units", "area", "requested_by", "until")
        widgets = {"units": forms.CheckboxSelectMultiple}
        help_texts = {"code": "A short name; set as unit.deployment on the units it is in every read."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        enrolled = Unit.objects.filter(state=Unit.State.ENROLLED)
        self.fields["units"].queryset = enrolled  # type: ignore[attr-defined]
        self.fields["incident"].validators.append(cases.validate)

    def clean_until(self) -> datetime:
        """Later than now."""
        until: datetime = self.cleaned_data["until"]
        if until <= clock.now():
            raise forms.ValidationError("This time has passed.")
        return until
