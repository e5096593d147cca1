"""The forms of the lists' pages: what a person types, checked for its form; the rules are the services'."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django import forms

from hq.lists import classes, manual, partials
from hq.lists.models import CLASSES, HotList, HotListSource, ListGroup, Rules
from hq.lists.sift import MAPPED
from hq.lists.versions import classes_on
from hq.people import cases
from hq.people.policy import Standing
from hq.site import clock


class GroupForm(forms.ModelForm):  # type: ignore[type-arg]
    """A group of units."""

    class Meta:
        model = ListGroup
        fields = ("name", "note")
        help_texts: ClassVar = {"name": "As mqtt.group in the units' configuration."}


class ListForm(forms.ModelForm):  # type: ignore[type-arg]
    """A list: what it may hold and how long what is loaded matches."""

    classes = forms.MultipleChoiceField(
        choices=CLASSES, widget=forms.CheckboxSelectMultiple, label="Alarm classes it may hold"
    )

    class Meta:
        model = HotList
        fields = ("name", "group", "classes", "ttl_days", "reload_hours", "restricted", "active")
        help_texts: ClassVar = {
            "ttl_days": "1 to 30. A list that nobody loads again falls silent after this.",
            "restricted": "Its entries are masked for people without the grant (CJIS 4.2.2).",
        }

    def clean_classes(self) -> list[str]:
        return classes.check(self.cleaned_data["classes"])


class SourceForm(forms.ModelForm):  # type: ignore[type-arg]
    """One of a list's files."""

    class Meta:
        model = HotListSource
        fields = ("name", "format", "data", "alarm_class", "reason")
        help_texts: ClassVar = {
            "name": "Who keeps it, such as CLEW; shown with every hit, and so fixed once a file was loaded.",
            "data": "Its detail is shown to people with this grant only (430.3(e)).",
            "alarm_class": "For files that do not say the class of each line.",
            "reason": "For lines without one.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # By its name a hit tells whose data it is; under another its hits would be nobody's (430.3(e)).
        self.fields["name"].disabled = self.instance.pk is not None and self.instance.loaded()


class UploadForm(forms.Form):
    """A file of one of the list's sources."""

    source = forms.ModelChoiceField(HotListSource.objects.none())
    file = forms.FileField()

    def __init__(self, hot_list: HotList, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["source"].queryset = hot_list.sources.all()  # type: ignore[attr-defined]


class MappingForm(forms.Form):
    """Which column of a CSV file holds which field."""

    delimiter = forms.ChoiceField(
        choices=[(",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "bar"), (":", "colon")],
    )

    def __init__(self, columns: list[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", "none"), *((name, name) for name in dict.fromkeys(columns) if name)]
        for name in MAPPED:
            self.fields[f"column_{name}"] = forms.ChoiceField(
                label=classes.words(name).capitalize(), choices=choices, required=False
            )

    def mapping(self) -> dict[str, str]:
        """Field to column."""
        given = {name: self.cleaned_data[f"column_{name}"] for name in MAPPED}
        return {name: column for name, column in given.items() if column}


class StatedForm(forms.Form):
    """Purpose and case of what is entered: they go into the access log and onto the entry."""

    purpose = forms.ChoiceField()
    case = forms.CharField(label="Case or incident number", max_length=64, validators=[cases.validate])

    def __init__(self, standing: Standing, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["purpose"].choices = [  # type: ignore[attr-defined]
            (one.code, f"{one.title} ({one.clause})") for one in standing.purposes() if one.case == "required"
        ]


class EntryForm(StatedForm):
    """What a hot plate and a partial plate have in common."""

    group = forms.ModelChoiceField(ListGroup.objects.all(), label="Units")
    state = forms.RegexField(
        "^[A-Za-z]{2}$", required=False, label="Issuing state", help_text="Two letters, such as CA."
    )
    reason = forms.CharField(max_length=300, help_text="Shown to the officer beside the hit.")
    expiry = forms.DateField(label="Matches until the end of", widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["expiry"].initial = clock.today() + timedelta(days=7)
        if ListGroup.objects.count() == 1:
            self.fields["group"].initial = ListGroup.objects.get()

    def clean_state(self) -> str:
        return str(self.cleaned_data["state"]).upper()


class ManualForm(EntryForm):
    """A hot plate."""

    plate = forms.CharField(max_length=20, label="Plate")
    alarm_class = forms.ChoiceField(label="Alarm class")

    field_order = (
        "plate", "state", "alarm_class", "reason", "purpose", "case", "group", "expiry",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        on = classes_on()
        self.fields["alarm_class"].choices = [  # type: ignore[attr-defined]
            (name, label) for name, label in CLASSES if name in on
        ]

    def hot_plate(self) -> manual.HotPlate:
        """What was entered."""
        given = self.cleaned_data
        return manual.HotPlate(
            group=given["group"],
            plate=given["plate"],
            state=given["state"],
            alarm_class=given["alarm_class"],
            reason=given["reason"],
            case_number=given["case"],
            expiry=given["expiry"],
        )


class PartialForm(EntryForm):
    """A partial plate of a major incident."""

    pattern = forms.CharField(
        max_length=20, label="Partial plate", help_text="? is one character, * a run of any length: 7A?C*"
    )
    colour = forms.CharField(max_length=40, required=False)
    make = forms.CharField(max_length=40, required=False)
    body = forms.CharField(max_length=40, required=False, label="Body style")
    seen_from = forms.DateTimeField(
        required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    seen_until = forms.DateTimeField(
        required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    latitude = forms.FloatField(required=False, min_value=-90, max_value=90)
    longitude = forms.FloatField(required=False, min_value=-180, max_value=180)
    radius_m = forms.IntegerField(required=False, min_value=1, max_value=200_000, label="Radius in metres")

    field_order = (
        "pattern", "state", "colour", "make", "body", "reason", "purpose", "case", "expiry", "group",
        "seen_from", "seen_until", "latitude", "longitude", "radius_m",
    )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        area = [given.get(name) for name in ("latitude", "longitude", "radius_m")]
        if any(one is not None for one in area) and None in area:
            raise forms.ValidationError("An area takes latitude, longitude and radius.")
        return given

    def remembered(self) -> partials.Remembered:
        """What was entered."""
        given = self.cleaned_data
        area = None
        if given["radius_m"] is not None:
            area = partials.Area(
                latitude=given["latitude"], longitude=given["longitude"], radius_m=given["radius_m"]
            )
        return partials.Remembered(
            group=given["group"],
            pattern=given["pattern"],
            state=given["state"],
            reason=given["reason"],
            case_number=given["case"],
            expiry=given["expiry"],
            make=given["make"],
            colour=given["colour"],
            body=given["body"],
            seen_from=given["seen_from"],
            seen_until=given["seen_until"],
            area=area,
        )


class WhyForm(forms.Form):
    """The reason of taking something back."""

    why = forms.CharField(label="Reason", max_length=300)


class RulesForm(forms.ModelForm):  # type: ignore[type-arg]
    """A proposal for the agency's limits."""

    class Meta:
        model = Rules
        fields = ("manual_days", "partial_days", "partial_share", "recent_days", "reason")
