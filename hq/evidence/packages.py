"""Evidence packages: requested with a case number, approved by the Commander, made, booked (430.4-e)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, cast

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction

from hq.evidence import bag, collect
from hq.evidence.models import Made, Package
from hq.people import cases, purposes
from hq.people.inforce import policy_words
from hq.people.models import Person
from hq.people.policy import Refused, check, said
from hq.records.pictures import flush
from hq.retention import copies
from hq.retention.models import Hold
from hq.retention.scope import Scope
from hq.site import clock, keys
from hq.site.models import Settings

COMMANDER = "the Commander"


class NotWritten(Exception):
    """There is no room for a package, or its disk refuses it."""


@transaction.atomic
def request(
    person: Person,
    *,
    case: str,
    reason: str,
    scope: Scope,
    purpose: str = "evidence",
    pictures: bool = True,
    hold: Hold | None = None,
) -> Package:
    """Ask for a package. Raises Refused without the right or a case number, ScopeError."""
    check(person, "evidence.request", purpose=purpose, case=case)
    if why := cases.number_fault(case):
        raise Refused("430.4-e", f"an evidence package needs a case number: {why}", "nobody: enter it")
    reason = said("430.4-e", "what it is evidence of", reason)
    scope.check()
    package = Package(
        case=case.strip(),
        purpose=purpose,
        reason=reason,
        hold=hold,
        scope_json=scope.to_json(),
        with_pictures=pictures,
        requested_by=person,
        requested_at=clock.now(),
    )
    package.full_clean(exclude=["number", "scope_json"])
    package.save(force_insert=True)
    package.number = f"P-{clock.today():%Y}-{package.pk:05d}"
    package.save(update_fields=["number"])
    return package


@transaction.atomic
def approve(person: Person, pk: int) -> Package:
    """Raises Refused, also for who requested it."""
    package = _in_state(pk, Package.State.REQUESTED)
    check(person, "evidence.approve", obj=package)
    package.approved_by, package.approved_at = person, clock.now()
    package.state = Package.State.APPROVED
    package.save(update_fields=["approved_by", "approved_at", "state"])
    return package


@transaction.atomic
def refuse(person: Person, pk: int, why: str) -> Package:
    """Say no, or take an approval back before the package is made: an open one keeps its reads (430.4-d).

    Raises Refused without the right or a reason.
    """
    package = _in_state(pk, Package.State.REQUESTED, Package.State.APPROVED)
    check(person, "evidence.approve", obj=package)
    package.refused_why = said("430.4-e", "the reason of the refusal", why)[:300]
    package.refused_by, package.refused_at = person, clock.now()
    package.state = Package.State.REFUSED
    package.save(update_fields=["refused_by", "refused_at", "refused_why", "state"])
    return package


def prepare(person: Person, pk: int, log: Callable[[Package], None] = lambda _: None) -> Package:
    """Make and sign the ZIP, whole or not at all.

    A large one takes minutes, so that only its row is written in a transaction, with what `log` writes in the
    same. Raises Refused, TooMany, Unreadable, NotWritten, KeyExposed.
    """
    package = _in_state(pk, Package.State.APPROVED, lock=False)
    check(person, "evidence.prepare", obj=package)
    now = clock.now()
    reads = collect.reads_of(package.scope.q())
    if not reads:
        raise Refused("430.4-e", "no read is within this package's scope", "whoever requests another scope")
    rows, photos, missing = collect.read_rows(reads, pictures=package.with_pictures)
    assert package.number
    content = bag.Content(
        cover=cover(
            number=package.number,
            kind="Evidence package",
            case=package.case,
            purpose=package.purpose,
            people=(package.requested_by, package.approved_by, person),
            at=now,
            scope=package.scope,
            notes=notes(missing, package.with_pictures),
        ),
        reads=rows,
        photos=photos,
        hits=collect.hit_rows(reads, person),
        units=collect.unit_rows(reads),
        hotlists=collect.hotlist_rows(reads),
        access=collect.access_rows(reads, package.number, now),
    )
    with stored(content, now) as stored_as, transaction.atomic():
        # Meanwhile another may have made it, or the Commander have taken the approval back.
        package = _in_state(pk, Package.State.APPROVED)
        check(person, "evidence.prepare", obj=package)
        stored_as.note_on(package)
        package.prepared_by, package.prepared_at, package.state = person, now, Package.State.PREPARED
        package.save()
        log(package)
    return package


@transaction.atomic
def book(
    person: Person,
    pk: int,
    *,
    medium: str,
    medium_serial: str,
    evidence_number: str,
    booked_where: str,
    booked_name: str,
    booked_on: datetime,
) -> Package:
    """Record that the medium lies in the property room. Raises Refused for what is missing."""
    package = _in_state(pk, Package.State.PREPARED)
    check(person, "evidence.book", obj=package)
    for name, value in (
        ("serial number of the medium", medium_serial),
        ("evidence number", evidence_number),
        ("who booked it", booked_name),
    ):
        if not value.strip():
            raise Refused("430.4-e", f"a booking needs its {name}", "nobody: enter it on this page")
    package.medium, package.medium_serial, package.evidence_number = medium, medium_serial, evidence_number
    package.booked_where, package.booked_name, package.booked_on = booked_where, booked_name, booked_on
    package.booking_by, package.booking_at, package.state = person, clock.now(), Package.State.BOOKED
    package.full_clean(exclude=["scope_json"])
    package.save()
    return package


def not_booked() -> list[Package]:
    """Packages that were made and lie in no property room yet, the oldest first."""
    return list(Package.objects.filter(state=Package.State.PREPARED).order_by("prepared_at"))


def cover(
    *,
    number: str,
    kind: str,
    case: str,
    purpose: str,
    people: tuple[Person | str, Person | None, Person],
    at: datetime,
    scope: Scope,
    notes: list[str],
    recipient: str = "",
) -> bag.Cover:
    """The cover of a package; `people` asked, approved and prepared it."""
    agency = Settings.current()
    stated = purposes.ALL.get(purpose)
    asked, approved, prepared = people
    return bag.Cover(
        number=number,
        kind=kind,
        agency=agency.agency if agency else prepared.agency,
        ori=agency.ori if agency else "",
        policy=policy_words(at),
        case=case,
        purpose=f"{stated.title} ({stated.clause})" if stated else purpose,
        requested_by=str(asked),
        approved_by=str(approved),
        prepared_by=str(prepared),
        prepared_at=at,
        recipient=recipient,
        scope=scope.words(),
        notes=notes,
    )


def notes(missing: int, with_pictures: bool) -> list[str]:
    """What a reader of the package has to know."""
    found = []
    if not with_pictures:
        found.append("Pictures were not asked for and are left out.")
    if missing:
        found.append(
            f"{missing} pictures never reached HQ from the reader; the rows of their reads say which."
        )
    return found


@dataclass(frozen=True)
class Stored:
    """A ZIP in the storage that no row names yet."""

    name: str
    made: bag.Made
    reads: int
    pictures: int

    def note_on(self, row: Made) -> None:
        """Note on a row what identifies it; the caller saves the row."""
        row.file.name = self.name
        row.sha256, row.manifest_sha256, row.size = (
            self.made.sha256, self.made.manifest_sha256, self.made.size,
        )  # fmt: skip
        row.public_key = keys.public("evidence").to_base64().decode()
        row.reads, row.pictures = self.reads, self.pictures


@contextmanager
def stored(content: bag.Content, at: datetime) -> Iterator[Stored]:
    """Build the ZIP into the storage, durably; the block saves the row that names it.

    Raises Unreadable, NotWritten; then, or if the block fails, nothing of it stays.
    """
    key = keys.secret("evidence")
    try:
        # In the data folder: only of its disk doctor asks for encryption (430.5-0), and /tmp may be memory.
        with tempfile.TemporaryFile(dir=settings.DATA) as file:
            result = bag.build(content, key, cast(BinaryIO, file))
            file.seek(0)
            name = _keep(f"{copies.FOLDER}/{at:%Y}/{result.folder}.zip", File(file))
    except OSError as error:
        raise NotWritten(f"the package cannot be written: {error.strerror or error}") from error
    try:
        yield Stored(name, result, len(content.reads), len(content.photos))
    except BaseException:
        default_storage.delete(name)
        raise


def _keep(wanted: str, file: File[bytes]) -> str:
    name = default_storage.get_available_name(wanted)
    try:
        name = default_storage.save(name, file)
        flush(name)
    except OSError:
        default_storage.delete(name)
        raise
    return name


def _in_state(pk: int, *states: Package.State, lock: bool = True) -> Package:
    package = (Package.objects.select_for_update() if lock else Package.objects).get(pk=pk)
    if package.state not in states:
        wanted = " or ".join(str(state.label) for state in states)
        raise Refused(
            "430.4-e", f"package {package} is {package.get_state_display()}, not {wanted}", COMMANDER
        )
    return package
