"""The forms of the people pages: what must be filled in before policy is even asked."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django import forms

from hq.people import kiosks
from hq.people.models import (
    OFFICES,
    Appointment,
    Completion,
    Course,
    Departure,
    Grant,
    Kiosk,
    LastDay,
    Person,
    Role,
)
from hq.people.policy import COLUMNS, RIGHTS
from hq.site import clock


def day(**attrs: str) -> forms.DateInput:
    """A date field that every browser shows as one."""
    return forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", **attrs})


class AskerField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """Who asked for something, where that person has an account here: then somebody else decides on it."""

    def __init__(self, **kwargs: Any) -> None:
        people = Person.objects.exclude(state=Person.State.CLOSED)
        super().__init__(people, required=False, **kwargs)


class AccountForm(forms.ModelForm[Person]):
    """A proposed account (430.2.1(a)): title and kind always, employer and last day of a contractor."""

    class Meta:
        model = Person
        fields = ("username", "full_name", "title", "kind", "employer", "ends_on", "agency", "badge", "email")
        widgets = {"ends_on": day()}
        help_texts = {
            "employer": "Of a contractor.",
            "ends_on": "A contractor's; the account closes after it.",
        }

    def clean_username(self) -> str:
        """Small letters, as people type it."""
        return str(self.cleaned_data["username"]).strip().lower()

    def clean(self) -> dict[str, Any]:
        """A contractor has an employer and a last day."""
        data = super().clean() or self.cleaned_data
        if data.get("kind") == Person.Kind.CONTRACTOR:
            for name in ("employer", "ends_on"):
                if not data.get(name):
                    self.add_error(name, "A contractor's account needs it.")
        return data


class _DelegatedForm(forms.ModelForm[Any]):
    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        ends = data.get("ends_on")
        if ends and data.get("starts_on") and ends < data["starts_on"]:
            self.add_error("ends_on", "It ends before it starts.")
        return data


class RoleForm(_DelegatedForm):
    """An ordinary role, proposed."""

    class Meta:
        model = Appointment
        fields = ("role", "starts_on", "ends_on", "document", "note")
        widgets = {"starts_on": day(), "ends_on": day()}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = [r for r in Role.choices if r[0] not in OFFICES]  # type: ignore[attr-defined]


class OfficeForm(_DelegatedForm):
    """An office, which the Commander fills; a designee's rights are named."""

    rights = forms.MultipleChoiceField(
        label="Rights of a designee",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(a, f"{a}: {r.row}") for a, r in RIGHTS.items() if r.marks.get("commander") in ("a", "y")
                 and not a.startswith(("self.", "appointments."))],
    )  # fmt: skip

    class Meta:
        model = Appointment
        fields = ("role", "starts_on", "ends_on", "document", "note", "rights")
        widgets = {"starts_on": day(), "ends_on": day()}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = [(r.value, r.label) for r in Role if r in OFFICES]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Only a designee has named rights, and has at least one."""
        data = super().clean()
        if data.get("role") != Role.DESIGNEE:
            data["rights"] = []
        elif not data.get("rights"):
            self.add_error("rights", "Name at least one right.")
        return data


class GrantForm(_DelegatedForm):
    """Leave to see data beyond the role, proposed."""

    class Meta:
        model = Grant
        fields = ("code", "starts_on", "ends_on", "document", "note")
        widgets = {"starts_on": day(), "ends_on": day()}


class LastDayForm(forms.ModelForm[LastDay]):
    """Another last day for an account, proposed."""

    class Meta:
        model = LastDay
        fields = ("ends_on", "document", "note")
        widgets = {"ends_on": day()}


class KioskForm(_DelegatedForm):
    """A screen to be exempt from the lock: where, as what, why it is secure, for a year at most."""

    class Meta:
        model = Kiosk
        fields = ("place", "kind", "statement", "starts_on", "ends_on", "document")
        widgets = {"starts_on": day(), "ends_on": day(), "statement": forms.Textarea(attrs={"rows": 3})}
        help_texts = {"statement": "Who can be in the room, and how others are kept out of its sight."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["ends_on"].required = True

    def clean(self) -> dict[str, Any]:
        """A year at most: then somebody looks again."""
        data = super().clean()
        starts, ends = data.get("starts_on"), data.get("ends_on")
        if starts and ends and ends - starts > kiosks.LONGEST:
            self.add_error("ends_on", "A kiosk is approved for a year at most.")
        return data


class ReasonForm(forms.Form):
    """Why something is suspended, closed or ended."""

    reason = forms.CharField(max_length=200)


class CloseForm(ReasonForm):
    """Why an account is closed for good, and since when its person needs it no more (CJIS AC-2)."""

    left_on = forms.DateField(widget=day())

    def clean_left_on(self) -> date:
        """Not in the future: until then the account is needed."""
        left: date = self.cleaned_data["left_on"]
        if left > clock.today():
            raise forms.ValidationError("This day is yet to come.")
        return left


class LeavingForm(forms.ModelForm[Departure]):
    """That somebody left or changed duties, now, before or soon (CJIS AC-2)."""

    class Meta:
        model = Departure
        fields = ("person", "kind", "on", "told_by", "note")
        widgets = {"on": day()}
        help_texts = {
            "on": "May lie before today, or ahead.",
            "told_by": "Personnel, a supervisor; where it was not you who noticed.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = Person.objects.exclude(state=Person.State.CLOSED)
        self.fields["person"].queryset = people  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Not what an open notice says already."""
        data = super().clean() or self.cleaned_data
        said = Departure.objects.filter(
            person=data.get("person"), kind=data.get("kind", ""), seen_to_at=None
        ).first()
        if said is not None:
            self.add_error("person", f"Notice {said.pk} says so already and waits to be seen to.")
        return data


class CourseForm(forms.ModelForm[Course]):
    """A course or its new version."""

    roles = forms.MultipleChoiceField(
        label="Needed by",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(r.value, r.label) for r in Role if r.value in COLUMNS],
        help_text="None ticked: by everybody.",
    )

    class Meta:
        model = Course
        fields = ("code", "version", "title", "document", "validity_months", "required_from", "roles")
        widgets = {"required_from": day()}
        help_texts = {
            "validity_months": "Twelve at most (CJIS AT-2).",
            "required_from": "From this day a version replaces the one before it. Who has not completed it "
            "by then is refused, Training Sergeants too, whom another one certifies.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["required_from"].initial = clock.today() + timedelta(days=30)

    def clean_required_from(self) -> date:
        """Not today: nobody would have completed it, and nobody be let in who could certify anybody."""
        day: date = self.cleaned_data["required_from"]
        if day <= clock.today():
            raise forms.ValidationError("From tomorrow at the earliest: until then it must be completed.")
        return day


class RetireForm(forms.ModelForm[Course]):
    """That a course is needed no more, from when on and why."""

    class Meta:
        model = Course
        fields = ("retired_on", "retired_why")
        widgets = {"retired_on": day()}
        help_texts = {
            "retired_on": "From this day nobody needs it; completions stay. A version that is retired before "
            "it was ever needed does not replace the one before it."
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.required = True


class CompletionForm(forms.ModelForm[Completion]):
    """That somebody completed a course."""

    class Meta:
        model = Completion
        fields = ("person", "course", "completed_on", "trainer", "document")
        widgets = {"completed_on": day()}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = Person.objects.exclude(state=Person.State.CLOSED)
        self.fields["person"].queryset = people  # type: ignore[attr-defined]

    def clean_completed_on(self) -> date:
        """Not in the future."""
        done: date = self.cleaned_data["completed_on"]
        if done > clock.today():
            raise forms.ValidationError("This day is yet to come.")
        return done


def expiry(completed_on: date, months: int) -> date:
    """The last day a completion counts: the day before its monthly return."""
    year, month = divmod(completed_on.month - 1 + months, 12)
    first = date(completed_on.year + year, month + 1, 1)
    following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    length = (following - first).days
    return first + timedelta(days=min(completed_on.day, length) - 1) - timedelta(days=1)
