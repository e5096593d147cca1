"""The pages of standing approvals and of which unit is in which group."""

from __future__ import annotations

from typing import ClassVar

from django import forms
from django.contrib import messages
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from hq.lists import groups, standing
from hq.lists.models import HotListSource, ListGroup, StandingApproval
from hq.people.decorators import PageRequest, page
from hq.people.policy import may
from hq.records.models import Unit


class StandingForm(forms.ModelForm):  # type: ignore[type-arg]
    """The bounds of an approval."""

    class Meta:
        model = StandingApproval
        fields = ("most_entries", "most_change", "ends_on", "reason")
        labels: ClassVar = {
            "most_entries": "Most entries",
            "most_change": "Most change, percent",
            "ends_on": "Ends on",
            "reason": "Reason, document",
        }
        help_texts: ClassVar = {
            "most_change": "Added, changed and removed together, against the load in force.",
            "ends_on": "A year ahead at most.",
        }
        widgets: ClassVar = {"ends_on": forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})}


class MemberForm(forms.Form):
    """A unit and the group whose list it takes."""

    unit = forms.ModelChoiceField(Unit.objects.none())
    group = forms.ModelChoiceField(ListGroup.objects.all())

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        enrolled = Unit.objects.filter(state=Unit.State.ENROLLED).order_by("unit_id")
        self.fields["unit"].queryset = enrolled  # type: ignore[attr-defined]


@page("lists.view")
def approvals(request: PageRequest) -> HttpResponseBase:
    """Every standing approval: what waits, what is in force, what has ended."""
    rows = StandingApproval.objects.select_related(
        "source__hot_list", "proposed_by", "approved_by", "ended_by"
    )
    shown = [(row, _state(row), may(request.person, "lists.approve", obj=row)) for row in rows[:100]]
    request.access.result_count = len(shown)
    context = {
        "rows": shown,
        "sources": HotListSource.objects.filter(hot_list__active=True).select_related("hot_list"),
        "may_propose": may(request.person, "lists.import"),
    }
    return render(request, "lists/standing.html", context)


@page("lists.import")
def propose(request: PageRequest, pk: int) -> HttpResponseBase:
    """Propose a standing approval for a source as it is read now."""
    source = get_object_or_404(HotListSource.objects.select_related("hot_list"), pk=pk)
    form = StandingForm(request.POST or None, instance=StandingApproval(source=source))
    if request.method == "POST" and form.is_valid():
        made = standing.propose(request.person, form.save(commit=False))
        request.access.ids, request.access.note = [made.pk], made.reason
        messages.success(request, "Proposed. The Commander approves it.")
        return redirect("lists:approvals")
    return render(request, "lists/form.html", {"form": form, "title": f"Standing approval for {source}"})


@require_POST
@page("lists.approve")
def approve(request: PageRequest, pk: int) -> HttpResponseBase:
    """Give a standing approval, as a second person."""
    held = standing.approve(request.person, pk)
    request.access.ids = [held.pk]
    messages.success(request, f"Loads of {held.source} within these bounds go to the units by themselves.")
    return redirect("lists:approvals")


@require_POST
@page("lists.view")
def end(request: PageRequest, pk: int) -> HttpResponseBase:
    """End or decline one."""
    held = standing.end(request.person, pk, request.POST.get("why", "")[:200])
    request.access.ids, request.access.note = [held.pk], held.ended_why
    messages.success(request, "Ended: the next load waits for a person.")
    return redirect("lists:approvals")


@page("lists.import")
def member(request: PageRequest) -> HttpResponseBase:
    """Put a unit into a group."""
    form = MemberForm(request.POST or None, initial={"unit": request.GET.get("unit", "")})
    if request.method == "POST" and form.is_valid():
        unit, group = form.cleaned_data["unit"], form.cleaned_data["group"]
        former = groups.put(unit, group, by=request.person)
        request.access.ids = [unit.pk]
        request.access.elements = {"unit": unit.pk, "group": group.name, "before": former}
        return redirect("lists:index")
    return render(request, "lists/form.html", {"form": form, "title": "Put a unit into a group"})


def _state(row: StandingApproval) -> str:
    if row.ended_at is not None:
        return "ended"
    if row.approved_at is None:
        return "proposed"
    return "in force" if standing.current(row.source) == row else "ran out"
