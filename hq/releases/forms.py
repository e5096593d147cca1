"""The forms of releases and partner agencies."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from hq.people import purposes
from hq.people.forms import AskerField, day
from hq.releases.models import Override, Partner, ReleaseRequest
from hq.retention.forms import ScopeForm, check_document
from hq.site import clock
from hq.site.moments import HappenedField


class RegisterForm(ScopeForm):
    """A written request as it came (430.8(a))."""

    kind = forms.ChoiceField(label="Who asks", choices=ReleaseRequest.Kind.choices)
    partner = forms.ModelChoiceField(
        Partner.objects.filter(approved_at__isnull=False, ended_at__isnull=True),
        required=False,
        help_text="Law enforcement and prosecutors only; others are not in the register.",
    )
    agency = forms.CharField(
        label="Name of the agency", max_length=200, help_text="As in the register, where it is a partner."
    )
    person_name = forms.CharField(label="Name of the person requesting", max_length=200)
    person_title = forms.CharField(label="Title", max_length=200, required=False)
    person_contact = forms.CharField(label="Telephone or e-mail", max_length=200, required=False)
    requested_by = AskerField(
        label="Their account",
        help_text="If they have one here: nobody decides what they asked for themselves.",
    )
    purpose = forms.ChoiceField(label="Intended purpose")
    purpose_text = forms.CharField(
        label="Intended purpose, in the request's words", max_length=500, widget=forms.Textarea
    )
    case = forms.CharField(label="Their case number", max_length=64, required=False)
    document = forms.FileField(label="The written request (scan or e-mail)")
    received_at = HappenedField(label="Received at")
    due_on = forms.DateField(
        label="To be answered by",
        widget=day(),
        required=False,
        help_text="Empty: ten days for a records request.",
    )
    pictures = forms.BooleanField(label="Pictures are asked for", required=False)
    field_order = (
        "kind", "partner", "agency", "person_name", "person_title", "person_contact", "requested_by",
        "purpose", "purpose_text", "case", "document", "received_at", "due_on", "pictures",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["purpose"].choices = [(p.code, p.title) for p in purposes.in_use().values()]  # type: ignore[attr-defined]

    def scope_needed(self, data: dict[str, Any]) -> bool:
        """What others ask for is the custodian's to understand."""
        return data.get("kind") == ReleaseRequest.Kind.AGENCY

    def clean(self) -> dict[str, Any]:
        """Of an agency, it is the partner, and who asks has a title and can be reached (430.8(a)1 and 2)."""
        data = super().clean() or self.cleaned_data
        if data.get("kind") == ReleaseRequest.Kind.AGENCY:
            for name in ("person_title", "person_contact"):
                if not data.get(name):
                    self.add_error(name, "An agency's request needs it.")
            partner = data.get("partner")
            if partner and data.get("agency") and not partner.named(data["agency"]):
                self.add_error("agency", f"The register names this partner {partner.agency}.")
        return data

    def clean_document(self) -> UploadedFile[bytes]:
        """Not empty, not too large."""
        return check_document(self.cleaned_data["document"])

    def clean_received_at(self) -> Any:
        """Not in the future."""
        if self.cleaned_data["received_at"] > clock.now():
            raise forms.ValidationError("This lies in the future.")
        return self.cleaned_data["received_at"]


class ReviewForm(forms.Form):
    """What the review found."""

    note = forms.CharField(label="What you found", max_length=500, widget=forms.Textarea)


class DecisionForm(ScopeForm):
    """The scope to approve: no more than was asked."""

    pictures = forms.BooleanField(label="With pictures", required=False)
    reason = forms.CharField(label="Reason of the decision", max_length=500, widget=forms.Textarea)
    field_order = (*ScopeForm.SCOPE, "pictures", "reason")


class PartnerForm(forms.ModelForm[Partner]):
    """A partner agency."""

    class Meta:
        model = Partner
        fields = ("agency", "ori", "kind", "agreement", "valid_until")
        widgets = {"valid_until": day()}
        help_texts = {"kind": "Only California law enforcement and prosecutors receive records by default."}

    def clean_agency(self) -> str:
        """Not one that is in the register: a newer agreement comes after the end of the older one."""
        agency = str(self.cleaned_data["agency"])
        if Partner.objects.filter(agency__iexact=agency, ended_at__isnull=True).exists():
            raise forms.ValidationError(
                "It is in the register. For a newer agreement the Commander ends the older one first."
            )
        return agency


class OverrideForm(forms.ModelForm[Override]):
    """A legal authority for a partner of a refused kind."""

    class Meta:
        model = Override
        fields = ("citation", "valid_until", "document")
        widgets = {"valid_until": day()}

    def clean_document(self) -> UploadedFile[bytes]:
        """Not empty, not too large."""
        return check_document(self.cleaned_data["document"])
