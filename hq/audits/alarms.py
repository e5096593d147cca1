"""What about audits, reviews and breaches needs somebody now."""

from __future__ import annotations

from datetime import timedelta

from hq.audits import accounts, breaches, reviews, runs
from hq.audits.models import Breach, Plan
from hq.retention.alarms import Alarm
from hq.site import clock


def alarms() -> list[Alarm]:
    """Everything that waits or is late, for the pages and the digest. Holds no plate."""
    found = []
    plan = Plan.current()
    if plan is None:
        found.append(Alarm("430.5(c)", "no audit plan is in force"))
    elif runs.overdue():
        found.append(Alarm("430.5(c)", f"the audit is overdue since {runs.due_on(plan)}"))
    if findings := runs.late_findings().count():
        found.append(Alarm("430.5(c)", f"findings past their day: {findings}"))
    if weeks := reviews.waiting():
        found.append(
            Alarm("CJIS AU-6", f"weeks of the log that are not reviewed: {len(weeks)}, from {weeks[0]}")
        )
    day = reviews.reevaluation_due()
    if day is not None and day <= clock.today():
        found.append(
            Alarm("2019-118 rec. 19", f"the retention is to be re-evaluated every two years, due {day}")
        )
    day = accounts.due()
    if day is not None and day <= clock.today():
        found.append(Alarm(accounts.CLAUSE, f"the accounts are to be reviewed every year, due {day}"))
    for late in accounts.late_notices():
        text = f"{late} came {late.days_after} days after the last day, and a day is allowed"
        found.append(Alarm(accounts.CLAUSE, text))
    for notice in breaches.due():
        state = "overdue since" if notice.due_on < clock.today() else "due"
        found.append(
            Alarm("430.5-z", f"notice of breach {notice.breach_id} to {notice.to}: {state} {notice.due_on}")
        )
    for breach in Breach.objects.filter(closed_at=None, detected_at__lt=clock.now() - timedelta(days=1)):
        if not breach.steps.filter(kind="containment").exists():
            found.append(Alarm("430.5-z", f"breach {breach.pk} has no containment recorded"))
    return found
