"""The form of a policy text."""

from __future__ import annotations

from django import forms


class TextForm(forms.Form):
    """What the agency writes into a slot. Plain text; an empty line starts a paragraph."""

    text = forms.CharField(max_length=8000, widget=forms.Textarea(attrs={"rows": 12}))
