"""The demo's daily work: units, hot lists, what the units sent, hits and their reviews, corrections."""

from __future__ import annotations

from datetime import date, timedelta

from hq.demo.agency import OTHER, PLATE, RESTRICTED, UNIT, Agency
from hq.demo.desk import post
from hq.demo.street import PLACES
from hq.hits import corrections, review
from hq.lists import loading, manual, partials, publish, retro, versions
from hq.lists.models import HotList, HotListSource, ListGroup, Publication, Rules, StandingApproval, Upload
from hq.records import admission
from hq.records.models import Hit, Read, Unit
from hq.search.models import Shift
from hq.site import clock
from hq.units import deployments, register
from hq.units.models import Deployment, Device

_SITES = {
    "arroyo-1": ("Arroyo Drive at Mission Street", "fixed"),
    "fairoaks-2": ("Fair Oaks Avenue at Hope Street", "fixed"),
    "trailer-1": ("Trailer, city yard", "trailer"),
}
_COLUMNS = ("plate", "state", "reason", "case_number", "expiry", "priority")


def units(made: Agency) -> None:
    """Three enrolled units, one that waits, one that nobody knows; maintenance, a wipe, deployments."""
    admin, commander, technician, analyst = made.who("administrator", "commander", "technician", "analyst")
    for number, (name, (site, mount)) in enumerate(_SITES.items()):
        made.street.status(name, well=name == UNIT, list_version="", when=made.before(days=39))
        with made.ago(days=39):
            made.street.come()
            register.register(admin, Unit(unit_id=name, name=site[:60]), _device(name, number, mount, site))
            register.approve(commander, name, "Order 26-012 (demo)")
    register.register(
        analyst,
        Unit(unit_id="monterey-3", name="Monterey Road"),
        _device("monterey-3", 3, "fixed", "Monterey Road at Pasadena Avenue"),
    )
    with made.ago(days=12):
        register.record(
            technician, Unit.objects.get(pk=UNIT), "repair", document="Work order 771 (demo)",
            note="Replaced the power injector after a storm.",
        )  # fmt: skip
    made.ids |= {"unit": UNIT, "slot": "monitoring"}
    wiped = register.wipe(
        technician, Unit.objects.get(pk="fairoaks-2"), medium="SD card, 128 GB, serial 44Z1 (demo)",
        method="destroyed", wiped_by="L. Castellano", wiped_at=made.now,
    )  # fmt: skip
    made.ids["wipe"] = wiped.pk
    for code, incident, at_units, days in (
        ("garfield-burglary", "26-4502", ["fairoaks-2"], 0),
        ("oxley-robbery", "26-4390", ["trailer-1"], 9),
        ("mission-shooting", "26-4417", ["trailer-1", UNIT], 1),
    ):
        held = Deployment(
            code=code, incident=incident, kind=Deployment.Kind.values[0], area=f"Around {code} (demo)",
            requested_by="Det. N. Haddad", until=made.before(days=days) + timedelta(days=2),
        )  # fmt: skip
        with made.ago(days=days):
            deployments.open_one(commander, held, Unit.objects.filter(pk__in=at_units))
            if days:
                deployments.start(technician, held.pk)
        if days > 1:
            with made.ago(days=days - 1):
                deployments.stop(technician, held.pk)
        made.ids[code] = held.pk


def _device(name: str, number: int, mount: str, site: str) -> Device:
    latitude, longitude = PLACES.get(name, (34.12, -118.16))
    return Device(
        serial=f"PW-{2041 + number}", mount=mount, site=site, latitude=latitude, longitude=longitude,
        heading=20.0, camera="IMX708 with 16 mm lens", installed_by="L. Castellano",
        installed_on=date(2026, 9, 1), document="Permit 26-114 (demo)",
    )  # fmt: skip


def lists(made: Agency) -> None:
    """A county list in two versions and a draft, its standing approval, other limits that wait."""
    admin, commander = made.who("administrator", "commander")
    with made.ago(days=20):
        post(admin, "lists:new_group", name="all", note="Every unit of the city (demo)")
        group = ListGroup.objects.get()
        for name in _SITES:
            post(admin, "lists:member", unit=name, group=group.pk)
        post(
            admin, "lists:new", name="county", group=group.pk, ttl_days=14, reload_hours=24, active="on",
            classes=["stolen_vehicle", "stolen_plate", "wanted_person_vehicle"],
        )  # fmt: skip
        county = HotList.objects.get()
        for name in ("County stolen vehicles", "Missing persons desk"):
            post(
                admin, "lists:new_source", county.pk, name=name, format="csv", data="department",
                alarm_class="stolen_vehicle", reason="",
            )  # fmt: skip
    source = HotListSource.objects.earliest("pk")
    made.ids |= {"list": county.pk, "list_group": group.pk, "source": source.pk}
    until = made.today + timedelta(days=20)
    lines = [f"{PLATE},CA,Taken from a driveway (demo),26-4410,{until},10\n"]
    lines += [f"9XY{n:04},CA,Reported stolen (demo),26-{n},{until},50\n" for n in range(40)]
    for days, part in ((9, lines[:30]), (5, lines[:34]), (0.5, lines[2:])):
        with made.ago(days=days):
            upload = _upload(made, source, part)
            post(admin, "lists:preview", upload.pk, delimiter=",", **{f"column_{c}": c for c in _COLUMNS})
            post(admin, "lists:load", county.pk)
            (version,) = loading.load_waiting()
            if days > 1:
                versions.approve(version, by=commander)
                made.ids["version_before"] = version.pk
    made.ids["version"] = version.pk
    source.refresh_from_db()
    post(
        admin, "lists:propose_standing", source.pk, most_entries=500, most_change=20,
        ends_on=made.today + timedelta(days=180), reason="Order 26-050: the county's daily file (demo)",
    )  # fmt: skip
    post(commander, "lists:approve_standing", StandingApproval.objects.get().pk)
    post(
        admin, "lists:propose_standing", source.pk, most_entries=900, most_change=30,
        ends_on=made.today + timedelta(days=300), reason="Order 26-061: the file grows (demo)",
    )  # fmt: skip
    made.ids["upload"] = _upload(made, source, lines[:12]).pk
    publish.publish_due(group, publish.signing_key())
    post(
        admin, "lists:propose_rules", manual_days=21, partial_days=21, partial_share=0.02, recent_days=30,
        reason="Shorter entries, order 26-031 (demo)",
    )  # fmt: skip
    made.ids["rules"] = Rules.objects.get(approved_at=None).pk


def _upload(made: Agency, source: HotListSource, lines: list[str]) -> Upload:
    head = ",".join(_COLUMNS) + "\n"
    return loading.keep(
        source, "county.csv", [(head + "".join(lines)).encode()], by=made.people["administrator"]
    )


def traffic(made: Agency) -> None:
    """What the units sent: passages, hits of every kind, a heartbeat of each, a loss, what is quarantined."""
    street, published = made.street, Publication.objects.latest("pk").version
    listed = {"list_version": published}
    for number in range(60):
        street.passed(f"4{'HJKLNP'[number % 6]}T{number:03}", made.before(minutes=7 * number + 11))
    for number in range(30):
        street.passed(f"9CQ{number:03}A", made.before(days=3, minutes=number), pictures=False)
    street.passed("7DMV883", made.before(days=3))
    street.passed("7DMW120", made.before(hours=29.5), deployment="mission-shooting")
    read, _ = street.passed(PLATE, made.before(hours=20), deployment="mission-shooting")
    street.passed(PLATE, made.before(hours=19), unit="fairoaks-2")
    street.passed(PLATE.replace("8", "B"), made.before(hours=2), unit="trailer-1")
    misread, _ = street.passed("4XQ8811", made.before(hours=6))
    for number in range(4):
        street.passed(f"1AAA00{number}", made.before(days=400 + number), pictures=number > 1)
    _, new = street.passed(PLATE, made.before(minutes=4), hit=listed)
    _, done = street.passed(OTHER, made.before(hours=5), hit=listed)
    alike = {"kind": "lookalike", "entry_plate": "28TH180", "score": 0.6}
    street.passed("2BTH180", made.before(minutes=50), hit=listed | alike)
    _, hidden = street.passed(
        RESTRICTED, made.before(minutes=35), hit=listed | {"alarm_class": "sex_offender", "source": "CLETS"}
    )
    street.passed("1QRS777", made.before(hours=3), hit=listed | {"withdrawn": True})
    street.passed("3LDN901", made.before(hours=30), hit=listed)
    street.lost("fairoaks-2", made.before(hours=7))
    street.passed("5HTV442", made.before(hours=6.5), unit="fairoaks-2")
    for number in range(2):
        street.passed(f"6STR{number}01", made.before(minutes=40 + number), unit="stranger-9", pictures=False)
    street.garbled(UNIT)
    street.come()
    with made.ago(minutes=200):
        for name in ("fairoaks-2", "trailer-1"):
            street.status(name, well=False, list_version="20260901T000000Z", when=clock.now())
        street.come()
    street.status(UNIT, well=True, list_version=published, when=made.now)
    street.status("stranger-9", well=True, list_version="", when=made.now)
    street.come()
    made.ids |= {"read": read, "misread": misread, "hit": new, "hit_done": done, "hit_hidden": hidden}


def entered(made: Agency) -> None:
    """A hot plate and a partial plate, matched backwards; messages of a unit before its approval."""
    admin, commander, detective = made.who("administrator", "commander", "investigator")
    group, until = ListGroup.objects.get(), made.today + timedelta(days=14)
    hot = manual.enter(
        manual.HotPlate(
            group=group, plate="7DMV883", alarm_class="stolen_vehicle", case_number="26-4410", expiry=until,
            reason="Taken from Meridian Avenue last night; the owner has the only key (demo)",
        ),
        by=detective,
        purpose="stolen_vehicle",
    )  # fmt: skip
    part = partials.enter(
        partials.Remembered(
            group=group, pattern="7DM*", reason="Shooting on Mission Street, two witnesses (demo)",
            colour="silver", make="Toyota", body="SUV", case_number="26-4417", expiry=until,
            seen_from=made.before(hours=30), seen_until=made.before(hours=29),
        ),
        by=detective,
        purpose="criminal_investigation",
    )  # fmt: skip
    retro.run_manual(hot, by=detective, purpose="stolen_vehicle", case="26-4410")
    run = retro.run_partial(part, by=detective, purpose="criminal_investigation", case="26-4417")
    publish.publish_due(group, publish.signing_key())
    made.ids |= {"hot_plate": hot.pk, "partial": part.pk, "run": run.pk}
    # Sent before its approval, quarantined, and to be admitted once the Commander has said so too.
    stranger = Unit(unit_id="stranger-9", name="Spare unit (demo)")
    register.register(admin, stranger, _device("stranger-9", 9, "trailer", "Trailer, on loan"))
    register.approve(commander, "stranger-9", "Order 26-077 (demo)")
    made.ids["admission"] = admission.propose(
        admin, "stranger-9", "It read before its approval came (demo)"
    ).pk


def reviews(made: Agency) -> None:
    """A hit from the first look to the outcome, one half way, a misread put right, two shifts."""
    admin, officer, dispatcher = made.who("administrator", "officer", "dispatcher")
    done = Hit.objects.get(pk=made.ids["hit_done"])
    with made.ago(hours=4.9):
        review.acknowledge(done, officer)
        review.look(
            _of(done), officer, plate="agrees", read_as="", state="agrees", vehicle="agrees", seen="", note=""
        )
    with made.ago(hours=4.8):
        review.answer(
            _of(done), officer, result="confirmed", operator="P. Sandoval", answered_at=clock.now(), reason=""
        )
    with made.ago(hours=4.7):
        review.close(_of(done), officer, kind="acted_on", note="Vehicle recovered on Garfield Avenue (demo)")
    alike = Hit.objects.get(kind="lookalike")
    with made.ago(minutes=45):
        review.acknowledge(alike, dispatcher)
    corrections.correct(
        Read.objects.get(pk=made.ids["misread"]), admin, corrected="4XQB811", why="Seen on the picture (demo)"
    )
    for person in (officer, dispatcher):
        post(
            admin, "search:enter_shift", person=person.pk, unit=UNIT,
            starts_at=made.before(hours=8).isoformat(), ends_at=made.before(hours=-8).isoformat(),
        )  # fmt: skip
    made.ids["shift"] = Shift.objects.latest("pk").pk


def _of(hit: Hit) -> review.Review:
    (one,) = review.of([hit])
    return one
