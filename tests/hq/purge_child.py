"""Run by test_retention_kill: purges, is killed at every moment in turn, and says what was found afterwards.

A program of its own, for it forks and kills for real, with a database in a file.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

BASE = Path(tempfile.mkdtemp(dir=sys.argv[1]))
os.environ |= {"DJANGO_SETTINGS_MODULE": "hq.settings", "PLATEWARDEN_HQ_DATA": str(BASE / "first")}
os.environ.pop("DATABASE_URL", None)
(BASE / "first").mkdir()

import django  # noqa: E402

django.setup()

from django.core.files.storage import default_storage  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import override_settings  # noqa: E402

from hq.evidence import bag, collect, packages  # noqa: E402
from hq.evidence.models import Package  # noqa: E402
from hq.people.models import Person  # noqa: E402
from hq.records.models import Picture, Read  # noqa: E402
from hq.retention import proposals, purge, selection  # noqa: E402
from hq.retention.models import (  # noqa: E402
    Authority,
    Certificate,
    Destroyed,
    DestroyedCopy,
    Proposal,
    Schedule,
)
from hq.retention.scope import Scope  # noqa: E402
from hq.site import clock  # noqa: E402
from tests.hq import kept  # noqa: E402

READS = 3
purge.BATCH = 2


def make() -> None:
    """Three old reads with pictures, in a booked package too, and a signed proposal; one young read."""
    call_command("migrate", verbosity=0)
    a, b, c = (
        Person.objects.create(username=name, full_name=name, title="x", agency="x", state="active")
        for name in ("a", "b", "c")
    )
    now, today = clock.now(), date.today()
    authority = Authority.objects.create(
        kind="destruction", title="x", council_resolution="x", resolution_on=today, attorney="x",
        consent_on=today, signed_by="x", document="x", sha256="x", valid_until=today + timedelta(1),
        entered_by=a,
    )  # fmt: skip
    signed = {"proposed_by": a, "approved_by": b, "approved_at": now, "cosigned_by": c, "cosigned_at": now}
    schedule = Schedule.objects.create(
        category="alpr",
        version=1,
        days=365,
        basis="x",
        state="in_force",
        reason="x",
        in_force_from=now,
        **signed,
    )
    for _ in range(READS):
        kept.read(days=400, hit=True)
    kept.read("8XYZ987")
    month_ago = now - timedelta(days=31)
    package = Package(
        number="P-2025-00001", state="booked", case="x", reason="x", purpose="evidence", requested_by=a,
        approved_by=b, approved_at=now, prepared_by=c, prepared_at=now, medium_serial="x",
        evidence_number="x", booked_name="x", booked_on=month_ago, booking_by=c, booking_at=month_ago,
    )  # fmt: skip
    rows, photos, _ = collect.read_rows(list(Read.objects.filter(text="7ABC123")), pictures=True)
    cover = packages.cover(
        number="P-2025-00001", kind="x", case="x", purpose="evidence", people=(a, b, c), at=now,
        scope=Scope(plate="7ABC123"), notes=[],
    )  # fmt: skip
    with packages.stored(bag.Content(cover, rows, photos), now) as stored:
        stored.note_on(package)
        package.save()
    proposal = Proposal(
        schedule=schedule, authority=authority, state="cosigned", due_at=now, reads=READS, pictures=2 * READS,
        octets=0, held=0, **signed,
    )  # fmt: skip
    proposal.ids_sha256 = proposals.digest(selection.ids(selection.of_proposal(proposal)))
    proposal.save()
    connection.close()


class Killer:
    """Counts steps, renames and removals, and kills the process at one of them."""

    def __init__(self, at: int) -> None:
        self.left = at
        self._rename, self._remove = os.rename, os.remove

    def tick(self, word: str = "") -> None:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1

    def rename(self, source: str, target: str) -> None:
        self.tick()
        self._rename(source, target)
        self.tick()

    def remove(self, path: str) -> None:
        self.tick()
        self._remove(path)
        self.tick()


def attempt(at: int) -> bool:
    """Purge in a child that is killed at moment `at`; whether it was killed before it had finished."""
    child = os.fork()
    if child == 0:
        killer = Killer(at)
        os.rename, os.remove = killer.rename, killer.remove  # type: ignore[assignment]
        purge.run(1, run_by="child", step=killer.tick)
        connection.close()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
        raise SystemExit("the child failed")
    return os.WIFSIGNALED(status)


def whole() -> bool:
    """Whether every read is either wholly here or wholly gone, and a package with its record."""
    copy, package = DestroyedCopy.objects.first(), Package.objects.get()
    if default_storage.exists(str(package.file.name)) == bool(copy and copy.at):
        return False
    files = kept.files()
    rows = set(Picture.objects.values_list("file", flat=True))
    return files == rows and set(Picture.objects.values_list("read", flat=True)) == set(
        Read.objects.values_list("id", flat=True)
    )


def package_named(certificate: Certificate) -> int:
    return certificate.text.count("  P-2025-00001, 3 reads, 3 of them destroyed")


def main() -> None:
    with override_settings(MEDIA_ROOT=BASE / "first" / "pictures"):
        make()
    moments, faults = 0, []
    while True:
        folder = BASE / f"k{moments}"
        shutil.copytree(BASE / "first", folder)
        connection.settings_dict["NAME"] = str(folder / "hq.sqlite3")
        with override_settings(MEDIA_ROOT=folder / "pictures"):
            killed = attempt(moments)
            did = purge.recover()
            if not whole():
                faults.append(f"moment {moments}: {did} left a part behind")
            if killed:
                purge.run(1, run_by="again")
            certificate = Certificate.objects.get()
            if (Read.objects.count(), certificate.reads, certificate.pictures) != (1, READS, 2 * READS):
                faults.append(f"moment {moments}: the second run did not finish: {certificate.text}")
            if package_named(certificate) != 1 or DestroyedCopy.objects.count() != 1:
                faults.append(f"moment {moments}: the package's file is not certified: {certificate.text}")
            if (counted := sum(row.reads for row in Destroyed.objects.all())) != READS:
                faults.append(f"moment {moments}: {counted} reads were counted as destroyed")
            if not whole() or purge.unfinished():
                faults.append(f"moment {moments}: files or journal were left after the second run")
            connection.close()
        shutil.rmtree(folder)
        if not killed:
            break
        moments += 1
    print(json.dumps({"moments": moments, "faults": faults}))


main()
