"""A unit's card or stick, imported by hand: what the unit would have sent, checked and logged alike."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.core.management.base import CommandError

from firmware.store import Store
from hq.records.medium import Medium
from hq.records.models import (
    AccessReceived,
    Gap,
    Hit,
    Loss,
    Picture,
    Quarantined,
    Read,
    Series,
    Transfer,
    Unit,
)
from hq.site import backup
from mqtt.records import PictureKind
from tests.firmware.store_samples import SetClock, access, hit, jpeg, pair, read, receipt

pytestmark = pytest.mark.django_db


@pytest.fixture
def unit() -> Unit:
    return Unit.objects.create(unit_id="trailer-2", state=Unit.State.ENROLLED)


@pytest.fixture(autouse=True)
def pictures(tmp_path: Path, settings: Any) -> None:
    settings.MEDIA_ROOT = tmp_path / "hq-pictures"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A unit's store with three reads, a revision, a hit, six pictures and an access record."""
    at = SetClock()
    store = Store.open(tmp_path / "card", at)
    first = read(at)
    store.add(first, [hit(first)], pair(1))
    for shade in (2, 3):
        store.add(read(at, plate=f"TEST12{shade}"), (), pair(shade))
    store.revise(replace(first, looks=9), (), {PictureKind.PLATE: jpeg(4, 8)})
    store.add_access(access(at))
    store.close()
    return store.directory


def bring(card: Path, *words: str) -> str:
    """Run the command as a person who brought the card; what it printed."""
    out = StringIO()
    call_command("import_unit", str(card), "--by", "T. Tester", *words, stdout=out)
    return out.getvalue()


def rows_of(card: Path) -> list[tuple[int, str, bytes]]:
    with closing(sqlite3.connect(card / "platewarden.sqlite")) as db:
        return db.execute("SELECT sequence, kind, body FROM outbox ORDER BY sequence").fetchall()


@pytest.mark.clause("430.4-b")
def test_a_card_brings_what_the_unit_would_have_sent(card: Path, unit: Unit) -> None:
    before = {path: path.read_bytes() for path in card.rglob("*") if path.is_file()}
    told = bring(card, "--unit", "trailer-2")
    sent = rows_of(card)
    assert f"trailer-2: {len(sent)} new, 0 known, 0 put into quarantine" in told
    assert f"up to {len(sent)}\n" in told
    newest: dict[str, str] = {}
    for _, kind, body in sent:
        if kind == "read":
            newest[json.loads(body)["read_id"]] = hashlib.sha256(body).hexdigest()
    assert {str(row.pk): row.digest for row in Read.objects.all()} == newest
    assert Hit.objects.count() == AccessReceived.objects.count() == 1
    assert Picture.objects.filter(missing=False).count() == 7
    for picture in Picture.objects.all():
        with default_storage.open(picture.file.name) as file:
            assert hashlib.sha256(file.read()).hexdigest() == picture.sha256
    transfer = Transfer.objects.get()
    assert (transfer.way, transfer.brought_by) == ("medium", "T. Tester")
    assert transfer.messages == Series.objects.get().contiguous == len(sent)
    after = {path: path.read_bytes() for path in card.rglob("*") if path.is_file()}
    assert after == before, "the medium was changed"


@pytest.mark.clause("430.5-0")
def test_copy_of_a_card_lies_in_hqs_folder_and_goes_after_a_kill_too(
    card: Path, unit: Unit, tmp_path: Path, settings: Any
) -> None:
    """The system's folder for temporary files may lie on a disk in clear, and nobody empties it of ours."""
    settings.DATA, elsewhere = tmp_path / "hq", tmp_path / "elsewhere"
    settings.DATA.mkdir()
    elsewhere.mkdir()
    killed = (
        "import django, os, pathlib, sys; django.setup(); from hq.records.medium import Medium;"
        "held = Medium(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    told = {"PLATEWARDEN_HQ_DATA": str(settings.DATA), "TMPDIR": str(elsewhere)}
    done = subprocess.run(
        [sys.executable, "-c", killed, str(card)],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, **told, "DJANGO_SETTINGS_MODULE": "hq.settings"},
        check=False,
    )
    assert done.returncode == -9
    assert list(elsewhere.iterdir()) == []
    (left,) = settings.DATA.glob("*/platewarden.sqlite")
    with closing(Medium(card)):  # Another import, which goes on meanwhile.
        assert not left.exists()
        bring(card, "--unit", "trailer-2")
        assert len(list(settings.DATA.glob("*/platewarden.sqlite"))) == 1
    assert list(settings.DATA.glob("*/platewarden.sqlite")) == []


@pytest.mark.django_db(transaction=True)
def test_copy_of_a_card_is_in_no_backup_that_is_made_meanwhile(
    card: Path, tmp_path: Path, settings: Any
) -> None:
    """It goes once the import ends, which must not end the backup."""
    settings.DATA = tmp_path / "hq"
    settings.DATA.mkdir()
    made = BytesIO()
    with closing(Medium(card)):
        backup.make(made, made_by="test")
    made.seek(0)
    with tarfile.open(fileobj=made) as archive:
        assert "backup.json" in archive.getnames()
        assert [name for name in archive.getnames() if "platewarden.sqlite" in name] == []


def test_a_card_that_is_brought_again_brings_nothing_new_and_needs_no_name(card: Path, unit: Unit) -> None:
    bring(card, "--unit", "trailer-2")
    assert "trailer-2: 0 new" in bring(card)
    assert Read.objects.count() == 3


@pytest.mark.clause("430.2-c")
def test_the_card_of_a_unit_that_is_not_enrolled_is_kept_apart(card: Path) -> None:
    told = bring(card, "--unit", "trailer-2")
    assert f"{len(rows_of(card))} put into quarantine" in told
    assert not Read.objects.exists()
    assert Quarantined.objects.filter(not_enrolled=True).count() == len(rows_of(card))


@pytest.mark.clause("430.4-b")
def test_damaged_and_missing_pictures_are_counted_as_lost(card: Path, unit: Unit) -> None:
    files = sorted((card / "pictures").rglob("*.jpg"))
    files[0].unlink()
    files[1].write_bytes(files[1].read_bytes()[:-1] + b"?")
    bring(card, "--unit", "trailer-2")
    assert {loss.reason.split(":")[0] for loss in Loss.objects.all()} == {
        "its file cannot be read",
        "its file is damaged",
    }
    assert Picture.objects.filter(missing=True).count() == 2
    assert not Gap.objects.exists()


def test_pictures_that_hq_has_are_not_lost_when_the_card_has_them_no_more(card: Path, unit: Unit) -> None:
    bring(card, "--unit", "trailer-2")
    for file in (card / "pictures").rglob("*.jpg"):
        file.unlink()
    bring(card)
    assert not Loss.objects.exists()
    assert not Picture.objects.filter(missing=True).exists()


def test_numbers_that_the_unit_purged_are_losses_where_hq_lacks_them(card: Path, unit: Unit) -> None:
    at = SetClock()
    store = Store.open(card, at)
    receipt(store, at)
    at.advance(timedelta(days=30))
    assert store.purge(at.now().wall, timedelta(hours=1)).reads == 3
    store.add(read(at), (), pair(9))
    store.close()
    bring(card, "--unit", "trailer-2")
    assert Read.objects.count() == 1
    assert not Gap.objects.exists()
    assert Loss.objects.filter(kind="record").count() >= 9


@pytest.mark.parametrize("harm", ["none", "garbage", "other", "path"])
def test_what_is_no_store_is_refused_in_one_line(card: Path, unit: Unit, harm: str) -> None:
    file = card / "platewarden.sqlite"
    match harm:
        case "none":
            file.unlink()
        case "garbage":
            file.write_bytes(bytes(range(256)) * 40)
        case "other":
            file.unlink()
            with closing(sqlite3.connect(file)) as db, db:
                db.execute("CREATE TABLE outbox (x)")
        case "path":
            card = card / "nowhere"
    with pytest.raises(CommandError, match=r"platewarden\.sqlite: [^\n]*$"):
        bring(card, "--unit", "trailer-2")


def test_a_path_that_leads_out_of_the_medium_is_not_followed(card: Path, unit: Unit, tmp_path: Path) -> None:
    """A card comes from outside: its database may name any file of HQ's."""
    secret = tmp_path / "secret"
    with closing(sqlite3.connect(card / "platewarden.sqlite")) as db, db:
        (sequence, body), *_ = db.execute(
            "SELECT sequence, body FROM outbox WHERE kind = 'picture'"
        ).fetchall()
        data = b"a key of HQ"
        secret.write_bytes(data)
        header = json.loads(body) | {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        db.execute(
            "UPDATE outbox SET ref = '../secret', body = ? WHERE sequence = ?", (json.dumps(header), sequence)
        )
    bring(card, "--unit", "trailer-2")
    assert Loss.objects.get().reason == "its path leads out of the medium"
    assert not Picture.objects.filter(sha256=header["sha256"]).exists()


def test_a_store_has_one_unit(card: Path, unit: Unit) -> None:
    with pytest.raises(CommandError, match="say --unit"):
        bring(card)
    bring(card, "--unit", "trailer-2")
    Unit.objects.create(unit_id="pole-1", state=Unit.State.ENROLLED)
    with pytest.raises(CommandError, match="HQ knows the store"):
        bring(card, "--unit", "pole-1")
    with pytest.raises(CommandError, match="--unit"):
        bring(card, "--unit", "../x")
