"""The demo agency with a few weeks of work in it, for tests that look at HQ through a browser.

Run as a program with PLATEWARDEN_HQ_DATA set, it fills that folder and prints as JSON what a test needs to
know: ids for the addresses, log-ins, sessions. Everything is made by the services that the pages use, so
that what stands there could have been made by people. Plates and people are invented.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

kept: Any = None
"""`tests.hq.kept`, which can only be imported once Django is set up."""

PLATE = "8TRW204"
OTHER = "6KLM550"
UNIT = "arroyo-1"
RESTRICTED = "5PVA118"


def main() -> None:
    os.environ["PLATEWARDEN_HQ_DEMO"] = "1"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hq.settings")
    from django.conf import settings

    Path(settings.DATA).mkdir(mode=0o700, parents=True, exist_ok=True)
    import django

    held = settings.DATABASES["default"].get("OPTIONS", {})
    if "init_command" in held:
        # As the tests' own database: nobody pulls the plug.
        held["init_command"] = held["init_command"].replace("=FULL", "=OFF")
    django.setup()
    argument = sys.argv[1] if len(sys.argv) > 1 else "fill"
    made = {"fill": fill, "hit": hit_from_a_unit}[argument]()
    print(json.dumps(made, default=str))


def fill() -> dict[str, Any]:
    """Make the agency and return ids, log-ins and sessions."""
    from django.core.management import call_command

    now = datetime.now(UTC).replace(microsecond=0)
    with _at(now - timedelta(days=40)):
        call_command("demo", stdout=io.StringIO())
        people = _people()
    global kept
    from tests.hq import kept

    made = _Agency(people, now)
    for step in (
        made.units,
        made.lists,
        made.records,
        made.reviews,
        made.keeping,
        made.giving,
        made.oversight,
        made.rest,
    ):
        step()
    return made.told()


@contextmanager
def _at(moment: datetime) -> Iterator[None]:
    """HQ's clock, for what was done earlier."""
    from hq.site import clock

    before, clock.source = clock.source, lambda: moment
    try:
        yield
    finally:
        clock.source = before


def _people() -> dict[str, Any]:
    """The demo's people by user name, and the few more that a second signature needs."""
    from hq.people.forms import expiry
    from hq.people.models import Appointment, Authenticator, Completion, Course, Grant, Person
    from hq.site import clock

    first = Person.objects.get(username="commander")
    course, today, now = Course.objects.get(), clock.today(), clock.now()
    for username, name, title, role in (
        ("auditor2", "Gwen Ashdown", "Internal Affairs Sergeant", "auditor"),
        ("deputy", "Omar Whitfield", "Patrol Division Captain", "commander"),
        ("analyst", "Sela Brandt", "Crime Analyst", "administrator"),
        ("detective2", "Jonah Prewitt", "Detective", "investigator"),
        ("clerk2", "Mina Torrence", "Records Clerk", "records_clerk"),
    ):
        person = Person.objects.create(
            username=username,
            full_name=name,
            title=title,
            agency=first.agency,
            state="active",
            approved_at=now,
            seen_at=now,
            password=first.password,
            password_once=False,
        )
        Authenticator.objects.create(user=person, name="authenticator", confirmed=True)
        Appointment.objects.create(person=person, role=role, document="Demo", approved_at=now)
        Completion.objects.create(
            person=person,
            course=course,
            completed_on=today,
            trainer="Dana Whitlock",
            document="Demo",
            expires_on=expiry(today, course.validity_months),
        )
        Grant.objects.create(person=person, code="dept_reads", document="Demo", approved_at=now)
    return {person.username: person for person in Person.objects.all()}


def _picture(text: str, size: tuple[int, int], scene: bool) -> bytes:
    """A drawn plate, alone or on a drawn vehicle."""
    from PIL import Image, ImageDraw, ImageFont

    plate = Image.new("RGB", (160, 80), (244, 244, 236))
    draw = ImageDraw.Draw(plate)
    draw.rectangle((2, 2, 157, 77), outline=(30, 40, 90), width=3)
    draw.text((80, 44), text, fill=(22, 30, 92), anchor="mm", font=ImageFont.load_default(32))
    if not scene:
        sheet = plate.resize(size)
    else:
        sheet = Image.new("RGB", size, (34, 38, 44))
        draw = ImageDraw.Draw(sheet)
        draw.rectangle((0, size[1] * 0.7, size[0], size[1]), fill=(58, 60, 64))
        draw.rounded_rectangle((230, 90, 560, 330), 30, fill=(120, 28, 30))
        draw.rounded_rectangle((270, 105, 520, 190), 20, fill=(18, 22, 30))
        sheet.paste(plate.resize((90, 45)), (350, 250))
    packed = io.BytesIO()
    sheet.save(packed, "JPEG", quality=85)
    return packed.getvalue()


class _Agency:
    """What was made, step by step."""

    def __init__(self, people: dict[str, Any], now: datetime) -> None:
        self.people, self.now = people, now
        self.ids: dict[str, Any] = {}
        self._number = 0

    def ago(self, **parts: float) -> Any:
        return _at(self.now - timedelta(**parts))

    def units(self) -> None:
        from hq.records.models import Unit, UnitStatus
        from hq.units import deployments, register
        from hq.units.models import Deployment, Device

        admin, commander, technician = (
            self.people[name] for name in ("administrator", "commander", "technician")
        )
        for number, (name, site, mount) in enumerate(
            (
                (UNIT, "Arroyo Drive at Mission Street, northbound, signal pole 4", "fixed"),
                ("fairoaks-2", "Fair Oaks Avenue at Huntington Drive, southbound", "fixed"),
                ("trailer-1", "Trailer 1", "trailer"),
            )
        ):
            with self.ago(days=39):
                device = Device(
                    serial=f"PW-{2041 + number}",
                    mount=mount,
                    site=site,
                    latitude=34.1140 + number / 200,
                    longitude=-118.1560 + number / 150,
                    heading=20.0,
                    camera="IMX708 with 16 mm lens",
                    installed_by="L. Castellano",
                    installed_on=date(2026, 9, 1),
                    document="Permit 26-114",
                )
                register.register(admin, Unit(unit_id=name, name=site[:60]), device)
                if name != "trailer-1":
                    register.approve(commander, name, "Order 26-012")
            with self.ago(minutes=1 if number == 0 else 200):
                self.heartbeat(name, number)
        with self.ago(days=38):
            register.approve(commander, "trailer-1", "Order 26-012")
        register.register(
            self.people["analyst"],
            Unit(unit_id="monterey-3", name="Monterey Road"),
            Device(
                serial="PW-2044",
                mount="fixed",
                site="Monterey Road at Pasadena Avenue",
                latitude=34.12,
                longitude=-118.16,
                heading=180.0,
                camera="IMX708 with 16 mm lens",
                installed_by="L. Castellano",
                installed_on=date(2026, 11, 2),
            ),
        )
        register.record(
            technician,
            Unit.objects.get(pk=UNIT),
            "repair",
            "Replaced the power injector after a storm.",
            document="Work order 771",
        )
        self.ids["unit"] = UNIT
        self.ids["slot"] = "monitoring"
        self.ids["wipe"] = register.wipe(
            technician,
            Unit.objects.get(pk="fairoaks-2"),
            medium="SD card, SanDisk 128 GB, serial 44Z1",
            method="destroyed",
            wiped_by="L. Castellano",
            wiped_at=self.now,
        ).pk
        UnitStatus.objects.create(
            unit_id="stranger-9",
            received_at=self.now,
            state="ready",
            software="platewarden 0.1.0",
            model_hashes=[],
            queue=0,
            record=self._status(0),
        )
        for code, units, started in (
            ("mission-shooting", ("trailer-1", UNIT), True),
            ("garfield-burglary", ("trailer-1",), False),
        ):
            held = Deployment(
                code=code,
                incident="26-4417" if started else "26-4502",
                kind=Deployment.Kind.values[0],
                area="Mission Street between Orange Grove and Fair Oaks",
                requested_by="Det. N. Haddad",
                until=self.now + timedelta(days=2),
            )
            with self.ago(hours=20):
                deployments.open_one(commander, held, Unit.objects.filter(pk__in=units))
                if started:
                    deployments.start(technician, held.pk)
            self.ids[code] = held.pk

    def heartbeat(self, name: str, number: int) -> None:
        from hq.records.models import UnitStatus
        from hq.site import clock

        UnitStatus.objects.create(
            unit_id=name,
            received_at=clock.now(),
            state="ready" if number == 0 else "away",
            software="platewarden 0.1.0",
            config_hash="c" * 64,
            model_hashes=["d" * 64],
            queue=number * 340,
            list_version="county-7",
            list_age_s=3600.0 * (1 + 30 * number),
            record=self._status(number),
        )

    @staticmethod
    def _status(number: int) -> dict[str, Any]:
        return {
            "faults": ["camera dark"] if number else [],
            "clock": {"quality": "none" if number else "ntp", "offset_ms": 3.0},
            "oldest_queued_s": 9000.0 if number else None,
            "disk_free_bytes": 5 if number else 60,
            "disk_total_bytes": 100,
            "camera": "dark" if number else "ok",
            "position": None,
        }

    def lists(self) -> None:
        from hq.lists import loading, versions
        from hq.lists.models import HotList, HotListSource, ListGroup

        admin, commander = self.people["administrator"], self.people["commander"]
        group = ListGroup.objects.create(name="all", note="Every unit of the city")
        county = HotList.objects.create(
            name="county", group=group, classes=["stolen_vehicle", "stolen_plate", "wanted_person_vehicle"]
        )
        self.ids["list"], self.ids["list_group"] = county.pk, group.pk
        source = HotListSource.objects.create(
            hot_list=county, name="County stolen vehicles", format="csv", alarm_class="stolen_vehicle"
        )
        self.ids["source"] = source.pk
        head = "plate,state,reason,case_number,expiry,priority\n"
        until = (self.now + timedelta(days=20)).date()
        lines = [f"{PLATE},CA,Taken from a driveway,26-4410,{until},10\n"]
        lines += [f"9XY{n:04},CA,Reported stolen,26-{n},{until},50\n" for n in range(40)]
        for days, text in ((9, lines[:30]), (1, lines)):
            with self.ago(days=days):
                upload = loading.keep(source, "county.csv", [(head + "".join(text)).encode()], by=admin)
                source.mapping = loading.guess(head.strip().split(","))
                source.save()
                upload.state = "waiting"
                upload.save()
                loaded = loading.load_waiting()
                assert loaded, upload.__class__.objects.get(pk=upload.pk).fault
                version = loaded[0]
                if days == 9:
                    versions.approve(version, by=commander)
                    self.ids["version_before"] = version.pk
        self.ids["version"] = version.pk
        self.ids["upload"] = loading.keep(
            source, "county-today.csv", [(head + "".join(lines[:12])).encode()], by=admin
        ).pk
        self.entered(group)

    def entered(self, group: Any) -> None:
        from hq.lists import manual, partials, retro
        from hq.lists.models import Rules

        detective = self.people["investigator"]
        until = (self.now + timedelta(days=14)).date()
        kept.unit(UNIT)
        with self.ago(days=3):
            for n in range(30):
                kept.read(f"9CQ{n:03}A", pictures=(), lat=34.114, lon=-118.156)
            kept.read("7DMV883", pictures=(), lat=34.114, lon=-118.156)
        hot = manual.enter(
            manual.HotPlate(
                group=group,
                plate="7DMV883",
                alarm_class="stolen_vehicle",
                case_number="26-4410",
                expiry=until,
                reason="Taken from Meridian Avenue last night; the owner has the only key",
            ),
            by=detective,
            purpose="stolen_vehicle",
        )
        part = partials.enter(
            partials.Remembered(
                group=group,
                pattern="7DM*",
                reason="Shooting on Mission Street, two witnesses",
                colour="silver",
                make="Toyota",
                body="SUV",
                case_number="26-4417",
                expiry=until,
                seen_from=self.now - timedelta(hours=30),
                seen_until=self.now - timedelta(hours=29),
            ),
            by=detective,
            purpose="criminal_investigation",
        )
        retro.run_manual(hot, by=detective, purpose="stolen_vehicle", case="26-4410")
        run = retro.run_partial(part, by=detective, purpose="criminal_investigation", case="26-4417")
        self.ids |= {"hot_plate": hot.pk, "partial": part.pk, "run": run.pk}
        self.ids["rules"] = Rules.objects.create(
            reason="Shorter entries, order 26-031",
            manual_days=21,
            proposed_by=self.people["administrator"],
            proposed_at=self.now,
        ).pk

    def passed(self, text: str, *, hit: bool = False, unit: str = UNIT, **ago: float) -> Any:
        """A vehicle that was read, with drawn pictures, and its hit."""
        from django.core.files.base import ContentFile
        from django.core.files.storage import default_storage

        from hq.records.models import Picture, Unit

        with self.ago(**ago):
            row = kept.read(
                text,
                on=Unit.objects.get(pk=unit),
                pictures=(),
                lat=34.1140,
                lon=-118.1560,
                heading=20.0,
                box=[350, 250, 90, 45],
                region="CA",
            )
            for kind, size in (("plate", (320, 160)), ("scene", (640, 384))):
                data = _picture(text, size, kind == "scene")
                Picture.objects.create(
                    read=row,
                    kind=kind,
                    sha256=hashlib.sha256(data).hexdigest(),
                    size=len(data),
                    missing=False,
                    file=default_storage.save(f"reads/{row.id}-{kind}.jpg", ContentFile(data)),
                    width=size[0],
                    height=size[1],
                    received_at=row.received_at,
                )
            made = kept.a_hit(row) if hit else None
        if made is not None:
            made.list_version, made.case_number, made.reason = "county-1", "26-4410", "Taken from a driveway"
            made.source, made.list_age_s = "County stolen vehicles", 4200.0
            made.save()
        return made or row

    def records(self) -> None:
        for number in range(60):
            self.passed(f"4{'HJKLNP'[number % 6]}T{number:03}", minutes=7 * number + 11)
        self.read = self.passed(PLATE, hours=20)
        self.passed(PLATE, unit="fairoaks-2", hours=19)
        self.passed(PLATE.replace("8", "B"), unit="trailer-1", hours=2)
        self.ids["read"] = self.read.pk

    def reviews(self) -> None:
        from hq.hits import corrections, review
        from hq.search.models import Shift
        from hq.site import clock

        officer = self.people["officer"]
        new = self.passed(PLATE, hit=True, minutes=4)
        done = self.passed("6KLM550", hit=True, hours=5)
        alike = self.passed("2BTH180", hit=True, minutes=50)
        alike.kind, alike.entry_plate = "lookalike", "28TH180"
        alike.save()
        hidden = self.passed(RESTRICTED, hit=True, minutes=35)
        hidden.alarm_class, hidden.source = "sex_offender", "CLETS"
        hidden.save()
        gone = self.passed("1QRS777", hit=True, hours=3)
        gone.withdrawn = True
        gone.save()
        self.passed("3OLD901", hit=True, hours=30)
        with self.ago(hours=4.9):
            (one,) = review.of([done])
            review.acknowledge(done, officer)
            review.look(
                one, officer, plate="agrees", read_as="", state="agrees", vehicle="agrees", seen="", note=""
            )
        with self.ago(hours=4.8):
            (one,) = review.of([done])
            review.answer(
                one, officer, result="confirmed", operator="P. Sandoval", answered_at=clock.now(), reason=""
            )
        with self.ago(hours=4.7):
            (one,) = review.of([done])
            review.close(one, officer, kind="acted_on", note="Vehicle recovered on Garfield Avenue")
        misread = self.passed("4XQ8811", hours=6)
        corrections.correct(
            misread, self.people["administrator"], corrected="4XQB811", why="Seen on the picture"
        )
        self.ids |= {"hit": new.pk, "hit_done": done.pk, "hit_hidden": hidden.pk, "misread": misread.pk}
        for name in ("officer", "dispatcher"):
            self.ids["shift"] = Shift.objects.create(
                person=self.people[name],
                unit_id=UNIT,
                starts_at=self.now - timedelta(hours=8),
                ends_at=self.now + timedelta(hours=8),
                entered_by=self.people["administrator"],
            ).pk

    def keeping(self) -> None:
        from django.core.files.base import ContentFile

        from hq.evidence import packages
        from hq.log.models import Removal
        from hq.retention import holds, proposals, schedules
        from hq.retention.models import Authority
        from hq.retention.scope import Scope

        admin, commander, custodian, clerk, detective = (
            self.people[n] for n in ("administrator", "commander", "custodian", "clerk", "investigator")
        )
        today = self.now.date()
        with self.ago(days=30):
            held = schedules.propose(
                admin,
                category="alpr",
                days=365,
                basis="Records retention schedule, item 12.3",
                reason="First version",
            )
            schedules.approve(commander, held.pk)
            schedule = schedules.cosign(custodian, held.pk)
        authority = schedules.store_authority(
            admin,
            Authority(
                kind="destruction",
                title="Standing authority to destroy ALPR reads",
                council_resolution="Resolution 7777",
                resolution_on=date(2026, 1, 15),
                attorney="T. Agency-Attorney",
                consent_on=date(2026, 1, 10),
                signed_by="The Mayor",
                valid_from=today - timedelta(days=60),
                valid_until=today + timedelta(days=300),
            ),
            ContentFile(b"%PDF- signed", "resolution.pdf"),
        )
        for n in range(3):
            kept.read(f"1AAA00{n}", days=400 + n, at=self.now)
        first = proposals.propose(admin, schedule, authority)
        proposals.approve(commander, first.pk)
        log = schedules.propose(
            admin, category="access_log", days=730, basis="Records retention schedule, item 4", reason="Size"
        )
        self.ids["removal"] = Removal.objects.create(
            schedule=log,
            authority=authority,
            before=self.now - timedelta(days=730),
            ranges=[[1, 4]],
            rows=4,
            kept=0,
            proposed_by=admin,
            proposed_at=self.now,
        ).pk
        longer = schedules.propose(
            admin,
            category="alpr",
            days=400,
            basis="Records retention schedule, item 12.3",
            reason="Civil claims come in late",
        )
        schedules.approve(commander, longer.pk)
        waiting = schedules.propose(
            admin, category="training", days=730, basis="Training unit", reason="Courses are repeated"
        )
        hold = holds.place(
            clerk,
            kind="criminal_evidence",
            case="26-4417",
            requester="Det. N. Haddad",
            reason="Vehicle seen near the shooting",
            review_on=today + timedelta(days=60),
            scope=Scope(plate=PLATE),
        )
        with self.ago(days=20):
            old = holds.place(
                clerk,
                kind="discovery",
                case="25-0091",
                requester="Public Defender",
                reason="Discovery request",
                review_on=today - timedelta(days=2),
                scope=Scope(plate=OTHER),
            )
        holds.ask_release(admin, old.pk, "The case is closed")
        asked = packages.request(
            detective,
            case="26-4417",
            reason="The vehicle at the scene",
            scope=Scope(plate=PLATE),
            purpose="criminal_investigation",
            pictures=True,
        )
        made = packages.request(
            self.people["detective2"],
            case="26-4310",
            reason="Burglary series",
            scope=Scope(plate=OTHER),
            purpose="criminal_investigation",
        )
        packages.approve(commander, made.pk)
        ready = packages.prepare(clerk, made.pk)
        approved = packages.request(
            self.people["detective2"],
            case="26-4311",
            reason="Same vehicle again",
            scope=Scope(plate=OTHER),
            purpose="criminal_investigation",
        )
        packages.approve(commander, approved.pk)
        self.ids |= {
            "authority": authority.pk,
            "proposal": first.pk,
            "schedule": longer.pk,
            "schedule_waiting": waiting.pk,
            "hold": hold.pk,
            "hold_asked": old.pk,
            "package_asked": asked.pk,
            "package": ready.pk,
            "package_approved": approved.pk,
        }

    def giving(self) -> None:
        from django.core.files.base import ContentFile

        from hq.releases import partners, requests
        from hq.retention.scope import Scope

        admin, commander, clerk = (self.people[n] for n in ("administrator", "commander", "clerk"))
        until = self.now.date() + timedelta(days=300)
        pd = partners.propose(
            admin,
            agency="San Rafael Hills Police Department",
            kind="ca_law",
            valid_until=until,
            ori="CA0190001",
            agreement="MOU 26-8",
        )
        pd = partners.approve(commander, pd.pk)
        new = partners.propose(
            admin, agency="County District Attorney", kind="ca_prosecutor", valid_until=until, ori="CA0190002"
        )
        other = partners.propose(
            admin, agency="Nevada Highway Patrol", kind="out_of_state", valid_until=until
        )
        other = partners.approve(commander, other.pk)
        override = partners.propose_override(
            admin,
            other,
            citation="Court order 12-345",
            document=ContentFile(b"%PDF- order", "order.pdf"),
            valid_until=until,
        )
        rows = [
            requests.register(
                clerk,
                kind="agency",
                agency=pd.agency,
                partner=pd,
                person_name="Det. B. Askew",
                case=f"N-7{n}",
                purpose="criminal_investigation",
                purpose_text="Burglary series across both cities",
                document=ContentFile(b"%PDF- We ask for ...", "letter.pdf"),
                received_at=self.now,
                scope=Scope(plate=PLATE, since=datetime(2026, 1, 1, tzinfo=UTC)),
                pictures=True,
            )
            for n in range(3)
        ]
        for row in rows[1:]:
            requests.review(commander, row.pk, "In order")
        requests.approve(commander, rows[2].pk, rows[2].asked, pictures=True, reason="Case shown")
        self.ids |= {
            "partner": pd.pk,
            "partner_new": new.pk,
            "override": override.pk,
            "request": rows[0].pk,
            "request_reviewed": rows[1].pk,
            "request_approved": rows[2].pk,
        }

    def oversight(self) -> None:
        from hq.audits import breaches, runs
        from hq.audits.models import Breach, Plan
        from hq.log import chain
        from hq.public import figures, texts
        from hq.retention.scope import Scope

        auditor, commander, admin = (self.people[n] for n in ("auditor", "commander", "administrator"))
        for n in range(6):
            chain.append(
                kind="search",
                person=self.people["investigator"],
                action="reads.search",
                case=f"26-44{n}",
                purpose="criminal_investigation",
                elements={"plate": PLATE},
                result_count=n,
                ids=[self.read.pk],
            )
        chain.append(
            kind="view",
            person=self.people["officer"],
            action="reads.export",
            outcome="refused",
            note="430.5(b): no right",
        )
        plan = runs.propose(
            auditor,
            Plan(
                auditor=auditor,
                other_auditor=self.people["auditor2"],
                reviewer=commander,
                frequency_days=90,
                sample_size=6,
                areas=["searches", "lists", "refused"],
                document="Audit plan 26-1",
                starts_on=self.now.date() - timedelta(days=35),
            ),
        )
        runs.approve_plan(commander, plan.pk)
        audit = runs.start(auditor)
        finding = runs.raise_finding(auditor, audit, "Two searches of one plate without a note of the reason")
        breach = breaches.record(
            admin,
            Breach(
                what="A patrol laptop was left unlocked in a restaurant",
                told_by="Watch commander",
                detected_at=self.now - timedelta(hours=5),
            ),
        )
        breaches.step(admin, breach, "containment", "The account was suspended and its session ended")
        breaches.affected(admin, breach, Scope(unit=UNIT, since=self.now - timedelta(days=1)))
        notice = breaches.notice(
            admin,
            breach,
            to="Attorney General",
            basis="Civil Code 1798.29(e)",
            due_on=self.now.date() + timedelta(days=10),
        )
        held = breaches.freeze(admin, breach, self.now - timedelta(days=2), self.now + timedelta(hours=1))
        self.ids["text"] = texts.prepare(admin, "monitoring", "We review the log every week.").pk
        figures.publish()
        self.ids |= {
            "plan": plan.pk,
            "audit": audit.pk,
            "finding": finding.pk,
            "breach": breach.pk,
            "notice": notice.pk,
            "freeze": held.pk,
        }

    def rest(self) -> None:
        from hq.api import tokens
        from hq.api.models import Feed
        from hq.people.models import Appointment, Grant, Person
        from hq.site.models import Settings

        admin, commander = self.people["administrator"], self.people["commander"]
        token = tokens.propose(self.people["investigator"], "case management system", 60, admin)
        token.approved_by, token.approved_at = commander, self.now
        token.save()
        self.ids["token"] = tokens.propose(self.people["detective2"], "crime mapping", 30, admin).pk
        self.ids["feed"] = Feed.objects.create(
            name="Real-time desk",
            responsible="Pia Sandoval, Dispatcher",
            agency=commander.agency,
            what="hits",
            url="https://desk.example/alpr",
            purpose="criminal_investigation",
            document="Order 26-40",
            proposed_by=admin,
        ).pk
        person = Person.objects.create(
            username="lquist",
            full_name="Lena Quist",
            title="Police Officer",
            agency=commander.agency,
            proposed_by=admin,
            badge="D140",
        )
        proposed = {"document": "Memo 26-88", "proposed_by": admin}
        role = Appointment.objects.create(person=person, role="officer", **proposed)
        grant = Grant.objects.create(person=self.people["detective2"], code="clets", **proposed)
        settings = Settings.current()
        assert settings is not None
        settings.pk, settings.approved_at, settings.approved_by = None, None, None
        settings.reason, settings.policy_version, settings.proposed_by = (
            "Revision of the policy",
            "2026-2",
            admin,
        )
        settings._state.adding = True
        settings.save()
        self.ids |= {
            "person": person.pk,
            "officer": self.people["officer"].pk,
            "role": role.pk,
            "grant": grant.pk,
            "settings": settings.pk,
        }

    def told(self) -> dict[str, Any]:
        from base64 import b32encode

        from hq.people.models import Authenticator
        from hq.site.management.commands.demo import _password

        secrets = {
            device.user.username: b32encode(device.bin_key).decode()
            for device in Authenticator.objects.select_related("user")
        }
        return {"ids": self.ids, "password": _password(), "secrets": secrets, "sessions": self.sessions()}

    def sessions(self) -> dict[str, str]:
        """A session key for a person of each role, in which a purpose is stated."""
        from django.conf import settings
        from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
        from django.contrib.sessions.backends.db import SessionStore
        from django_otp import DEVICE_ID_SESSION_KEY

        from hq.people import sessions
        from hq.people.models import Authenticator
        from hq.people.policy import Standing

        keys = {}
        for person in self.people.values():
            stated = Standing(person).purposes()
            session = SessionStore()
            session[SESSION_KEY] = str(person.pk)
            session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
            session[HASH_SESSION_KEY] = person.get_session_auth_hash()
            session[DEVICE_ID_SESSION_KEY] = Authenticator.objects.get(user=person).persistent_id
            general = [p.code for p in stated if p.code == "criminal_investigation"]
            if stated:
                session["purpose"], session["case"] = (general or [stated[0].code])[0], "26-4417"
            session.create()
            sessions.begin(session, person)
            session.save()
            keys[person.username] = session.session_key
        return keys


def hit_from_a_unit() -> dict[str, Any]:
    """A read and its hit as the subscriber commits them, for a board that is open meanwhile."""
    from hq.records.intake import Intake, Source
    from hq.records.models import Transfer
    from tests.hq.ingest_site import received
    from tests.mqtt import samples

    read = samples.read(plate="3SSE777")
    intake = Intake()
    try:
        number = int.from_bytes(os.urandom(3))
        batch = [
            received(record, number + n, unit=UNIT, store=uuid4().hex)
            for n, record in enumerate((read, samples.hit(read.read_id, "3SSE777")))
        ]
        intake.take(batch, Source(Transfer.Way.MQTT, "test"))
    finally:
        intake.close()
    return {"read": read.read_id}


if __name__ == "__main__":
    main()
