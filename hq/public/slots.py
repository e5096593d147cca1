"""What Civil Code 1798.90.51(b)(2) and policy 430.2.1 want written, each as a slot that is full or a gap.

A slot is filled from the live settings, by an approved text of the agency, or by both; nothing is assumed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from hq.audits import runs
from hq.audits.models import LogReview, Plan
from hq.log.models import AccessRecord, SignedHead
from hq.people import purposes
from hq.people.models import Authenticator, Course, Person, Role, holders
from hq.people.policy import courses_for
from hq.public.models import PostedCheck, Text
from hq.records.models import Unit, UnitStatus
from hq.releases import partners
from hq.releases.models import Partner
from hq.retention import schedules
from hq.retention.models import Authority, Schedule
from hq.site import clock, disks, doctor
from hq.site.models import Settings
from hq.units import board
from plates.words import CLASS_RULES

_SAFEGUARDS = ("430.5-0", "CC-51a", "CJIS AU-9", "CJIS SC-8", "CJIS SC-28")
"""Rules of `doctor` that are about security."""


@dataclass(frozen=True)
class Slot:
    """One element. `live` gives its lines from the settings, `wanted` says what the agency must write.

    posted: it stands in the policy page; the others are in the matrix only. where: the control or page of HQ
    that meets it. evidence: lines that change from day to day and stand in the matrix only.
    """

    code: str
    clauses: tuple[str, ...]
    title: str
    where: str
    live: Callable[[], list[str]] | None = None
    missing: str = ""
    wanted: str = ""
    posted: bool = True
    evidence: Callable[[], list[str]] | None = None


@dataclass(frozen=True)
class Filled:
    """A slot as it is now: lines from the settings, the agency's text, what is missing."""

    slot: Slot
    lines: list[str]
    text: str
    gaps: list[str]

    @property
    def evidence(self) -> list[str]:
        """What the matrix shows."""
        return self.lines + (self.slot.evidence() if self.slot.evidence else [])


def fill(slot: Slot) -> Filled:
    """What a slot holds now."""
    lines = slot.live() if slot.live else []
    held = text_of(slot.code)
    gaps = []
    if slot.live and not lines:
        gaps.append(slot.missing)
    if slot.wanted and held is None:
        gaps.append(f"no approved text: {slot.wanted}")
    return Filled(slot, lines, held.text if held else "", gaps)


def filled() -> list[Filled]:
    """Every slot, in the order of the page."""
    return [fill(slot) for slot in SLOTS]


def gaps() -> list[str]:
    """What is missing, one line each, with its clauses."""
    return [f"{', '.join(one.slot.clauses)}: {gap}" for one in filled() for gap in one.gaps]


def text_of(code: str) -> Text | None:
    """The text in force of a slot."""
    approved = Text.objects.filter(slot=code, approved_at__isnull=False)
    return approved.order_by("-approved_at", "-pk").first()


def titles() -> list[str]:
    """Job titles of everybody who may use or reach the system today, members and contractors apart."""
    found = set()
    for person in Person.objects.filter(state=Person.State.ACTIVE).prefetch_related("appointments"):
        if person.is_active and person.appointments_now():
            who = f" (contractor of {person.employer})" if person.kind == Person.Kind.CONTRACTOR else ""
            found.add(f"{person.title}{who}")
    return sorted(found)


def _purposes() -> list[str]:
    lines = [f"{one.title} ({one.clause})" for one in purposes.in_use().values()]
    classes = sorted(name.value.replace("_", " ") for name in purposes.alarm_classes())
    forbidden = sorted(name.value.replace("_", " ") for name, rule in CLASS_RULES.items() if not rule.allowed)
    if lines:
        lines.append(f"An alarm is given for these classes of hot list entries only: {', '.join(classes)}")
        lines.append(f"Never used: {', '.join(forbidden)}; any purpose that is not on this list")
    return lines


def _training() -> list[str]:
    courses: list[Course] = courses_for([role.value for role in Role])
    return [
        f"{course.title}, version {course.version}: before any access, and again every "
        f"{course.validity_months} months"
        for course in courses
    ]


def _monitoring() -> list[str]:
    plan = Plan.current()
    if plan is None:
        return []
    return [
        f"Audits every {plan.frequency_days} days by the {plan.auditor.title}, reviewed by the "
        f"{plan.reviewer.title}; a random sample of {plan.sample_size} access records; nobody audits their "
        f"own actions; audit papers are kept {plan.papers_days} days",
        "The access log is reviewed every week, and its hash chain verified",
    ]


def _monitored() -> list[str]:
    plan, lines = Plan.current(), []
    if plan is not None:
        lines.append(f"The next audit is to be signed by {runs.due_on(plan)}")
    if (review := LogReview.objects.first()) is not None:
        lines.append(f"Last weekly review: week of {review.week}; chain {review.chain}")
    if (head := SignedHead.objects.first()) is not None:
        lines.append(f"The head of the access log was last signed on {head.at:%Y-%m-%d}")
    backup = AccessRecord.objects.filter(action="backups.make").first()
    lines.append(f"Last backup: {backup.at:%Y-%m-%d}" if backup else "Last backup: none")
    units = Unit.objects.filter(state=Unit.State.ENROLLED).values("pk")
    heard = UnitStatus.objects.filter(unit__in=units, received_at__gte=clock.now() - board.SILENT).count()
    lines.append(f"Units heard within {board.SILENT.seconds // 60} minutes: {heard} of {units.count()}")
    return lines


def _records() -> list[str]:
    return [
        "Every search, view, picture, export, release and administrative act is recorded before it is shown: "
        "date and time, data elements queried, user name, agency, purpose and case number, number of results",
        "Access that cannot be recorded is refused",
        "Access records cannot be changed and are kept two years at least",
    ]


def _sharing() -> list[str]:
    allowed = ", ".join(kind.label for kind in Partner.ALLOWED)
    live = [partner for partner in Partner.objects.all() if partners.may_receive(partner)]
    lines = [
        f"Only with: {allowed}; on a written request with agency, person and purpose, approved before it is "
        "fulfilled (430.8)",
        "Never sold. Not shared with private entities, out-of-state or federal agencies, but on a stored "
        "legal authority and the Commander's approval",
    ]
    lines += [f"Approved to ask: {partner.agency}" for partner in live]
    return lines if live else [*lines, "No agency is approved to ask at present"]


def _holders(role: Role, *, names: bool) -> list[str]:
    return [f"{p.title}, {p.full_name}" if names else p.title for p in holders(role)]


def _retention() -> list[str]:
    lines = []
    for schedule in Schedule.objects.filter(state=Schedule.State.IN_FORCE).select_related(
        "unit", "authority"
    ):
        what = f"{schedule.category}" + (f", {schedule.unit}" if schedule.unit_id else "")
        authority = f"; authority: {schedule.authority}" if schedule.authority_id else ""
        if not schedules.lawful(schedule):
            authority += f"; it no longer allows {schedule.days} days"
        lines.append(f"{what}: {schedules.days_of(schedule)} days ({schedule.basis}{authority})")
    if lines:
        lines += [
            "Counted from the later of capture and receipt; then destroyed, but for records held as "
            "evidence, for discovery or for another lawful demand",
            "Destroyed only on a proposal that the Commander approves and the Custodian of Records co-signs",
        ]
    return lines


def _accuracy() -> list[str]:
    return [
        "A match is shown as unverified until a person has compared the plate's picture and a CLETS check "
        "is recorded",
        "A misread is corrected with reason, person and time; the text as read is kept",
        "Hot list entries expire, and every match tells the age of its list",
    ]


def _custody() -> list[str]:
    signed = Schedule.objects.filter(state=Schedule.State.IN_FORCE, cosigned_by__isnull=False)
    return [
        f"Retention of {one.category} co-signed by the {one.cosigned_by.title}"
        for one in signed.select_related("cosigned_by")
        if one.cosigned_by
    ]


def _posting() -> list[str]:
    held = Settings.current()
    if held is None or not held.website:
        return []
    return [f"Posted at {held.website}"]


def _verified() -> list[str]:
    last = PostedCheck.objects.first()
    return [f"Compared on {last.at:%Y-%m-%d}: {last.get_outcome_display()}"] if last is not None else []


def _safeguards() -> list[str]:
    """What HQ sees of its own safeguards today, and what `doctor` finds wrong with them."""
    held = disks.state(Path(settings.DATA))
    inside = Person.objects.filter(state=Person.State.ACTIVE)
    second = Authenticator.objects.filter(user__in=inside, confirmed=True).values("user").distinct().count()
    found = [one for one in doctor.findings() if one.rule in _SAFEGUARDS]
    return [
        f"Disk of the records: {held.kept.value} ({held.why})",
        f"Second factor set up by {second} of {inside.count()} accounts in use; without it no page opens",
        *(f"To be mended: {one.what}" for one in found),
    ]


def _meeting() -> list[str]:
    held = Settings.current()
    if held is None or held.meeting_on is None:
        return []
    return [f"{held.meeting_on}, {held.meeting_body or 'legislative body'} {held.meeting_minutes}".strip()]


def _authority() -> list[str]:
    return [
        f"{one.council_resolution} of {one.resolution_on}, consent of {one.attorney} of {one.consent_on}, "
        f"until {one.valid_until}"
        for one in Authority.objects.filter(valid_until__gte=clock.today())
    ]


def _gate() -> list[str]:
    return [f"{len(purposes.in_use())} purposes in use; a search with none of them is refused and logged"]


def _audits() -> list[str]:
    plan = Plan.current()
    return [str(plan)] if plan is not None else []


def _partners() -> list[str]:
    return [f"Kinds of agency that may receive: {', '.join(kind.label for kind in Partner.ALLOWED)}"]


SLOTS = (
    Slot(
        "purposes",
        ("CC-51b2A", "430.2-a", "430.2-b", "430.3-0"),
        "Authorized purposes of using the system and collecting information",
        "closed list of purposes, asked for before every search",
        live=_purposes,
        missing="no purpose is in use",
    ),
    Slot(
        "titles",
        ("CC-51b2B", "430.2.1(a)"),
        "Job titles of employees and independent contractors who may use or access the system",
        "accounts and appointments in force",
        live=titles,
        missing="no account is in use",
    ),
    Slot(
        "training",
        ("CC-51b2B", "430.2.1(b)"),
        "Training required",
        "course register; nobody is let in without training in date",
        live=_training,
        missing="no department-approved course is set up",
    ),
    Slot(
        "monitoring",
        ("CC-51b2C", "430.2.1(c)"),
        "How the system is monitored for security and compliance with privacy law",
        "audit plan, weekly review of the log, signed heads of its chain",
        live=_monitoring,
        missing="no audit plan is in force",
        wanted="how use and security are monitored, and by whom",
        evidence=_monitored,
    ),
    Slot(
        "access_records",
        ("CC-52a", "430.2.1(d)"),
        "Records of access",
        "access log, hash-chained and append-only",
        live=_records,
    ),
    Slot(
        "sharing",
        ("CC-51b2D", "430.8-0"),
        "Purposes of, process for and restrictions on sale, sharing or transfer",
        "partner register and release requests",
        live=_sharing,
        wanted="for which purposes and by which process records are shared",
    ),
    Slot(
        "custodian",
        ("CC-51b2E",),
        "Official custodian of the system",
        "appointment of the Custodian of Records",
        live=lambda: _holders(Role.CUSTODIAN, names=False),
        missing="nobody is appointed Custodian of Records",
    ),
    Slot(
        "overseer",
        ("430.2.1(e)",),
        "Designee who oversees ALPR operations",
        "appointment of the ALPR overseer",
        live=lambda: _holders(Role.OVERSEER, names=True),
        missing="nobody is appointed to oversee ALPR",
    ),
    Slot(
        "accuracy",
        ("CC-51b2F",),
        "Measures that ensure accuracy and correct errors",
        "two-step verification of hits, corrections, expiry of entries",
        live=_accuracy,
        wanted="what the agency does to ensure accuracy and to correct errors, and whom to ask",
    ),
    Slot(
        "retention",
        ("CC-51b2G", "430.4-c"),
        "How long information is kept, and how it is decided when to destroy it",
        "retention schedules and destruction proposals",
        live=_retention,
        missing="no retention schedule is in force",
        wanted="how the agency decides if and when records are destroyed",
    ),
    Slot(
        "custody",
        ("430.2.1(f)",),
        "Work with the Custodian of Records on retention and destruction",
        "co-signature of schedules and destructions",
        live=_custody,
        missing="no schedule is co-signed by the Custodian of Records",
    ),
    Slot(
        "posting",
        ("CC-51b1", "430.2.1(g)"),
        "Where this policy is posted",
        "publish-policy and check-posted",
        live=_posting,
        missing="the settings name no page where the policy is posted",
        evidence=_verified,
    ),
    Slot(
        "safeguards",
        ("CC-51a", "430.5-0"),
        "Security procedures and practices",
        "encryption, second factor, two-person rules, session lock",
        wanted="operational, administrative, technical and physical safeguards",
        evidence=_safeguards,
    ),
    Slot(
        "meeting",
        ("CC-55a",),
        "Public meeting before the programme began",
        "settings of the agency",
        live=_meeting,
        missing="no public meeting is recorded",
    ),
    Slot(
        "gate",
        ("CC-52b",),
        "Information is used for authorized purposes only",
        "purpose and case number before records are shown",
        live=_gate,
        posted=False,
    ),
    Slot(
        "audits",
        ("CC-53", "430.5(c)"),
        "Process for periodic system audits",
        "audit plan",
        live=_audits,
        missing="no audit plan is in force",
        posted=False,
    ),
    Slot(
        "partners",
        ("CC-55b", "CC-5"),
        "Transfer to other public agencies of California only",
        "partner register",
        live=_partners,
        posted=False,
    ),
    Slot(
        "authority",
        ("GC-34090.6",),
        "Destruction by resolution and with the attorney's consent",
        "stored authorities",
        live=_authority,
        missing="no authority to destroy is in date",
        posted=False,
    ),
)
BY_CODE = {slot.code: slot for slot in SLOTS}
