"""The forms of retention, and the fields of a scope that evidence and releases share."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.core.files.uploadedfile import UploadedFile

from hq.people.forms import AskerField, day
from hq.records.models import Unit
from hq.retention.models import RECORD_CATEGORIES, Authority, Hold, Schedule
from hq.retention.scope import Scope, ScopeError
from hq.site import clock

MAX_DOCUMENT = 20 << 20


class MomentField(forms.DateTimeField):
    """A local date and time, shown by every browser as one."""

    widget = forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"})


def check_document(file: UploadedFile[bytes]) -> UploadedFile[bytes]:
    """Raises ValidationError for a scan that is empty or larger than MAX_DOCUMENT."""
    if not file.size:
        raise forms.ValidationError("The file is empty.")
    if file.size > MAX_DOCUMENT:
        raise forms.ValidationError(f"The file has more than {MAX_DOCUMENT >> 20} MB.")
    return file


class ScopeForm(forms.Form):
    """Which reads are meant; at least one bound."""

    plate = forms.CharField(
        max_length=32, required=False, help_text="? for one character, * for any number of them."
    )
    lookalikes = forms.BooleanField(label="Plates that look alike too (O and 0, B and 8 ...)", required=False)
    unit = forms.ModelChoiceField(Unit.objects.all(), required=False)
    since = MomentField(label="From", required=False)
    until = MomentField(label="Before", required=False)
    south = forms.FloatField(label="Area: south, degrees", required=False, min_value=-90, max_value=90)
    west = forms.FloatField(label="Area: west", required=False, min_value=-180, max_value=180)
    north = forms.FloatField(label="Area: north", required=False, min_value=-90, max_value=90)
    east = forms.FloatField(label="Area: east", required=False, min_value=-180, max_value=180)
    reads = forms.CharField(
        label="Only these reads", widget=forms.Textarea, required=False, help_text="Their ids, one a line."
    )
    SCOPE = ("plate", "lookalikes", "unit", "since", "until", "south", "west", "north", "east", "reads")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.errors and self.scope_needed(data):
            try:
                self._scope(data).check()
            except ScopeError as error:
                raise forms.ValidationError(str(error)) from error
        return data

    def scope_needed(self, data: dict[str, Any]) -> bool:
        """Whether a scope must be given."""
        return True

    def scope(self) -> Scope:
        """What was entered; of a valid form only."""
        return self._scope(self.cleaned_data)

    @staticmethod
    def _scope(data: dict[str, Any]) -> Scope:
        sides = [data.get(name) for name in ("south", "west", "north", "east")]
        if any(side is not None for side in sides) and None in sides:
            raise ScopeError("area: give all four sides or none")
        try:
            reads = tuple(UUID(word) for word in (data.get("reads") or "").split())
        except ValueError as error:
            raise ScopeError("reads: one of them is no id") from error
        unit = data.get("unit")
        return Scope(
            plate=data.get("plate") or "",
            unit=unit.unit_id if unit else "",
            since=data.get("since"),
            until=data.get("until"),
            area=None if None in sides else (sides[0], sides[1], sides[2], sides[3]),  # type: ignore[arg-type]
            reads=reads,
            lookalikes=bool(data.get("lookalikes")),
        )

    @classmethod
    def initial_of(cls, scope: Scope) -> dict[str, object]:
        """The fields that hold a scope."""
        south, west, north, east = scope.area or (None, None, None, None)
        return {
            "plate": scope.plate,
            "lookalikes": scope.lookalikes,
            "unit": scope.unit or None,
            "since": scope.since,
            "until": scope.until,
            "south": south,
            "west": west,
            "north": north,
            "east": east,
            "reads": "\n".join(str(read) for read in scope.reads),
        }


class ScheduleForm(forms.Form):
    """A new version of a schedule; the service refuses too few days, by the clause."""

    category = forms.SlugField(
        max_length=40,
        initial="alpr",
        help_text="alpr for reads, or one of: " + ", ".join(RECORD_CATEGORIES) + ".",
    )
    unit = forms.ModelChoiceField(
        Unit.objects.all(),
        label="Source",
        required=False,
        help_text="Only where one reader's reads are kept for another time than the others'.",
    )
    days = forms.IntegerField(
        label="Days kept",
        min_value=1,
        max_value=36_500,
        help_text="From the later of capture and receipt. Fewer than 365 take a stored authority.",
    )
    grace_days = forms.IntegerField(
        label="Days after which keeping longer is an alarm", min_value=1, max_value=365, initial=30
    )
    basis = forms.CharField(label="Records schedule or other basis", max_length=300)
    authority = forms.ModelChoiceField(
        Authority.objects.filter(kind=Authority.Kind.SHORTER),
        required=False,
        help_text="For fewer than 365 days (Government Code 34090.6).",
    )
    reason = forms.CharField(max_length=300)


class AuthorityForm(forms.ModelForm[Authority]):
    """A signed authority and its scan."""

    class Meta:
        model = Authority
        fields = (
            "kind", "title", "council_resolution", "resolution_on", "attorney", "consent_on", "signed_by",
            "least_days", "valid_from", "valid_until", "document",
        )  # fmt: skip
        widgets = {name: day() for name in ("resolution_on", "consent_on", "valid_from", "valid_until")}
        help_texts = {"least_days": "Below 365 only for retention below one year."}

    def clean_document(self) -> UploadedFile[bytes]:
        """Not empty, not too large."""
        return check_document(self.cleaned_data["document"])

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("kind") == Authority.Kind.DESTRUCTION and (data.get("least_days") or 365) < 365:
            self.add_error("least_days", "Only an authority for retention below one year allows fewer.")
        return data


class HoldForm(ScopeForm):
    """A hold: why, for whom, how long until somebody looks again, and which reads."""

    kind = forms.ChoiceField(choices=Hold.Kind.choices)
    case = forms.CharField(label="Case or claim number", max_length=64)
    requester = forms.CharField(label="Who asks for it, with agency", max_length=200)
    requested_by = AskerField(
        label="Their account", help_text="If they have one here: nobody releases what they wanted themselves."
    )
    reason = forms.CharField(max_length=500, widget=forms.Textarea)
    review_on = forms.DateField(label="To be reviewed on", widget=day())
    field_order = ("kind", "case", "requester", "requested_by", "reason", "review_on")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A hold rather keeps one read too many.
        del self.fields["lookalikes"]
        self.fields["plate"].help_text += " Plates that look alike are kept too."
        self.fields["review_on"].initial = clock.today() + timedelta(days=90)


class ReviewForm(forms.Form):
    """What a review of a hold found."""

    finding = forms.CharField(max_length=500, widget=forms.Textarea)
    next_on = forms.DateField(label="Look again on", widget=day())


class ProposalForm(forms.Form):
    """A destruction to propose."""

    schedule = forms.ModelChoiceField(Schedule.objects.filter(state=Schedule.State.IN_FORCE))
    authority = forms.ModelChoiceField(Authority.objects.filter(kind=Authority.Kind.DESTRUCTION))
