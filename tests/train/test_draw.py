"""The sheets on which corners are drawn: what they show, and that what they write can be drawn again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("cv2")

from train import draw
from train.drawn import corners_of, load_drawn
from train.folds import fold_of

pytestmark = pytest.mark.train

BOX = (100.0, 80.0, 120.0, 40.0)
RIVALS = ((0, 1), (1, 0))
"""Channels: what is red has more of the first than of the second, what is green the other way round."""


def data(folder: Path) -> int:
    """One photograph with a wide plate, a narrow one and one with its corners; its fold."""
    (folder / "scenes").mkdir()
    Image.new("RGB", (400, 300), (60, 60, 60)).save(folder / "scenes/a.png")
    quad = [[10, 10], [80, 10], [80, 40], [10, 40]]
    plates = [{"box": BOX}, {"box": [0, 0, 39, 10]}, {"box": [10, 10, 70, 30], "quad": quad}]
    record = {"image": "scenes/a.png", "set": "invented", "plates": plates}
    (folder / "scenes.jsonl").write_text(json.dumps(record))
    return fold_of(record)


def test_only_wide_plates_without_corners_are_shown_and_their_lines_draw_again(tmp_path: Path) -> None:
    fold, out = data(tmp_path), tmp_path / "out"
    assert draw.main(["--data", str(tmp_path), "--fold", str(fold), "--out", str(out)]) == 0
    (places,) = load_drawn(out / "lines.txt").values()
    assert list(places) == ["0"]
    assert np.array_equal(places["0"], corners_of(BOX))  # nothing is found in a grey picture
    first = (out / "sheet-001.png").read_bytes()
    assert draw.main(["--data", str(tmp_path), "--drawn", str(out / "lines.txt"), "--out", str(out)]) == 0
    assert (out / "sheet-001.png").read_bytes() == first


def test_the_label_is_red_and_the_corners_are_green() -> None:
    grey = np.full((300, 400, 3), 60, np.uint8)
    label, corners = corners_of(BOX), corners_of((110.0, 85.0, 100.0, 30.0))
    both, alone = (draw.tile(grey, one, corners, "a 0") for one in (label, None))
    seen = [
        [
            bool((shown[..., one].astype(int) > shown[..., other].astype(int) + 80).any())
            for one, other in RIVALS
        ]
        for shown in (both, alone)
    ]
    assert seen == [[True, True], [False, True]]


@pytest.mark.parametrize("part", ["0/2", "3/2", "x", "1"])
def test_a_part_that_is_none_is_refused(
    tmp_path: Path, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        draw.main(["--data", str(tmp_path), "--out", str(tmp_path), "--part", part])
    assert "--part" in capsys.readouterr().err


def test_a_line_of_another_photograph_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data(tmp_path)
    (tmp_path / "lines.txt").write_text("scenes/b.png 0 none\n")
    with pytest.raises(SystemExit):
        draw.main(["--data", str(tmp_path), "--out", str(tmp_path), "--drawn", str(tmp_path / "lines.txt")])
    assert "scenes/b.png is no photograph of" in capsys.readouterr().err
