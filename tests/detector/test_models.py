"""Models, sidecars and pictures that are damaged, and both runtimes over the same pictures."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detector.errors import DetectorError, ImageError, ModelError
from detector.image import Light, crop_quad, open_image, open_upright, resize_for
from detector.locate import decode, suppress
from detector.runtime import RUNTIMES, Model, find_runtime
from detector.sidecar import load_sidecar
from tests.detector.conftest import ROOT, street
from tests.needs import lacking


@pytest.fixture
def ocr(models: Path, tmp_path: Path) -> Path:
    for suffix in (".tflite", ".toml"):
        shutil.copy(models / f"ocr{suffix}", tmp_path / f"ocr{suffix}")
    return tmp_path / "ocr.tflite"


@pytest.mark.clause("430.7-a")
@pytest.mark.parametrize("kind", ["face", "person", "vehicle"])
def test_a_model_of_anything_but_plates_is_refused(ocr: Path, models: Path, kind: str) -> None:
    """Nothing here can look for people: no such model is loaded, and none is delivered."""
    edit(ocr, 'kind = "ocr"', f'kind = "{kind}"')
    with pytest.raises(ModelError, match="is not one of locator, corners, ocr"):
        load_sidecar(ocr)
    delivered = {load_sidecar(path).kind for path in models.glob("*.tflite")}
    assert delivered == {"locator", "corners", "ocr"}


def edit(path: Path, old: str, new: str) -> None:
    sidecar = path.with_suffix(".toml")
    text = sidecar.read_text()
    assert old in text
    sidecar.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('kind = "ocr"', 'kind = "oracle"', "kind: 'oracle' is not one of"),
        ("height = 64", 'height = "tall"', "input.height: 'tall' is not a whole number"),
        ("channels = 1", "channels = 2", "input.channels: 2 is neither"),
        ("margin = ", "margins = ", "ocr.margin: missing"),
        ("min_confidence = 0.5", "min_confidence = 5.0", "ocr.min_confidence: 5.0 is not within 0..1"),
        ("height = 64", "height = 32", "the model's input is"),
        ("shape = [1, 40, 37]", "shape = [1, 40, 38]", "its sidecar says (1, 40, 38)"),
    ],
)
def test_every_mistake_in_a_sidecar_is_named(ocr: Path, old: str, new: str, told: str) -> None:
    edit(ocr, old, new)
    with pytest.raises(ModelError) as caught:
        Model(ocr)
    assert told in str(caught.value)
    assert str(ocr.with_suffix("")) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_model_is_told_by_its_hash(ocr: Path) -> None:
    content = bytearray(ocr.read_bytes())
    content[len(content) // 2] ^= 1
    ocr.write_bytes(bytes(content))
    with pytest.raises(ModelError, match="sha256"):
        Model(ocr)


@pytest.mark.parametrize("suffix", [".tflite", ".toml"])
def test_missing_file_is_named(ocr: Path, suffix: str) -> None:
    ocr.with_suffix(suffix).unlink()
    with pytest.raises(ModelError, match=f"ocr{suffix}"):
        load_sidecar(ocr)


def test_picture_of_another_size_is_refused(ocr: Path) -> None:
    model = Model(ocr)
    with pytest.raises(ModelError, match="takes uint8"):
        model.run(np.zeros((32, 160), np.uint8))


def test_unknown_runtime_is_refused() -> None:
    with pytest.raises(ModelError, match="is not one of"):
        find_runtime("onnx")


@pytest.mark.slow
def test_both_runtimes_read_the_same_plates() -> None:
    """The successor and the user's own package agree; where int8 rounds differently, the texts still do."""
    python = ROOT / ".venv-tflite" / "bin" / "python"
    script = (
        "import sys, json; from pathlib import Path; from detector.reader import Reader;"
        "from detector.image import open_image; reader = Reader.open('models', runtime=sys.argv[1]);"
        "texts = []\n"
        "for name in sys.argv[2:]:\n"
        "    image = open_image(name)\n"
        "    read = [reader.read(image, d) for d in reader.locate(image)]\n"
        "    texts.append(sorted(one.text for one in read if one.confidence >= 0.5))\n"
        "print(json.dumps(texts))"
    )
    if not python.exists():
        lacking("no .venv-tflite: `make test` builds it, without tflite-runtime where that has no wheel")
    probe = subprocess.run([python, "-c", "import tflite_runtime, PIL"], check=False, capture_output=True)
    if probe.returncode:
        pytest.skip("tflite-runtime has no wheel for this Python")
    with tempfile.TemporaryDirectory() as folder:
        names = []
        for number, text in enumerate(("8ABC234", "KLM4721", "7XYZ906", "BNT552", "4HJK881", "RST20V")):
            name = f"{folder}/{number}.png"
            Image.fromarray(street(text, width=90 + 20 * number, seed=number)).save(name)
            names.append(name)
        found = {}
        for runtime, interpreter in (("ai-edge-litert", sys.executable), ("tflite-runtime", str(python))):
            done = subprocess.run(
                [interpreter, "-c", script, runtime, *names],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            )
            found[runtime] = json.loads(done.stdout.splitlines()[-1])
    assert found["ai-edge-litert"] == found["tflite-runtime"]
    assert sum(len(texts) for texts in found["tflite-runtime"]) >= 4
    assert set(found) == set(RUNTIMES)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\xff\xd8\xff\xe0garbage"])
def test_file_that_is_no_picture_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        open_image(path)


@pytest.mark.parametrize(
    ("name", "brightest", "kind"),
    [
        ("a.png", 65_535, np.uint16),
        ("a.png", 4095, np.uint16),
        ("a.tif", 65_535, np.uint16),
        ("a.tif", 65_535, np.int32),
        ("a.tif", 1.0, np.float32),
    ],
)
def test_grey_of_more_than_8_bits_is_scaled_to_8(
    tmp_path: Path, name: str, brightest: float, kind: type[np.generic]
) -> None:
    """As machine-vision and infrared cameras store it, of 16 bits or of 12 in 16."""
    shades = np.repeat(np.arange(256)[None], 10, axis=0)
    Image.fromarray((shades * (brightest / 255)).astype(kind)).save(tmp_path / name)
    assert np.abs(open_image(tmp_path / name)[5].astype(int) - shades[5][:, None]).max() <= 1
    upright, _, _ = open_upright(tmp_path / name)
    assert np.array_equal(upright, open_image(tmp_path / name))


def test_a_black_picture_of_16_bit_grey_is_black(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 40), np.uint16)).save(tmp_path / "night.png")
    assert not open_image(tmp_path / "night.png").any()


def test_cut_off_picture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    Image.fromarray(street("8ABC234")).save(path)
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(ImageError, match=r"cut\.jpg"):
        open_image(path)


@given(st.integers(1, 300), st.integers(1, 300))
def test_fitted_picture_keeps_its_shape_and_says_where_it_lies(height: int, width: int) -> None:
    image = np.full((height, width, 3), 255, np.uint8)
    fitted, scale, offset = resize_for(image, (96, 160))
    assert fitted.shape == (96, 160, 3)
    lit = np.argwhere(fitted[:, :, 0] > 0)
    low, high = lit.min(axis=0), lit.max(axis=0) + 1
    assert np.allclose(low[::-1], offset, atol=1)
    assert np.allclose(high[::-1], np.array([width, height]) * scale + offset, atol=1.5)


def test_straightened_quadrangle_holds_what_was_inside_it() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    image[80:120, 100:180] = 255
    corners = ((100.0, 80.0), (180.0, 80.0), (180.0, 120.0), (100.0, 120.0))
    assert crop_quad(image, corners, 0.0, (32, 64), Light.LUMA).min() > 200
    wide = crop_quad(image, corners, 0.5, (32, 64), Light.LUMA)
    assert wide[0, 0] == 0
    assert wide[16, 32] == 255


@pytest.mark.parametrize(
    "corners",
    [
        ((0.0, 0.0),) * 4,
        ((0.0, 0.0), (0.0, 10.0), (10.0, 10.0), (10.0, 0.0)),
        ((float("nan"), 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)),
    ],
)
def test_corners_without_an_area_are_refused(corners: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(DetectorError):
        crop_quad(np.zeros((50, 50, 3), np.uint8), corners, 0.1, (32, 64), Light.LUMA)


def test_cells_become_boxes_and_overlaps_leave_the_best() -> None:
    heat = np.zeros((4, 6), np.float32)
    box = np.zeros((4, 6, 4), np.float32)
    heat[1, 2], heat[3, 5] = 0.9, 0.6
    box[1, 2] = (0.0, 0.0, np.log(4), np.log(2))
    box[3, 5] = (-3.0, -2.0, np.log(4), np.log(2))
    boxes, scores = decode(heat, box, 8, 0.3)
    assert boxes.shape == (2, 4)
    assert np.allclose(boxes[0], [20 - 16, 12 - 8, 20 + 16, 12 + 8])
    assert suppress(boxes, scores, 0.4) == [0]
    assert decode(heat, box, 8, 0.95)[0].shape == (0, 4)


def test_only_the_runtimes_greeting_is_left_out_of_stderr() -> None:
    """A unit's log begins with what matters, and an error of the runtime's stays in it."""
    script = (
        "import os; from detector import runtime;"
        "runtime.Model('models/ocr.tflite')\n"
        "with runtime._without_greeting(): os.write(2, b'ERROR: something real\\n')"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stderr == "ERROR: something real\n"
