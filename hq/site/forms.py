"""The form of the agency's settings."""

from __future__ import annotations

from typing import Any

from django import forms

from hq.people import cases, purposes
from hq.site.models import Settings
from plates.words import CLASS_RULES


class SettingsForm(forms.ModelForm[Settings]):
    """A new version of the settings, with the reason for it."""

    purposes_off = forms.MultipleChoiceField(
        label="Purposes the agency does not use",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(p.code, p.title) for p in purposes.ALL.values()],
    )
    classes_off = forms.MultipleChoiceField(
        label="Alarm classes the agency does not use",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(c.value, c.value.replace("_", " ")) for c, r in CLASS_RULES.items()
                 if r.allowed and r.default_on],
    )  # fmt: skip
    classes_on = forms.MultipleChoiceField(
        label="Restricted alarm classes the agency uses",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(c.value, c.value.replace("_", " ")) for c, r in CLASS_RULES.items()
                 if r.allowed and not r.default_on],
    )  # fmt: skip

    class Meta:
        model = Settings
        fields = (
            "agency",
            "ori",
            "policy_id",
            "policy_version",
            "meeting_on",
            "meeting_body",
            "meeting_minutes",
            "website",
            "purposes_off",
            "classes_off",
            "classes_on",
            "case_pattern",
            "reason",
        )
        widgets = {"meeting_on": forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})}
        help_texts = {
            "case_pattern": "# is a digit, @ a letter, + behind one of them more than one, such as ##-#+; "
            "several forms with commas between them. Empty: anything with a digit."
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["reason"] = ""
        self.fields["case_pattern"].validators.append(cases.validate_pattern)
