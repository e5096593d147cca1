"""The copy of the access log for a second machine: resumed, verified standing alone, and what it finds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import minisign
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hq.log import chain, copies, heads, triggers
from hq.log.models import AccessRecord, ChainHead, Removal, Removed, SignedHead
from hq.people.models import Person
from hq.site import keys
from tests.hq import kept
from tests.needs import program

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _data(settings: Any, tmp_path: Path) -> None:
    settings.DATA = tmp_path / "data"
    settings.DATA.mkdir()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of rows 1 to 5, and 6 to 8."""
    _write(5)
    copies.add(tmp_path / "copy")
    _write(3)
    copies.add(tmp_path / "copy")
    return tmp_path / "copy"


def _write(count: int) -> None:
    for _ in range(count):
        chain.append(kind="test", person=None, action="log.own", note="é \u2028 line", elements={"n": 0.25})


def _lift() -> None:
    with connection.cursor() as cursor:
        for table in triggers.tables():
            for statement in triggers.drops(connection, table):
                cursor.execute(statement)


def _rewrite() -> None:
    """The whole chain anew, as its owner could who has the signing key too."""
    _lift()
    previous = chain.FIRST
    for row in AccessRecord.objects.order_by("sequence"):
        row.note, row.previous = "nothing to see", previous
        row.hash = previous = chain.digest(row)
        row.save()
    ChainHead.objects.update(hash=previous)
    SignedHead.objects.all().delete()


@pytest.mark.clause("CJIS AU-9")
@pytest.mark.clause("430.5(a)")
def test_copy_goes_on_where_it_was_and_verifies_alone(folder: Path) -> None:
    assert sorted(path.name for path in folder.glob("*.jsonl")) == [
        "access-log-000000000001-000000000005.jsonl",
        "access-log-000000000006-000000000008.jsonl",
    ]
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.glob("*.jsonl"))
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert copies.add(folder).files == 0
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert copies.verify(folder, heads.public_keys()) == copies.Copied(1, 8, 2)
    assert copies.compare(folder) is None
    assert SignedHead.objects.count() == 2


@pytest.mark.clause("CJIS AU-9")
def test_copy_is_verified_on_a_machine_without_the_database(
    folder: Path, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "log.pub"
    key.write_bytes((Path(settings.DATA) / "keys" / "log.pub").read_bytes())
    settings.DATA = tmp_path / "elsewhere"

    def none(*_: object, **__: object) -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr(connection, "cursor", none)
    out = StringIO()
    call_command("log", "verify-copy", str(folder), "--alone", "--key", str(key), stdout=out)
    assert "rows 1 to 8 in 2 files are whole, standing alone" in out.getvalue()
    with pytest.raises(CommandError, match="name it by --key"):
        call_command("log", "verify-copy", str(folder), "--alone")
    other = tmp_path / "other.pub"
    other.write_bytes(bytes(minisign.KeyPair.generate().public_key))
    with pytest.raises(CommandError, match="is not signed by HQ's log key"):
        call_command("log", "verify-copy", str(folder), "--alone", "--key", str(other))
    other.write_text("no key")
    with pytest.raises(CommandError, match=f"--key {other}: is no minisign key"):
        call_command("log", "verify-copy", str(folder), "--alone", "--key", str(other))


def test_verifying_from_a_row_that_is_not_yet_there_tells_of_no_missing_row() -> None:
    """Row 4 would be the next: nothing is wrong with the three that there are."""
    _write(3)
    call_command("log", "verify", "--from", "4")
    with pytest.raises(CommandError, match=r"^--from 5: the log ends at row 3$"):
        call_command("log", "verify", "--from", "5")


def test_copy_is_verified_with_stock_tools(folder: Path) -> None:
    """What docs/hq-running.md tells an outsider to do."""
    program("jq")
    program("minisign")
    script = """
        set -eu
        for file in access-log-*.jsonl; do
            while IFS= read -r line; do
                want=$(printf %s "$line" | jq -r .hash)
                got=$(printf %s "$line" | jq -cjS 'del(.hash)' | sha256sum | cut -c1-64)
                test "$want" = "$got"
            done < "$file"
            minisign -Vqm "$file.head.txt" -p "$KEY"
            grep -q "$want" "$file.head.txt"
        done
    """
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "KEY": str(keys.folder() / "log.pub"), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _changed(folder: Path) -> None:
    AccessRecord.objects.filter(sequence=4).update(note="nothing to see")


def _taken_out(folder: Path) -> None:
    AccessRecord.objects.filter(sequence=4).delete()


def _cut_short(folder: Path) -> None:
    AccessRecord.objects.filter(sequence__gte=7).delete()
    last = AccessRecord.objects.get(sequence=6)
    ChainHead.objects.update(sequence=6, hash=last.hash)
    SignedHead.objects.all().delete()


def _rewritten(folder: Path) -> None:
    _rewrite()


@pytest.mark.clause("CJIS AU-9")
@pytest.mark.clause("CJIS AU-9(4)")
@pytest.mark.parametrize(
    ("attack", "told"),
    [
        (_changed, "row 4: the database tells it otherwise"),
        (_taken_out, "row 4: the copy has it, the database has not"),
        (_cut_short, "row 7: the copy has it, the database has not: it ends at row 6"),
        (_rewritten, "row 1: the database tells it otherwise"),
    ],
)
def test_tampering_with_the_database_shows_against_the_copy(
    folder: Path, attack: Callable[[Path], None], told: str
) -> None:
    """Also a chain rewritten whole or cut short, which the database alone verifies as whole."""
    _lift()
    attack(folder)
    if attack in (_cut_short, _rewritten):
        assert chain.verify() is None
        assert heads.verify() is None
    with pytest.raises(CommandError, match=told):
        call_command("log", "verify-copy", str(folder))


@pytest.mark.clause("CJIS AU-9")
def test_copy_of_a_tampered_database_is_not_carried_on(folder: Path) -> None:
    _rewrite()
    _write(1)
    with pytest.raises(CommandError, match="row 8: the database tells it otherwise"):
        call_command("log", "copy", str(folder))
    assert len(list(folder.glob("*.jsonl"))) == 2


@pytest.mark.clause("CJIS AU-9")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, 1), where=st.integers(0, 10_000), bit=st.integers(0, 6))
def test_no_flipped_bit_of_a_copy_verifies(folder: Path, which: int, where: int, bit: int) -> None:
    path = sorted(folder.glob("*.jsonl"))[which]
    held = path.read_bytes()
    changed = bytearray(held)
    changed[where % len(held)] ^= 1 << bit
    path.write_bytes(changed)
    try:
        copies.verify(folder, heads.public_keys())
    except copies.CopyBroken as error:
        assert path.name in str(error) or "access-log" in str(error)
    else:
        # JSON that is written otherwise and says the same.
        assert [json.loads(line) for line in changed.splitlines() if line.strip()] == [
            json.loads(line) for line in held.splitlines()
        ]
    finally:
        path.write_bytes(held)


@pytest.mark.clause("CJIS AU-9")
@pytest.mark.parametrize("taken", ["file", "line", "last line", "head", "signature", "swapped heads"])
def test_copy_that_lacks_something_says_what(folder: Path, taken: str) -> None:
    first, second = sorted(folder.glob("*.jsonl"))
    head = first.with_name(f"{first.name}.head.txt")
    if taken == "file":
        third = copies.add(folder)
        assert third.files == 0
        _write(1)
        copies.add(folder)
        second.unlink()
    elif taken in ("line", "last line"):
        lines = first.read_text().split("\n")
        del lines[2 if taken == "line" else 4]
        first.write_text("\n".join(lines))
    elif taken == "head":
        head.unlink()
    elif taken == "signature":
        signature = head.with_name(f"{head.name}.minisig")
        other = second.with_name(f"{second.name}.head.txt.minisig")
        signature.write_bytes(other.read_bytes())
    else:
        for ending in (".head.txt", ".head.txt.minisig"):
            path = first.with_name(first.name + ending)
            path.write_bytes(second.with_name(second.name + ending).read_bytes())
    told = {
        "file": "row 6 is missing",
        "line": "row 3 is missing",
        "last line": "its name says 5",
        "head": "head.txt",
        "signature": "is not signed",
        "swapped heads": "the signed head is not row 5",
    }[taken]
    with pytest.raises(copies.CopyBroken, match=told):
        copies.verify(folder, heads.public_keys())


@pytest.mark.parametrize("moment", ["rows", "head", "name"])
def test_run_that_was_cut_off_is_taken_up_again(
    folder: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(4)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if moment == "rows":
            patch.setattr(copies.os, "fsync", full)
        elif moment == "head":
            patch.setattr(heads, "sign_text", full)
        else:
            patch.setattr(Path, "rename", full)
        with pytest.raises(CommandError, match="No space left"):
            call_command("log", "copy", str(folder))
    assert copies.verify(folder, heads.public_keys()).last == 8
    _write(1)
    # 4 rows, that of the first seal of reads, which the command makes, and 1 row.
    assert copies.add(folder) == copies.Copied(9, 14, 1)
    assert copies.verify(folder, heads.public_keys()) == copies.Copied(1, 14, 3)
    assert not list(folder.glob("*.part"))


def test_large_log_is_copied_in_files_of_a_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "ROWS", 3)
    _write(7)
    assert copies.add(folder) == copies.Copied(9, 15, 3)
    assert copies.verify(folder, heads.public_keys()).last == 15
    assert copies.compare(folder) is None


def _remove(people: Callable[..., Person], first: int, last: int) -> None:
    """As a signed removal would, whose age and signatures are not what is tried here."""
    office = kept.Office(people)
    schedule = office.schedule(730, category="access_log")
    _lift()
    made = Removal.objects.create(
        schedule=schedule, authority=office.authority(), before=chain.clock.now(), rows=1, kept=0,
        proposed_by=office.administrator,
    )  # fmt: skip
    rows = AccessRecord.objects.filter(sequence__gte=first, sequence__lte=last).order_by("sequence")
    previous, total, at = rows[0].previous, rows.last().hash, chain.clock.now()  # type: ignore[union-attr]
    text = heads.anchor_text(first, last, previous, total, chain.stamp(at))
    Removed.objects.create(
        removal=made, first=first, last=last, previous=previous, hash=total, at=at,
        signature=heads.sign_text(text),
    )  # fmt: skip
    rows.delete()


@pytest.mark.clause("CJIS AU-11")
@pytest.mark.parametrize(("first", "last"), [(1, 3), (2, 6), (7, 10), (9, 10)])
def test_rows_removed_by_signature_are_no_tampering_and_others_are(
    folder: Path, people: Callable[..., Person], first: int, last: int, tmp_path: Path
) -> None:
    """Removed after they were copied, before, and with a range that reaches over the copy's end."""
    _write(4)
    _remove(people, first, last)
    _write(1)
    copies.add(folder)
    assert copies.verify(folder, heads.public_keys()).last == 13
    assert copies.compare(folder) is None
    # A new folder holds the anchor in the place of the rows.
    assert copies.add(tmp_path / "new").files == 1
    assert copies.verify(tmp_path / "new", heads.public_keys()) == copies.Copied(1, 13, 1)
    Removed.objects.update(hash="0" * 64, previous="0" * 64)
    fault = copies.compare(folder)
    assert (fault is not None) == (first <= 8)


@pytest.mark.clause("CJIS AU-9")
def test_anchor_in_a_copy_that_hq_did_not_sign_is_refused(
    folder: Path, people: Callable[..., Person]
) -> None:
    _remove(people, 1, 8)
    _write(1)
    new = folder.with_name("new")
    copies.add(new)
    (path,) = new.glob("*.jsonl")
    path.write_text(path.read_text().replace('"last":8', '"last":7', 1))
    with pytest.raises(copies.CopyBroken, match="without a signed anchor"):
        copies.verify(new, heads.public_keys())
