"""The forms of a hit: what a person enters, checked for its form; the rules are `hq.hits.review`'s."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from hq.hits.models import Clets, Correction, Outcome, Visual
from hq.site import clock
from hq.site.moments import HappenedField, LookBackField
from plates.errors import TextError
from plates.text import normalise


def _radio(choices: list[tuple[str, str]], label: str, **more: Any) -> forms.ChoiceField:
    return forms.ChoiceField(choices=choices, label=label, widget=forms.RadioSelect, **more)


def _plate(text: str) -> str:
    try:
        return normalise(text) if text.strip() else ""
    except TextError as error:
        raise forms.ValidationError(f"{error}.") from error


class VisualForm(forms.ModelForm):  # type: ignore[type-arg]
    """Step 1. Nothing is chosen beforehand: whoever looks must say what they see."""

    plate = _radio(Visual.Plate.choices, "Plate, character by character")
    state = _radio(Visual.Other.choices, "State on the plate")
    vehicle = _radio(Visual.Other.choices, "Make, colour, body")

    class Meta:
        model = Visual
        fields = ("plate", "read_as", "state", "vehicle", "seen", "note")
        labels = {
            "read_as": "The plate as you read it",
            "seen": "The vehicle as you see it",
            "note": "Note",
        }
        help_texts = {
            "read_as": "Needed where it is another plate.",
            "seen": "From the scene picture, such as “grey sedan”.",
        }

    def clean_read_as(self) -> str:
        return _plate(self.cleaned_data["read_as"])

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if found.get("plate") == Visual.Plate.DIFFERS and not found.get("read_as"):
            self.add_error("read_as", "Say which plate you read.")
        return found


class CletsForm(forms.ModelForm):  # type: ignore[type-arg]
    """Step 2."""

    result = _radio(Clets.Result.choices, "What CLETS answered")
    answered_at = HappenedField(
        label="When it answered",
        required=False,
        help_text="Left empty: the moment at which you enter this.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S"),
        input_formats=["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"],
    )

    class Meta:
        model = Clets
        fields = ("result", "reason", "operator", "answered_at")
        labels = {"reason": "If not practicable: why", "operator": "Who ran the query"}

    def clean_answered_at(self) -> datetime | None:
        at: datetime | None = self.cleaned_data["answered_at"]
        # A browser's clock may be a little ahead.
        if at is not None and at > clock.now() + timedelta(seconds=1):
            raise forms.ValidationError("The answer cannot come from the future.")
        return at and min(at, clock.now())

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if found.get("result") == Clets.Result.NOT_PRACTICABLE and not found.get("reason", "").strip():
            self.add_error("reason", "Say why a check through CLETS was not practicable.")
        return found


class OutcomeForm(forms.ModelForm):  # type: ignore[type-arg]
    """How it ended."""

    kind = _radio(Outcome.Kind.choices, "What became of it")

    class Meta:
        model = Outcome
        fields = ("kind", "note")
        labels = {"note": "What was done"}


class CorrectionForm(forms.ModelForm):  # type: ignore[type-arg]
    """The right text of a misread."""

    class Meta:
        model = Correction
        fields = ("corrected", "why")
        labels = {"corrected": "What the plate says", "why": "How you know"}
        help_texts = {"why": "Such as “the picture shows a B”. The text that was read is kept beside yours."}

    def clean_corrected(self) -> str:
        return _plate(self.cleaned_data["corrected"])


class PeriodForm(forms.Form):
    """From which day to which, both included; the last 30 days unless said otherwise."""

    since = LookBackField(label="From")
    until = LookBackField(label="To")

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if "since" in found and "until" in found and found["since"] > found["until"]:
            self.add_error("until", "The last day lies before the first.")
        return found

    def period(self) -> tuple[datetime, datetime]:
        """The first moment within and the first one past, in the agency's time."""
        first, last = self.cleaned_data["since"], self.cleaned_data["until"]
        start = datetime(first.year, first.month, first.day)
        end = datetime(last.year, last.month, last.day) + timedelta(days=1)
        return timezone.make_aware(start), timezone.make_aware(end)
