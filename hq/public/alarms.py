"""What about the posted policy needs somebody now."""

from __future__ import annotations

from datetime import timedelta

from hq.public import bundle, slots
from hq.public.models import PostedCheck, Publication
from hq.retention.alarms import Alarm
from hq.site import clock

CHECK_EVERY = timedelta(days=31)


def alarms() -> list[Alarm]:
    """Gaps, a bundle that is missing or out of date, a page that is not what was published."""
    found = [Alarm(gap.split(": ")[0], gap.split(": ", 1)[1]) for gap in slots.gaps()]
    last = Publication.objects.first()
    if last is None:
        return [*found, Alarm("430.2.1(g)", "the policy has not been published")]
    for title in sorted(set(slots.titles()) - set(last.titles)):
        found.append(Alarm("430.2.1(a)", f"the published policy does not name the title {title}"))
    if bundle.stale():
        found.append(Alarm("430.2.1(g)", "the settings changed since the policy was published"))
    check = PostedCheck.objects.first()
    if check is None or check.at < clock.now() - CHECK_EVERY:
        found.append(Alarm("430.2.1(g)", "the posted page was not compared in the last 31 days"))
    elif not check.good or check.publication_id != last.pk:
        what = check.get_outcome_display() if check.publication_id == last.pk else "an earlier bundle"
        found.append(Alarm("430.2.1(g)", f"the posted page is not the published one: {what}"))
    return found
