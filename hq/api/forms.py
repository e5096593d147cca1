"""The forms of tokens and feeds."""

from __future__ import annotations

from typing import Any

from django import forms

from hq.api.models import LONGEST, ApiToken, Feed
from hq.people import purposes
from hq.people.models import Person


class TokenForm(forms.Form):
    """A token for a person's program."""

    person = forms.ModelChoiceField(Person.objects.filter(state="active"), label="In whose name")
    program = forms.CharField(
        label="Program", max_length=ApiToken._meta.get_field("program").max_length,
        help_text="Which program uses it, and where it runs.",
    )  # fmt: skip
    days = forms.IntegerField(label="For how many days", min_value=1, max_value=LONGEST.days, initial=30)


class FeedForm(forms.ModelForm[Feed]):
    """A feed to a program of the own agency."""

    url = forms.URLField(label="Address", max_length=500, assume_scheme="https")
    purpose = forms.ChoiceField(label="Purpose")

    class Meta:
        model = Feed
        fields = ("name", "responsible", "agency", "url", "what", "purpose", "document")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["purpose"].choices = [  # type: ignore[attr-defined]
            (p.code, f"{p.title} ({p.clause})") for p in purposes.in_use().values()
        ]
