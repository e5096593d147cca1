"""The forms of evidence packages."""

from __future__ import annotations

from typing import Any

from django import forms

from hq.people import cases
from hq.retention.forms import ScopeForm
from hq.retention.models import Hold
from hq.site import clock
from hq.site.moments import HappenedField


class RequestForm(ScopeForm):
    """A package to ask for."""

    case = forms.CharField(label="Case number", max_length=64, validators=[cases.validate])
    reason = forms.CharField(label="What it is evidence of", max_length=500, widget=forms.Textarea)
    hold = forms.ModelChoiceField(
        Hold.objects.filter(released_at__isnull=True),
        required=False,
        help_text="The hold that keeps these reads.",
    )
    pictures = forms.BooleanField(label="With pictures", required=False, initial=True)
    field_order = ("case", "reason", "hold", "pictures")


class BookingForm(forms.Form):
    """Where the medium lies."""

    medium = forms.CharField(label="Kind of medium", max_length=64, help_text="USB stick, DVD-R ...")
    medium_serial = forms.CharField(label="Serial number of the medium", max_length=64)
    evidence_number = forms.CharField(label="Evidence or property number", max_length=64)
    booked_where = forms.CharField(label="Property room or locker", max_length=128)
    booked_name = forms.CharField(label="Booked by", max_length=128)
    booked_on = HappenedField(label="Booked at")

    def clean_booked_on(self) -> Any:
        """Not in the future."""
        if self.cleaned_data["booked_on"] > clock.now():
            raise forms.ValidationError("This lies in the future.")
        return self.cleaned_data["booked_on"]
