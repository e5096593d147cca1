"""The forms of the audit and breach pages."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django import forms

from hq.audits.models import Breach, Item, Plan, Step
from hq.audits.sample import AREAS
from hq.people.forms import day
from hq.people.models import Person
from hq.retention.scope import Scope
from hq.site import clock
from hq.site.moments import HappenedField, LookBackField
from hq.units.forms import MomentField


def _active() -> Any:
    return Person.objects.filter(state=Person.State.ACTIVE)


class PlanForm(forms.ModelForm):  # type: ignore[type-arg]
    """A version of the audit plan."""

    areas = forms.MultipleChoiceField(
        label="Risk areas",
        widget=forms.CheckboxSelectMultiple,
        choices=[(code, area.title) for code, area in AREAS.items()],
    )

    class Meta:
        model = Plan
        fields = (
            "frequency_days", "auditor", "other_auditor", "reviewer", "sample_size", "areas", "papers_days",
            "starts_on", "document",
        )  # fmt: skip
        widgets = {"starts_on": day()}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("auditor", "other_auditor", "reviewer"):
            self.fields[name].queryset = _active()  # type: ignore[attr-defined]


class MarkForm(forms.Form):
    """What an auditor makes of one record."""

    mark = forms.ChoiceField(choices=Item.Mark.choices)
    note = forms.CharField(max_length=480, required=False)

    def clean(self) -> dict[str, Any]:
        """A doubt says why."""
        data = super().clean() or self.cleaned_data
        if data.get("mark") != Item.Mark.OK and not str(data.get("note", "")).strip():
            self.add_error("note", "A query or violation needs a note.")
        return data


class FindingForm(forms.Form):
    """Something that no single record shows."""

    what = forms.CharField(label="What was found", max_length=500)


class AssignForm(forms.Form):
    """Who sees to a finding, by when."""

    to = forms.ModelChoiceField(label="Who sees to it", queryset=Person.objects.none())
    due = forms.DateField(label="By", widget=day())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["to"].queryset = _active()  # type: ignore[attr-defined]


class WordsForm(forms.Form):
    """A sentence that is kept: conclusion, resolution, note."""

    words = forms.CharField(max_length=500)


class PeriodForm(forms.Form):
    """The days that a report is about, both included."""

    since = LookBackField()
    until = LookBackField()

    def clean(self) -> dict[str, Any]:
        """In their order."""
        data = super().clean() or self.cleaned_data
        if data.get("since") and data.get("until") and data["since"] > data["until"]:
            self.add_error("until", "It ends before it starts.")
        return data


class BreachForm(forms.ModelForm):  # type: ignore[type-arg]
    """A breach as it becomes known."""

    detected_at = HappenedField(label="Detected at")
    began_at = MomentField(label="Began at, as far as known", required=False)
    ended_at = MomentField(label="Ended at", required=False)

    class Meta:
        model = Breach
        fields = ("what", "told_by", "detected_at", "began_at", "ended_at")

    def clean_detected_at(self) -> datetime:
        """Not in the future."""
        at: datetime = self.cleaned_data["detected_at"]
        if at > clock.now():
            raise forms.ValidationError("This time is yet to come.")
        return at


class StepForm(forms.ModelForm):  # type: ignore[type-arg]
    """What was done or learned."""

    class Meta:
        model = Step
        fields = ("kind", "what")


class ScopeForm(forms.Form):
    """How far a breach reached."""

    plate = forms.CharField(max_length=32, required=False, help_text="? for one character, * for any")
    unit = forms.CharField(label="Unit id", max_length=64, required=False)
    since = MomentField(required=False)
    until = MomentField(required=False)
    accounts = forms.CharField(
        label="Accounts that were used",
        max_length=400,
        required=False,
        help_text="User names, with spaces between. Then what they saw is counted.",
    )

    def scope(self) -> Scope:
        """The bounds as filled in."""
        data = self.cleaned_data
        return Scope(plate=data["plate"], unit=data["unit"], since=data["since"], until=data["until"])

    def names(self) -> list[str]:
        """The user names."""
        return str(self.cleaned_data["accounts"]).replace(",", " ").lower().split()


class NoticeForm(forms.Form):
    """Somebody who must be told."""

    to = forms.CharField(label="To whom", max_length=200)
    basis = forms.CharField(
        label="Statute or policy",
        max_length=200,
        help_text="Such as Civil Code 1798.29, or the CJIS Security Policy. Ask your counsel which apply.",
    )
    due_on = forms.DateField(label="Due", widget=day())


class FreezeForm(forms.Form):
    """The period of the log that is kept."""

    since = MomentField()
    until = MomentField()


def monday(text: str) -> date | None:
    """The day that a hidden field of the weekly review names, None for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
