"""The demo's office work: retention, holds, packages, releases, audits, breaches, accounts, tokens, mail."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.management import call_command

from hq.api.models import ApiToken, Feed
from hq.audits import accounts, breaches, reviews, runs
from hq.audits.models import Breach, Item, Plan
from hq.demo.agency import OTHER, PLATE, UNIT, Agency
from hq.demo.desk import post
from hq.evidence import packages
from hq.evidence.models import Package
from hq.log import chain, heads
from hq.mail import outbox
from hq.people.models import Appointment, Course, Grant, Person
from hq.public import bundle, texts
from hq.releases import partners, requests
from hq.releases.models import ReleaseRequest
from hq.retention import holds, proposals, purge, schedules
from hq.retention.models import Authority
from hq.retention.scope import Scope
from hq.site.models import Settings

_SCHEDULE = "Records retention schedule, item 12.3 (demo)"


def keeping(made: Agency) -> None:
    """Schedules in force and waiting, a certificate, a proposal that lacks its last signature, holds."""
    admin, commander, custodian, clerk = made.who("administrator", "commander", "custodian", "clerk")
    with made.ago(days=30):
        held = schedules.propose(admin, category="alpr", days=365, basis=_SCHEDULE, reason="First version")
        schedules.approve(commander, held.pk)
        schedule = schedules.cosign(custodian, held.pk)
    authority = schedules.store_authority(
        admin,
        Authority(
            kind="destruction", title="Standing authority to destroy ALPR reads (demo)",
            council_resolution="Resolution 7777", resolution_on=made.today - timedelta(days=300),
            attorney="T. Agency-Attorney", consent_on=made.today - timedelta(days=305), signed_by="The Mayor",
            valid_from=made.today - timedelta(days=60), valid_until=made.today + timedelta(days=300),
        ),
        ContentFile(b"%PDF- signed (demo)", "resolution.pdf"),
    )  # fmt: skip
    gone = proposals.propose(admin, schedule, authority)
    proposals.approve(commander, gone.pk)
    proposals.cosign(custodian, gone.pk)
    certificate = purge.run(gone.pk, run_by="demo")
    for number in range(3):
        made.street.passed(f"1BBB00{number}", made.before(days=390 + number), pictures=False)
    made.street.come()
    first = proposals.propose(admin, schedule, authority)
    proposals.approve(commander, first.pk)
    longer = schedules.propose(
        admin, category="alpr", days=400, basis=_SCHEDULE, reason="Civil claims come in late"
    )
    schedules.approve(commander, longer.pk)
    waiting = schedules.propose(
        admin, category="training", days=730, basis="Training unit (demo)", reason="Courses are repeated"
    )
    log = schedules.propose(
        admin,
        category="access_log",
        days=730,
        basis="Records retention schedule, item 4 (demo)",
        reason="Size",
    )
    schedules.approve(commander, log.pk)
    schedules.cosign(custodian, log.pk)
    hold = holds.place(
        clerk, kind="criminal_evidence", case="26-4417", requester="Det. N. Haddad",
        reason="Vehicle seen near the shooting (demo)", review_on=made.today + timedelta(days=60),
        scope=Scope(plate=PLATE),
    )  # fmt: skip
    with made.ago(days=20):
        old, over = (
            holds.place(
                clerk, kind=kind, case=case, requester="Public Defender", reason="Discovery request (demo)",
                review_on=made.today - timedelta(days=2), scope=Scope(plate=OTHER),
            )
            for kind, case in (("discovery", "25-0091"), ("other", "25-0077"))
        )  # fmt: skip
    for one in (old, over):
        holds.ask_release(admin, one.pk, "The case is closed (demo)")
    holds.release(custodian, over.pk)
    made.ids |= {
        "authority": authority.pk, "proposal": first.pk, "proposal_done": gone.pk,
        "certificate": certificate.pk, "schedule": longer.pk, "schedule_waiting": waiting.pk,
        "hold": hold.pk, "hold_asked": old.pk,
    }  # fmt: skip


def packaging(made: Agency) -> None:
    """A package in each state, from asked for to booked."""
    commander, clerk, detective, second = made.who("commander", "clerk", "investigator", "detective2")
    asked = packages.request(
        detective, case="26-4417", reason="The vehicle at the scene (demo)", scope=Scope(plate=PLATE),
        purpose="criminal_investigation",
    )  # fmt: skip

    def approved(case: str, reason: str) -> Package:
        one = packages.request(
            second, case=case, reason=reason, scope=Scope(plate=OTHER), purpose="criminal_investigation"
        )
        return packages.approve(commander, one.pk)

    ready = packages.prepare(clerk, approved("26-4310", "Burglary series (demo)").pk)
    booked = packages.prepare(clerk, approved("26-4302", "Recovered vehicle (demo)").pk)
    packages.book(
        clerk, booked.pk, medium="USB stick", medium_serial="DM-0042", evidence_number="E-26-1180",
        booked_where="Property room, shelf 4 (demo)", booked_name="T. Varga", booked_on=made.now,
    )  # fmt: skip
    waits = approved("26-4311", "Same vehicle again (demo)")
    made.ids |= {
        "package_asked": asked.pk, "package": ready.pk, "package_booked": booked.pk,
        "package_approved": waits.pk,
    }  # fmt: skip


def giving(made: Agency) -> None:
    """Partners of three kinds and a release request in each state."""
    admin, commander, clerk, custodian = made.who("administrator", "commander", "clerk", "custodian")
    until = made.today + timedelta(days=300)
    pd = partners.propose(
        admin, agency="San Rafael Hills Police Department (demo)", kind="ca_law", valid_until=until,
        ori="CA0190001", agreement="MOU 26-8",
    )  # fmt: skip
    pd = partners.approve(commander, pd.pk)
    new = partners.propose(
        admin,
        agency="County District Attorney (demo)",
        kind="ca_prosecutor",
        valid_until=until,
        ori="CA0190002",
    )
    other = partners.propose(
        admin, agency="Nevada Highway Patrol (demo)", kind="out_of_state", valid_until=until
    )
    other = partners.approve(commander, other.pk)
    override = partners.propose_override(
        admin, other, citation="Court order 12-345 (demo)", document=ContentFile(b"%PDF- order", "order.pdf"),
        valid_until=until,
    )  # fmt: skip
    rows = [
        requests.register(
            clerk, kind="agency", agency=pd.agency, partner=pd, person_name="B. Askew", case=f"N-7{n}",
            person_title="Detective", person_contact="askew@sanrafaelhills.example",
            purpose="criminal_investigation", purpose_text="Burglary series across both cities (demo)",
            document=ContentFile(b"%PDF- We ask for ...", "letter.pdf"), received_at=made.now,
            scope=Scope(plate=PLATE, since=datetime(made.now.year, 1, 1, tzinfo=UTC)), pictures=True,
        )
        for n in range(5)
    ]  # fmt: skip
    for row in rows[1:]:
        requests.review(commander, row.pk, "In order (demo)")
    for row in (rows[2], rows[4]):
        requests.approve(commander, row.pk, row.asked, pictures=True, reason="Case shown (demo)")
    requests.deny(commander, rows[3].pk, "No case of theirs fits (demo)")
    requests.fulfil(clerk, rows[4].pk)
    routed, closed = (
        requests.register(
            clerk, kind=ReleaseRequest.Kind.OTHER, agency="Arroyo Vista Weekly (demo)",
            person_name="J. Reporter", purpose="records_request", received_at=made.before(days=days),
            purpose_text="How many reads a month (demo)",
            document=ContentFile(b"We ask under the CPRA ...", "mail.txt"),
        )
        for days in (2, 15)
    )  # fmt: skip
    requests.close(custodian, closed.pk, "Answered with the published figures (demo)")
    made.ids |= {
        "partner": pd.pk, "partner_new": new.pk, "override": override.pk, "request": rows[0].pk,
        "request_reviewed": rows[1].pk, "request_approved": rows[2].pk, "request_denied": rows[3].pk,
        "request_fulfilled": rows[4].pk, "request_routed": routed.pk,
    }  # fmt: skip


def oversight(made: Agency) -> None:
    """A plan and an audit with findings, a week reviewed, a breach, a policy text, figures, a signed log."""
    auditor, second, commander, admin = made.who("auditor", "auditor2", "commander", "administrator")
    detective, officer = made.who("investigator", "officer")
    for number in range(6):
        chain.append(
            kind="search", person=detective, action="reads.search", case=f"26-44{number}",
            purpose="criminal_investigation", elements={"plate": PLATE}, result_count=number,
            ids=[made.ids["read"]],
        )  # fmt: skip
    chain.append(
        kind="view", person=officer, action="reads.export", outcome="refused", note="430.5(b): no right"
    )
    plan = runs.propose(
        auditor,
        Plan(
            auditor=auditor, other_auditor=second, reviewer=commander, frequency_days=90, sample_size=6,
            areas=["searches", "lists", "refused"], document="Audit plan 26-1 (demo)",
            starts_on=made.today - timedelta(days=35),
        ),
    )  # fmt: skip
    runs.approve_plan(commander, plan.pk)
    audit = runs.start(auditor)
    finding = runs.raise_finding(
        auditor, audit, "Two searches of one plate without a note of the reason (demo)"
    )
    late = runs.raise_finding(auditor, audit, "The list's source changed its columns unannounced (demo)")
    runs.assign(auditor, late.pk, admin, made.today + timedelta(days=14))
    for item in Item.objects.filter(audit=audit, assigned_to=auditor).exclude(subject=auditor)[:2]:
        runs.mark(auditor, item.pk, Item.Mark.OK)
    reviews.review(auditor, reviews.waiting()[0], "Nothing odd (demo)")
    reviews.reevaluate(auditor, "A year is what the law asks, and most look at the last week (demo)")
    accounts.review(auditor, "Each still needs what it has (demo)")
    breach = breaches.record(
        admin,
        Breach(
            what="A patrol laptop was left unlocked in a restaurant (demo)", told_by="Watch commander",
            detected_at=made.before(hours=5),
        ),
    )  # fmt: skip
    breaches.step(admin, breach, "containment", "The account was suspended and its session ended (demo)")
    breaches.affected(admin, breach, Scope(unit=UNIT, since=made.before(days=1)))
    notice = breaches.notice(
        admin, breach, to="Attorney General", basis="Civil Code 1798.29(e)",
        due_on=made.today + timedelta(days=10),
    )  # fmt: skip
    held = breaches.freeze(admin, breach, made.before(days=2), made.now + timedelta(hours=1))
    text = texts.prepare(admin, "accuracy", "Misreads are corrected with the original kept (demo).")
    texts.approve(commander, text.pk)
    made.ids["text"] = texts.prepare(admin, "monitoring", "We review the log every week (demo).").pk
    _post_policy()
    heads.sign(Path(settings.DATA) / "log-heads")
    made.ids |= {
        "plan": plan.pk, "audit": audit.pk, "finding": finding.pk, "breach": breach.pk, "notice": notice.pk,
        "freeze": held.pk,
    }  # fmt: skip


def _post_policy() -> None:
    """The public page, and that the website shows it: a demo has none, so the file itself is looked at."""
    folder = Path(settings.DATA) / "public-policy"
    call_command("publish_policy", folder, stdout=io.StringIO())
    page = (folder / bundle.PAGE).read_bytes()
    bundle.check_posted("https://arroyo-vista.example/alpr", fetch=lambda _: bundle.Fetched(page))


def delegating(made: Agency) -> None:
    """What waits for the Commander: accounts, roles, settings, tokens, feeds; who left; courses; mail."""
    admin, commander, trainer = made.who("administrator", "commander", "training")
    detective, second = made.who("investigator", "detective2")
    post(
        admin, "people:propose", username="lquist", full_name="Lena Quist", title="Police Officer",
        kind=Person.Kind.MEMBER, agency=commander.agency, badge="D140", email="",
    )  # fmt: skip
    person = Person.objects.get(username="lquist")
    memo = {"document": "Memo 26-88 (demo)", "starts_on": made.today, "note": ""}
    post(admin, "people:propose_role", person.pk, role="officer", **memo)
    post(admin, "people:propose_grant", second.pk, code=Grant.Code.CLETS, **memo)
    post(admin, "people:propose_grant", detective.pk, code=Grant.Code.WIDE_SEARCH, **memo)
    post(
        admin, "people:propose_kiosk", place="Dispatch, console 2 (demo)", kind="dispatch",
        statement="Behind the card door; its window is frosted (demo).", starts_on=made.today,
        ends_on=made.today + timedelta(days=180), document="Memo 26-89 (demo)",
    )  # fmt: skip
    wider = Grant.objects.get(person=detective, code=Grant.Code.WIDE_SEARCH)
    post(commander, "people:approve_grant", wider.pk)
    post(
        trainer, "people:add_course", code="clets", version="3", title="CLETS practitioner (demo)",
        document="Demo", validity_months=12, required_from=made.today + timedelta(days=30),
        roles=["records_clerk"],
    )  # fmt: skip
    made.ids["course"] = Course.objects.get(code="clets").pk
    for clerk in made.who("clerk", "clerk2"):
        post(
            trainer, "people:add_completion", person=clerk.pk, course=made.ids["course"],
            completed_on=made.today, trainer="Dana Whitlock", document="Sign-off sheet 26-4 (demo)",
        )  # fmt: skip
    custodian, leaver = made.who("custodian", "technician2")
    for who, kind, days in ((second, "duties", 0), (leaver, "left", 3)):
        post(
            custodian, "people:report_leaving", person=who.pk, kind=kind, told_by="Personnel (demo)",
            on=made.today - timedelta(days=days), note="",
        )  # fmt: skip
    post(
        admin, "site:propose_settings", agency=commander.agency, ori="CA0000000", policy_id="430",
        policy_version="2026-2 (demo)", reason="Revision of the policy (demo)",
    )  # fmt: skip
    for who, program, days in (
        (detective, "case management system (demo)", 60),
        (second, "crime mapping (demo)", 30),
    ):
        post(admin, "api:propose_token", person=who.pk, program=program, days=days)
    post(commander, "api:approve_token", ApiToken.objects.get(person=detective).pk)
    post(
        admin, "api:propose_feed", name="Real-time desk (demo)", responsible="Pia Sandoval, Dispatcher",
        agency=commander.agency, what="hits", url="https://desk.example/alpr",
        purpose="criminal_investigation", document="Order 26-40 (demo)",
    )  # fmt: skip
    made.ids |= {
        "token": ApiToken.objects.get(person=second).pk, "feed": Feed.objects.get().pk, "person": person.pk,
        "officer": made.people["officer"].pk, "role": Appointment.objects.get(person=person).pk,
        "grant": Grant.objects.get(person=second, code=Grant.Code.CLETS).pk,
        "settings": Settings.objects.get(approved_at=None).pk,
    }  # fmt: skip
    outbox.make(digest=True)
