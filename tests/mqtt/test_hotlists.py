from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.public import PrivateKey
from nacl.signing import SigningKey

from mqtt import hotlists
from mqtt.errors import HotListError
from mqtt.records import ListEntry, Manifest
from tests.mqtt.samples import AT

ROOT = Path(__file__).resolve().parents[2]
PLATES = st.text("ABC0123456789", min_size=1, max_size=7)


def entry(plate: str) -> ListEntry:
    return ListEntry(
        plate=plate, state="CA", alarm_class="stolen_vehicle", reason="test", source="manual",
        case_number="", expiry="2026-12-31",
    )  # fmt: skip


def signed(pieces: list[bytes], key: SigningKey) -> Manifest:
    return hotlists.manifest("test", "2", AT, AT, pieces, 3, key)


@given(st.sets(PLATES, max_size=60), st.integers(1, 20))
@settings(max_examples=50)
def test_entries_come_out_of_the_pieces_as_they_went_in(plates: set[str], per_piece: int) -> None:
    entries = {entry(plate) for plate in plates}
    pieces = hotlists.pack(sorted(entries, key=lambda e: e.plate), per_piece)
    assert {e for piece in pieces for e in hotlists.unpack(piece)} == entries
    assert hotlists.pack(sorted(entries, key=lambda e: e.plate[::-1]), per_piece) == pieces


def test_one_new_plate_changes_one_piece() -> None:
    plates = [f"TST{number:04d}" for number in range(1000)]
    before = hotlists.pack([entry(plate) for plate in plates], 50)
    after = hotlists.pack([entry(plate) for plate in [*plates, "NEW0001"]], 50)
    assert len(before) == len(after) == 32
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


def test_a_manifest_holds_no_plate_and_no_change_passes() -> None:
    """430.7-b: it is retained."""
    key = SigningKey.generate()
    manifest = signed(hotlists.pack([entry("TST0001")]), key)
    public = bytes(key.verify_key).hex()
    hotlists.verify(manifest, public)
    assert "TST0001" not in repr(manifest)
    for change in (
        {"version": "3"}, {"expires_at": "2027-01-31T23:59:59.07+00:00"}, {"entries": 4},
        {"chunks": ()}, {"signature": ""}, {"signature": "0" * 128},
    ):  # fmt: skip
        with pytest.raises(HotListError):
            hotlists.verify(dataclasses.replace(manifest, **change), public)
    with pytest.raises(HotListError):
        hotlists.verify(manifest, bytes(SigningKey.generate().verify_key).hex())


def test_a_sealed_piece_opens_with_the_unit_s_key_only() -> None:
    key, piece = PrivateKey.generate(), b"piece"
    sealed = hotlists.seal(piece, hotlists.public_key(key))
    assert piece not in sealed
    assert hotlists.unseal(sealed, key) == piece
    with pytest.raises(HotListError):
        hotlists.unseal(sealed, PrivateKey.generate())
    with pytest.raises(HotListError):
        hotlists.unseal(sealed[:-1], key)


def test_a_changed_piece_is_refused() -> None:
    (piece,) = hotlists.pack([entry("TST0001")])
    ref = signed([piece], SigningKey.generate()).chunks[0]
    hotlists.check_piece(ref, piece)
    with pytest.raises(HotListError):
        hotlists.check_piece(ref, piece[:-1] + b"x")


@given(st.binary(max_size=200))
def test_garbage_is_refused_as_a_piece(garbage: bytes) -> None:
    with pytest.raises(HotListError):
        list(hotlists.unpack(garbage))


def test_a_cut_piece_is_refused() -> None:
    (piece,) = hotlists.pack([entry("TST0001")])
    with pytest.raises(HotListError):
        list(hotlists.unpack(piece[:-3]))


def test_a_unit_key_that_a_power_cut_left_empty_is_made_anew(tmp_path: Path) -> None:
    """HQ seals to the key of each question: nothing was ever sealed to an empty one."""
    path = tmp_path / "unit.key"
    path.touch(0o644)
    key = hotlists.unit_key(path)
    assert hotlists.unit_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert hotlists.unseal(hotlists.seal(b"piece", hotlists.public_key(key)), key) == b"piece"


def test_a_signing_key_that_is_empty_is_made_anew_only_before_its_public_half_was_given_out(
    tmp_path: Path,
) -> None:
    path = tmp_path / "hq.key"
    path.touch()
    key = hotlists.signing_key(path)
    assert hotlists.read_public_key(tmp_path / "hq.pub") == bytes(key.verify_key).hex()
    (tmp_path / "hq.pub").write_text("")
    assert hotlists.signing_key(path) == key, "a power cut between the two"
    assert hotlists.read_public_key(tmp_path / "hq.pub") == bytes(key.verify_key).hex()
    path.write_text("")
    with pytest.raises(HotListError, match=r"hq\.key: the key to .*hq\.pub is gone: put it back"):
        hotlists.signing_key(path)
    assert path.read_text() == ""


def test_a_signing_key_is_not_replaced_behind_the_units_back(tmp_path: Path) -> None:
    """HQ restored without its key made another one and signed lists that every unit refused."""
    path, public = tmp_path / "hq.key", tmp_path / "hq.pub"
    hotlists.signing_key(path)
    path.rename(tmp_path / "away")
    with pytest.raises(HotListError, match=rf"^{path}: .*mqtt\.list_key_file"):
        hotlists.signing_key(path)
    assert not path.exists()
    known = public.read_text()
    public.unlink()
    hotlists.signing_key(path)
    public.write_text(known)
    with pytest.raises(HotListError, match=rf"^{public}: is not the public half of {path}"):
        hotlists.signing_key(path)


def test_a_key_that_cannot_be_written_whole_gets_no_name(tmp_path: Path) -> None:
    """As when the power goes or the disk is full: the next start makes it and does not stop at half a key."""
    path = tmp_path / "unit.key"
    code = (
        "import resource, sys; from pathlib import Path; from mqtt.hotlists import unit_key;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20)); unit_key(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "HotListError" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_keys_are_made_once_and_are_secret(tmp_path: Path) -> None:
    path = tmp_path / "hq.key"
    key = hotlists.signing_key(path)
    assert hotlists.signing_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert hotlists.read_public_key(tmp_path / "hq.pub") == bytes(key.verify_key).hex()
    (tmp_path / "bad").write_text("nonsense")
    with pytest.raises(HotListError, match="bad"):
        hotlists.read_public_key(tmp_path / "bad")
    with pytest.raises(HotListError, match="bad"):
        hotlists.unit_key(tmp_path / "bad")
