"""An evidence package is exact, signed, and an outsider finds any change with stock tools."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import re
import subprocess
import zipfile
import zlib
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import bagit
import minisign
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hq.evidence import bag, check
from tests.hq.served import browsing

KEY = minisign.KeyPair.generate()
SECRET, PUBLIC = KEY.secret_key, KEY.public_key
READ = "0195a1f0-0000-7000-8000-000000000001"


def photo(name: str, data: bytes, sha256: str | None = None) -> bag.Photo:
    return bag.Photo(name, sha256 or hashlib.sha256(data).hexdigest(), len(data), lambda: io.BytesIO(data))


def content(**changes: object) -> bag.Content:
    picture = {"kind": "plate", "file": f"pictures/{READ}-plate.jpg", "sha256": "x", "missing": ""}
    values: dict[str, object] = {
        "cover": bag.Cover(
            number="P-2026-0007",
            kind="Evidence package",
            agency="Musterstadt PD",
            ori="CA0000000",
            policy="policy 430, version 2026-1",
            case="26-1234",
            purpose="criminal_investigation (430.5(b))",
            requested_by="I. Novák, Investigator",
            approved_by="C. Ruiz, Lieutenant",
            prepared_by="R. Okafor, Records clerk",
            prepared_at=datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC),
            scope={"plate": "7ABC123", "from": "2026-03-01", "to": "2026-03-03"},
        ),
        "reads": [
            {"id": READ, "text": "7ABC123", "lat": -34.1, "note": "=1+1", "pictures": [picture]},
            {"id": "2", "text": "<script>alert(1)</script>", "lat": None, "note": "", "pictures": []},
        ],
        "photos": [
            photo(f"pictures/{READ}-plate.jpg", b"plate"),
            photo(f"pictures/{READ}-scene.jpg", b"scene" * 999),
        ],
        "hits": [{"read": READ, "state": "verified"}],
        "units": [{"unit": "trailer-1"}],
        "hotlists": [{"list": "svs", "version": 4}],
        "access": [
            {"at": "2026-03-02T10:00:00.00+00:00", "person": "I. Novák", "purpose": "criminal_investigation"}
        ],
    }
    return bag.Content(**{**values, **changes})  # type: ignore[arg-type]


def made(**changes: object) -> tuple[bytes, bag.Made]:
    out = io.BytesIO()
    result = bag.build(content(**changes), SECRET, out)
    return out.getvalue(), result


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    data, result = made()
    zipfile.ZipFile(io.BytesIO(data)).extractall(tmp_path)
    return tmp_path / result.folder


def steps(folder: Path) -> list[list[str]]:
    """The commands of VERIFY.txt, as an outsider would type them, from the signature on."""
    lines = [line[4:] for line in (folder / "VERIFY.txt").read_text().splitlines() if line.startswith("    ")]
    return [line.split() for line in lines if re.match(r"(minisign|sha256sum --check) ", line)]


def stock_verify(folder: Path) -> bool:
    """Follow VERIFY.txt with the tools that it names."""
    commands = steps(folder)
    assert len(commands) == 3
    if any(subprocess.run(command, cwd=folder, capture_output=True).returncode for command in commands):
        return False
    stated = re.search(r"must be (\d+) files", (folder / "VERIFY.txt").read_text())
    assert stated
    return sum(path.is_file() for path in folder.rglob("*")) == int(stated[1])


@pytest.mark.clause("430.4-e")
def test_the_same_input_gives_the_same_bytes() -> None:
    first, result = made()
    again, _ = made()
    assert first == again
    assert result.sha256 == hashlib.sha256(first).hexdigest()
    assert result.size == len(first)


@pytest.mark.clause("430.4-e")
def test_bagit_and_stock_minisign_accept_it(unpacked: Path) -> None:
    bagit.Bag(str(unpacked)).validate()
    assert stock_verify(unpacked)
    assert PUBLIC.to_base64().decode() in (unpacked / "VERIFY.txt").read_text()


@pytest.mark.clause("430.4-e")
def test_it_holds_what_the_policy_asks_for(unpacked: Path) -> None:
    names = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    assert names == {
        "bagit.txt",
        "bag-info.txt",
        "manifest-sha256.txt",
        "tagmanifest-sha256.txt",
        "tagmanifest-sha256.txt.minisig",
        "minisign.pub",
        "VERIFY.txt",
        "index.html",
        "cover.pdf",
        "custody.pdf",
        "data/package.json",
        "data/reads.json",
        "data/reads.csv",
        "data/hits.json",
        "data/units.json",
        "data/hotlists.json",
        "data/access-log.json",
        "data/access-log.csv",
        f"data/pictures/{READ}-plate.jpg",
        f"data/pictures/{READ}-scene.jpg",
    }
    assert json.loads((unpacked / "data/reads.json").read_text())[0]["text"] == "7ABC123"
    assert (unpacked / "cover.pdf").read_bytes().startswith(b"%PDF-")


def test_a_spreadsheet_runs_nothing_and_a_browser_neither(unpacked: Path) -> None:
    assert "'=1+1" in (unpacked / "data/reads.csv").read_text()
    assert "-34.1" in (unpacked / "data/reads.csv").read_text()
    page = (unpacked / "index.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.clause("430.4-e")
def test_any_changed_byte_of_any_file_is_found_with_stock_tools(unpacked: Path, data: st.DataObject) -> None:
    files = sorted(path for path in unpacked.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(files))
    original = path.read_bytes()
    # The one line that minisign does not sign is the comment on top of a signature.
    first = original.index(b"\n") + 1 if path.suffix == ".minisig" else 0
    position = data.draw(st.integers(first, len(original) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = original[:position] + bytes([original[position] ^ flip]) + original[position + 1 :]
    path.chmod(0o600)
    path.write_bytes(changed)
    verdict = False
    try:
        # VERIFY.txt itself is read from the signed copy, as a person has printed it.
        pristine, _ = made()
        folder = next(iter(zipfile.ZipFile(io.BytesIO(pristine)).namelist())).split("/")[0]
        commands = zipfile.ZipFile(io.BytesIO(pristine)).read(f"{folder}/VERIFY.txt").decode()
        lines = [line.strip().split() for line in commands.splitlines() if line.startswith("    ")]
        todo = [line for line in lines if line[0] == "minisign" or line[:2] == ["sha256sum", "--check"]]
        verdict = all(subprocess.run(c, cwd=unpacked, capture_output=True).returncode == 0 for c in todo)
    finally:
        path.write_bytes(original)
    assert not verdict
    assert stock_verify(unpacked)


@pytest.mark.parametrize("how", ["add", "remove"])
def test_an_added_or_removed_file_is_found(unpacked: Path, how: str) -> None:
    if how == "add":
        (unpacked / "data/pictures/extra.jpg").write_bytes(b"x")
    else:
        (unpacked / f"data/pictures/{READ}-scene.jpg").unlink()
    assert not stock_verify(unpacked)


def test_rewritten_manifests_pass_bagit_and_fail_the_signature(unpacked: Path) -> None:
    """BagIt alone is no proof: who changes a file can make its manifests fit again."""
    (unpacked / "data/reads.csv").chmod(0o600)
    (unpacked / "data/reads.csv").write_text("id\r\n")
    for name in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
        path = unpacked / name
        lines = [line.split("  ", 1) for line in path.read_text().splitlines()]
        path.chmod(0o600)
        path.write_text(
            "".join(f"{hashlib.sha256((unpacked / n).read_bytes()).hexdigest()}  {n}\n" for _, n in lines)
        )
    info = unpacked / "bag-info.txt"
    total = sum(p.stat().st_size for p in (unpacked / "data").rglob("*") if p.is_file())
    count = sum(p.is_file() for p in (unpacked / "data").rglob("*"))
    info.chmod(0o600)
    info.write_text(re.sub(r"Payload-Oxum: .*", f"Payload-Oxum: {total}.{count}", info.read_text()))
    tag = unpacked / "tagmanifest-sha256.txt"
    tag.write_text(
        re.sub(
            r"\w{64}  bag-info.txt",
            f"{hashlib.sha256(info.read_bytes()).hexdigest()}  bag-info.txt",
            tag.read_text(),
        )
    )
    bagit.Bag(str(unpacked)).validate()
    assert not stock_verify(unpacked)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_hq_finds_any_changed_byte_of_the_zip(data: st.DataObject) -> None:
    archive, result = made()
    position = data.draw(st.integers(0, len(archive) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = archive[:position] + bytes([archive[position] ^ flip]) + archive[position + 1 :]
    assert check.faults(io.BytesIO(archive), PUBLIC, result.sha256) == []
    assert check.faults(io.BytesIO(changed), PUBLIC, result.sha256) != []


def test_another_key_is_found() -> None:
    archive, result = made()
    other = minisign.KeyPair.generate().public_key
    assert any("signature" in fault for fault in check.faults(io.BytesIO(archive), other, result.sha256))


@pytest.mark.clause("430.4-e")
@pytest.mark.parametrize(
    ("how", "told"),
    [("twice", "stands twice"), ("outside", "outside"), ("comment", "first line was changed")],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hq_finds_what_the_signature_does_not_cover(how: str, told: str) -> None:
    """Where the ZIP's own SHA-256 is not known, as at an outsider's."""
    held = zipfile.ZipFile(io.BytesIO(made()[0]))
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as archive:
        for name in held.namelist():
            data = held.read(name)
            if how == "comment" and name.endswith(".minisig"):
                data = data.replace(b"untrusted comment: ", b"untrusted comment: approved, ", 1)
            archive.writestr(name, data)
        if how == "twice":
            archive.writestr(held.namelist()[0], held.read(held.namelist()[0]))
        elif how == "outside":
            archive.writestr("elsewhere/notes.txt", b"")
    (fault,) = check.faults(changed, PUBLIC)
    assert told in fault


@pytest.mark.clause("430.4-e")
def test_no_package_is_made_of_a_part() -> None:
    """A picture that differs from its row or cannot be opened stops the package."""
    with pytest.raises(bag.Unreadable, match="SHA-256"):
        made(photos=[photo("pictures/a-plate.jpg", b"plate", "0" * 64)])

    def gone() -> io.BytesIO:
        raise FileNotFoundError(2, "No such file or directory")

    with pytest.raises(bag.Unreadable, match="No such file"):
        made(photos=[bag.Photo("pictures/a-plate.jpg", "0" * 64, 5, gone)])


@pytest.mark.parametrize("name", ["../x", "pictures/../../x", "/etc/x", "pictures/a b", "pictures/a\nb", ""])
def test_a_picture_name_cannot_leave_the_package(name: str) -> None:
    with pytest.raises(ValueError, match="picture name"):
        made(photos=[photo(name, b"x")])
    with pytest.raises(ValueError, match="same name"):
        made(photos=[photo("pictures/a-plate.jpg", b"x"), photo("pictures/a-plate.jpg", b"y")])


def test_names_in_any_script_are_taken(tmp_path: Path) -> None:
    cover = dataclasses.replace(content().cover, requested_by="Łukasz 李", case="26/1234\nX: y")
    data, result = made(cover=cover)
    zipfile.ZipFile(io.BytesIO(data)).extractall(tmp_path)
    bagit.Bag(str(tmp_path / result.folder)).validate()
    assert "Łukasz 李" in (tmp_path / result.folder / "index.html").read_text()


def test_the_cover_and_the_custody_sheet_say_whose_and_what(unpacked: Path) -> None:
    cover, custody = (pdf_text(unpacked / name) for name in ("cover.pdf", "custody.pdf"))
    manifest = hashlib.sha256((unpacked / "manifest-sha256.txt").read_bytes()).hexdigest()
    for words in ("P-2026-0007", "26-1234", "C. Ruiz", "2026-03-04 05:06:07", manifest):
        assert words in cover
    for words in ("Chain of custody", "26-1234", "Evidence / property number", "Released by", manifest):
        assert words in custody


def test_the_index_tells_what_was_done_about_a_hit_in_words(tmp_path: Path) -> None:
    done = [{"record": "clets", "by": "P. Sandoval", "result": "confirmed", "reason": ""}]
    data, result = made(hits=[{"read": READ, "verification": done}, {"read": READ, "verification": []}])
    zipfile.ZipFile(io.BytesIO(data)).extractall(tmp_path)
    page = (tmp_path / result.folder / "index.html").read_text()
    assert "record: clets<br>by: P. Sandoval<br>result: confirmed<br>" in page
    assert "none" in page
    assert "{" not in page.partition("<main>")[2]


def test_the_index_has_words_and_the_agencys_time_where_the_json_has_lists_and_utc(tmp_path: Path) -> None:
    read = {"id": READ, "captured_at": "2026-03-04T05:06:07.12+00:00", "char_confidence": [0.99, 0.5]}
    data, result = made(reads=[{**read, "clock": {"quality": "ntp"}, "parked": False}])
    zipfile.ZipFile(io.BytesIO(data)).extractall(tmp_path)
    page = (tmp_path / result.folder / "index.html").read_text()
    for told in ("2026-03-03 21:06:07 -08:00", "0.99, 0.5", "quality ntp", "<td>no</td>", "char confidence"):
        assert told in page, told


@pytest.mark.slow
def test_no_long_word_reaches_out_of_the_index_on_paper(tmp_path: Path) -> None:
    cover = dataclasses.replace(content().cover, requested_by="N" * 128)
    data, result = made(cover=cover, hits=[{"read": READ, "reason": "W" * 1000, "source": "S" * 300}])
    zipfile.ZipFile(io.BytesIO(data)).extractall(tmp_path)
    with browsing() as browser, closing(browser.new_page(viewport={"width": 718, "height": 1000})) as page:
        page.goto((tmp_path / result.folder / "index.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 718


LOSSY = "? stands for a character that this sheet cannot print; index.html has it"


def test_the_paper_prints_names_as_people_type_them_and_says_what_it_cannot_print(tmp_path: Path) -> None:
    """A court reads the paper first: Word's quotation marks and dashes became "?", and nothing told of it."""
    plain = dataclasses.replace(
        content().cover, prepared_by="José O’Brien–Żółć, Clerk “Senior” — № 5", approved_by="C. Ruiz?"
    )
    foreign = dataclasses.replace(plain, prepared_by="José 王小明 عبد, Clerk")
    for about, printed, lossy in (
        (plain, 'José O\'Brien-Zólc, Clerk "Senior" - No 5', False),
        (foreign, "José ??? ???, Clerk", True),
    ):
        data, result = made(cover=about)
        zipfile.ZipFile(io.BytesIO(data)).extractall(tmp_path)
        for name in ("cover.pdf", "custody.pdf"):
            text = pdf_text(tmp_path / result.folder / name)
            assert printed in text
            assert (LOSSY in text) is lossy


def pdf_text(path: Path) -> str:
    """The text of a PDF that has only the standard fonts."""
    streams = re.findall(rb"stream\n(.*?)\nendstream", path.read_bytes(), re.DOTALL)
    pages = b"".join(zlib.decompress(stream) for stream in streams)
    return " ".join(part.decode("latin-1") for part in re.findall(rb"\((.*?)\) Tj", pages))
