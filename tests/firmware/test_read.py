"""`platewarden read`: what it prints for pictures, with a reader whose answers are known."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps, features

from detector.types import Candidate, Detection, Flag, PlateText
from firmware.commands import read, selftest

RED = (255, 0, 0)


class MarkReader:
    """Finds the red rectangles of a picture, the left one first, and reads its own texts in that order."""

    min_confidence = 0.5

    def __init__(self, *texts: PlateText) -> None:
        self._texts = texts or (plate("ABC123", 0.9),)
        self.seen: list[read.Picture] = []

    def survey(self, image: read.Picture) -> Sequence[tuple[Detection, PlateText]]:
        self.seen.append(image)
        red = (image[:, :, 0] > 200) & (image[:, :, 1] < 60)
        columns = np.flatnonzero(red.any(axis=0))
        groups = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1) if columns.size else []
        found = []
        for group in groups:
            rows = np.flatnonzero(red[:, group].any(axis=1))
            x, y, w, h = float(group[0]), float(rows[0]), float(len(group)), float(len(rows))
            corners = ((x, y), (x + w, y), (x + w, y + h), (x, y + h))
            text = self._texts[min(len(found), len(self._texts) - 1)]
            found.append((Detection((x, y, w, h), 1 - len(found) / 10, corners), text))
        return found


def plate(text: str, confidence: float, *flags: Flag) -> PlateText:
    chars = tuple(0.9 - n / 100 for n in range(len(text)))
    return PlateText(
        text, confidence, chars, (Candidate(text, 0.8), Candidate(text[:-1], 0.1)), frozenset(flags)
    )


def picture(path: Path, boxes: Sequence[tuple[int, int, int, int]], orientation: int = 1) -> Path:
    image = np.full((40, 80, 3), 90, np.uint8)
    for x, y, w, h in boxes:
        image[y : y + h, x : x + w] = RED
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(image).save(path, exif=exif)
    return path


def run(
    reader: MarkReader, paths: Sequence[Path], *, least: float | None = None, keep_all: bool = False
) -> tuple[int, list[dict[str, Any]], str]:
    out, err = io.StringIO(), io.StringIO()
    code = read.read_all(
        reader, paths, as_json=True, min_confidence=least, keep_all=keep_all, out=out, err=err
    )
    return code, [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue()


def test_whatever_a_file_is_called_it_has_one_line(tmp_path: Path) -> None:
    """A name from a camera's card or another system may hold anything but a slash."""
    names = (b"two\nlines.png", b"\xff\xfe.png", "narrow\u202fspace é.png".encode(), b"red\x1b[31m.png")
    files = [Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)) for name in names]
    for file in files:
        picture(tmp_path / "a.png", [(10, 5, 20, 10)]).rename(file)
    bad = tmp_path / "bad\n\x1b.png"
    bad.touch()

    def command(*words: str) -> subprocess.CompletedProcess[bytes]:
        paths = [os.fsencode(file) for file in (*files, bad)]
        return subprocess.run(
            [sys.executable, "-m", "firmware.cli", "read", *words, *paths], capture_output=True, check=False
        )

    told = [json.loads(line) for line in command("--json").stdout.decode("utf-8").splitlines()]
    assert [os.fsencode(one["image"]) for one in told] == [os.fsencode(file) for file in files]
    done = command()
    lines = done.stdout.decode("utf-8").splitlines()
    assert [line.rpartition("/")[2].partition(": ")[0] for line in lines] == [
        "two\\nlines.png",
        "\\udcff\\udcfe.png",
        "narrow\u202fspace é.png",
        "red\\x1b[31m.png",
    ]
    (line,) = done.stderr.decode("utf-8").splitlines()
    assert "/bad\\n\\x1b.png: not a picture" in line


def test_one_json_object_for_each_image(tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png", [(10, 5, 20, 10)])
    text = replace(plate("AB1", 0.87654321, Flag.LENGTH, Flag.EDGE), region="CA", region_confidence=0.93214)
    code, (found,), err = run(MarkReader(text), [file])
    assert (code, err) == (0, "")
    assert found.pop("ms") >= 0
    assert found == {
        "image": str(file),
        "plates": [
            {
                "text": "AB1",
                "confidence": 0.8765,
                "min_char": 0.88,
                "region": "CA",
                "region_confidence": 0.9321,
                "char_confidence": [0.9, 0.89, 0.88],
                "candidates": [{"text": "AB1", "probability": 0.8}, {"text": "AB", "probability": 0.1}],
                "box": [10, 5, 20, 10],
                "corners": [[10, 5], [30, 5], [30, 15], [10, 15]],
                "flags": ["edge", "unusual_length"],
            }
        ],
    }


def test_a_line_shows_the_state_where_it_is_known(tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png", [(5, 5, 10, 5), (25, 5, 10, 5)])
    reader = MarkReader(
        replace(plate("KNOWN1", 0.9), region="NV", region_confidence=0.9), plate("BLANK1", 0.8)
    )
    out = io.StringIO()
    read.read_all(reader, [file], as_json=False, min_confidence=None, keep_all=False, out=out)
    assert out.getvalue().startswith(f"{file}: KNOWN1 NV 0.90, BLANK1 0.80 (")


def test_the_best_comes_first_and_the_weak_is_left_out(tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png", [(5, 5, 10, 5), (25, 5, 10, 5), (45, 5, 10, 5)])
    reader = MarkReader(plate("WEAK11", 0.3), plate("GOOD11", 0.6), plate("BEST11", 0.9))
    _, (found,), _ = run(reader, [file])
    assert [entry["text"] for entry in found["plates"]] == ["BEST11", "GOOD11"]
    _, (found,), _ = run(reader, [file], least=0.7)
    assert [entry["text"] for entry in found["plates"]] == ["BEST11"]
    _, (found,), _ = run(reader, [file], least=0.0)
    assert [entry["text"] for entry in found["plates"]] == ["BEST11", "GOOD11", "WEAK11"]


def test_all_keeps_the_weak_flagged(tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png", [(5, 5, 10, 5), (25, 5, 10, 5), (45, 5, 10, 5)])
    reader = MarkReader(plate("WEAK11", 0.3), plate("GOOD11", 0.6, Flag.LOW), plate("", 0.0, Flag.TWO_LINES))
    _, (found,), _ = run(reader, [file], keep_all=True)
    assert [(entry["text"], entry["flags"]) for entry in found["plates"]] == [
        ("GOOD11", []),
        ("WEAK11", ["low_confidence"]),
        ("", ["low_confidence", "two_lines"]),
    ]


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_are_in_pixels_of_the_image_as_stored(tmp_path: Path, orientation: int, suffix: str) -> None:
    file = picture(tmp_path / f"a.{suffix}", [(8, 16, 24, 8)], orientation)
    reader = MarkReader()
    _, (found,), _ = run(reader, [file])
    (entry,) = found["plates"]
    assert entry["box"] == [8, 16, 24, 8]
    assert sorted(entry["corners"]) == [[8, 16], [8, 24], [32, 16], [32, 24]]
    # What was read is what a viewer shows: Pillow's own idea of the tag.
    with Image.open(file) as image:
        assert np.array_equal(reader.seen[0], np.asarray(ImageOps.exif_transpose(image)))


def test_corners_keep_their_order_on_the_plate_in_a_turned_picture(tmp_path: Path) -> None:
    """Stored lying on its side: the plate's own top left corner is the stored picture's bottom left."""
    file = picture(tmp_path / "a.jpg", [(8, 16, 8, 24)], orientation=6)
    _, (found,), _ = run(MarkReader(), [file])
    assert found["plates"][0]["corners"] == [[8, 40], [8, 16], [16, 16], [16, 40]]


def test_an_unreadable_file_is_named_and_the_rest_go_on(tmp_path: Path) -> None:
    good = picture(tmp_path / "good.png", [(10, 5, 20, 10)])
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    cut = picture(tmp_path / "cut.jpg", [])
    cut.write_bytes(cut.read_bytes()[:-200])
    code, found, err = run(MarkReader(), [tmp_path / "none.jpg", text, cut, good])
    assert code == 1
    assert [entry["image"] for entry in found] == [str(good)]
    assert [line.split(":")[0] for line in err.splitlines()] == [f"{tmp_path}/none.jpg", str(text), str(cut)]


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_a_damaged_avif_is_named_and_the_rest_go_on(tmp_path: Path) -> None:
    good = picture(tmp_path / "good.png", [(10, 5, 20, 10)])
    bad = tmp_path / "bad.jpg"
    Image.new("RGB", (64, 48), RED).save(bad, format="AVIF")
    place = bad.read_bytes().index(b"mdat") + 4
    bad.write_bytes(bad.read_bytes()[:place] + b"\xff" * 200)
    code, found, err = run(MarkReader(), [bad, good])
    assert code == 1
    assert [entry["image"] for entry in found] == [str(good)]
    assert err.startswith(f"{bad}: damaged picture: ")
    assert err.count("\n") == 1


def test_a_picture_that_is_too_large_is_not_called_damaged(tmp_path: Path) -> None:
    """As of a scanner or a stitched panorama; a header of that size is enough."""
    file = tmp_path / "panorama.pgm"
    file.write_bytes(b"P5 20000 10000 255\n")
    code, found, err = run(MarkReader(), [file])
    assert (code, found) == (1, [])
    assert err == f"{file}: the picture is too large: at most 178 megapixels can be read\n"


@pytest.mark.parametrize(("kind", "told"), [("TIFF", True), ("GIF", True), ("MPO", False)])
def test_of_a_file_of_many_pages_it_is_told_that_only_the_first_was_read(
    tmp_path: Path, kind: str, told: bool
) -> None:
    """A second picture in a camera's file shows the same as the first."""
    file = tmp_path / f"scan.{kind.lower()}"
    pages = [Image.new("RGB", (64, 48), shade) for shade in (RED, (0, 0, 9), (0, 90, 0))]
    pages[0].save(file, kind, save_all=True, append_images=pages[1:])
    code, found, err = run(MarkReader(), [file])
    assert [entry["image"] for entry in found] == [str(file)]
    line = f"{file}: holds more pictures, only the first was read\n"
    assert (code, err) == ((1, line) if told else (0, ""))


def test_a_folder_gives_its_pictures_in_order(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.JPG", "a.png", "sub/c.jpeg"):
        picture(tmp_path / name, [])
    (tmp_path / "notes.txt").write_text("not a picture")
    code, found, err = run(MarkReader(), [tmp_path])
    assert (code, err) == (0, "")
    assert [Path(entry["image"]).name for entry in found] == ["a.png", "b.JPG", "c.jpeg"]


def test_a_folder_gives_pictures_of_every_kind_and_names_what_cannot_be_read(tmp_path: Path) -> None:
    kinds = {
        "a.jfif": "JPEG",
        "b.pgm": "PPM",
        "c.gif": "GIF",
        "d.jp2": "JPEG2000",
        "e.mpo": "MPO",
        "f.tga": "TGA",
    }
    if features.check("avif"):
        kinds["g.avif"] = "AVIF"
    for name, kind in kinds.items():
        Image.new("L", (64, 48)).save(tmp_path / name, format=kind)
    (tmp_path / "h.heic").write_bytes(b"\0\0\0\x18ftypheic")
    os.mkfifo(tmp_path / "i.jpg")
    code, found, err = run(MarkReader(), [tmp_path])
    assert code == 1
    assert [Path(entry["image"]).name for entry in found] == sorted(kinds)
    assert err == (
        f"{tmp_path}/h.heic: not a picture of a kind that can be read\n"
        f"{tmp_path}/i.jpg: not a picture: a named pipe\n"
    )


def test_what_cannot_be_opened_as_a_file_is_named_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(str(tmp_path / "socket"))
        code, found, err = run(MarkReader(), [tmp_path / name for name in ("pipe", "link", "socket")])
    assert (code, found) == (1, [])
    assert [line.split(":")[0] for line in err.splitlines()] == [
        str(tmp_path / name) for name in ("pipe", "link", "socket")
    ]


def test_a_picture_that_comes_through_a_pipe_is_read(tmp_path: Path) -> None:
    data = picture(tmp_path / "a.png", [(10, 5, 20, 10)]).read_bytes()
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing, "wb") as file:
        file.write(data)
        file.close()
        code, (found,), err = run(MarkReader(), [Path(f"/dev/fd/{reading}")])
    assert (code, err, len(found["plates"])) == (0, "", 1)


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    assert run(MarkReader(), [tmp_path]) == (1, [], f"{tmp_path}: holds no picture\n")


def test_one_line_for_each_image(tmp_path: Path) -> None:
    two = picture(tmp_path / "two.png", [(5, 5, 10, 5), (25, 5, 10, 5)])
    none = picture(tmp_path / "none.png", [])
    out = io.StringIO()
    reader = MarkReader(plate("AB1234", 0.3), plate("", 0.0, Flag.TWO_LINES))
    read.read_all(
        reader, [two, none], as_json=False, min_confidence=None, keep_all=True, out=out, err=io.StringIO()
    )
    first, second = out.getvalue().splitlines()
    assert first.startswith(f"{two}: AB1234 0.30 low_confidence, (not read) 0.00 low_confidence two_lines (")
    assert second.startswith(f"{none}: no plate (")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_how_far_a_folder_is(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / name, [])
    screen, file = Terminal(), io.StringIO()
    read.read_all(
        MarkReader(), [tmp_path], as_json=True, min_confidence=None, keep_all=False, out=file, err=screen
    )
    assert "1/2 pictures" in screen.getvalue()
    assert screen.getvalue().endswith("\r\033[K")
    quiet = io.StringIO()
    read.read_all(
        MarkReader(), [tmp_path], as_json=True, min_confidence=None, keep_all=False, out=file, err=quiet
    )
    assert quiet.getvalue() == ""


def test_the_shipped_models_read_a_rendered_plate(tmp_path: Path) -> None:
    file = tmp_path / "car.png"
    Image.fromarray(selftest.rendered_plate()).save(file)
    found = subprocess.run(
        [sys.executable, "-m", "firmware.cli", "read", "--json", str(file), str(tmp_path / "none.png")],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 1
    assert str(tmp_path / "none.png") in found.stderr
    (line,) = found.stdout.splitlines()
    best = json.loads(line)["plates"][0]
    assert best["text"] == selftest.PLATE
    x, y, w, h = best["box"]
    assert abs(x + w / 2 - 320) < 20
    assert abs(y + h / 2 - 227) < 20


def test_a_folder_that_cannot_be_entered_is_named_and_the_rest_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "open" / "closed"
    closed.mkdir(parents=True)
    seen = picture(closed.parent / "a.png", [(10, 10, 20, 10)])
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    too_long = Path("a" * 300)
    code, lines, errors = run(MarkReader(), [too_long, tmp_path])
    assert code == 1
    assert [found["image"] for found in lines] == [str(seen)]
    assert errors.splitlines() == [
        f"{too_long}: cannot be read: File name too long",
        f"{closed}: cannot be read: Permission denied",
    ]
