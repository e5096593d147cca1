"""The trainings learn, go on from where they stopped, and write models that the unit opens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("cv2")

import cv2
import torch
from numpy.typing import NDArray

import train.corners as corners
import train.locator as locator
import train.ocr as ocr
import train.region as region
from detector.reader import Reader
from detector.runtime import Model
from train.corners_net import CornersNet
from train.folds import fold_of
from train.locator_net import LocatorNet
from train.ocr_augment import gaps_between, regrouped
from train.ocr_net import OcrNet, RegionHead
from train.scenes import Cutter
from train.windows import Windows

pytestmark = pytest.mark.train


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def test_the_ocr_learns_one_batch() -> None:
    x, texts = ocr.Samples([], 0).batch(8, 0.05)
    net = OcrNet().train()
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3)
    losses = []
    for _ in range(20):
        loss = ocr.ctc_loss(net(x), texts)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_the_locator_learns_one_batch() -> None:
    """Gently, as the training does: at the full step at once the boxes leave the range that has a slope."""
    cutter = Cutter([], 0)
    cuts = [cutter.cut() for _ in range(4)]
    x = torch.from_numpy(np.stack([cut.picture for cut in cuts])).permute(0, 3, 1, 2).float() / 255
    net = LocatorNet().train()
    optimiser = torch.optim.AdamW(net.parameters(), 5e-4)
    losses, overlaps = [], []
    for _ in range(30):
        heat, raw = net(x)
        loss, overlap = locator.loss_of(heat[:, 0], raw, cuts, 0.5)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        losses.append(loss.item())
        overlaps.append(overlap)
    assert losses[-1] < 0.8 * losses[0]
    assert overlaps[-1] > overlaps[0] + 0.1


def test_the_second_look_learns_one_batch() -> None:
    windows = Windows([], [], 0).batch(24)
    x = torch.from_numpy(np.stack([window.picture for window in windows])).permute(0, 3, 1, 2).float() / 255
    net = CornersNet().train()
    optimiser = torch.optim.AdamW(net.parameters(), 1e-3)
    losses, overlaps = [], []
    for _ in range(30):
        loss, overlap = corners.loss_of(net(x), windows, 0.5)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        overlaps.append(overlap)
    assert losses[-1] < 0.6 * losses[0]
    assert overlaps[-1] > overlaps[0] + 0.1


def test_greedy_reading_takes_repeats_and_blanks_out() -> None:
    columns = [10, 10, 36, 10, 11, 36, 36, 1]
    logits = torch.nn.functional.one_hot(torch.tensor([columns]), 37).float().permute(0, 2, 1)[:, :, None]
    assert ocr.read_greedy(logits) == ["AAB1"]


def _designs(regions: int = 3) -> list[region.Sample]:
    """Twelve plates of each of `regions` states and of none; a bar's height tells which."""
    rng, made = np.random.default_rng(0), []
    for number in range(12 * (regions + 1)):
        picture = rng.integers(150, 200, (40, 80)).astype(np.uint8)
        picture[10 * (number % (regions + 1)) :][:8] = 30
        box = (0.0, 0.0, 80.0, 40.0)
        made.append((ocr.Crop(picture, box, "ABC123", "drawn"), number % (regions + 1)))
    return made


def test_the_head_for_regions_learns_designs_and_goes_on(tmp_path: Path) -> None:
    net, samples = OcrNet().eval(), region.Samples(_designs(), 3, 0)
    x, labels = samples.batch(48)
    head = RegionHead(3)
    optimiser = torch.optim.AdamW(head.parameters(), 2e-3)
    losses = []
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(head(net.trunk(x)).flatten(1), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    first = region.train(net, 3, samples, tmp_path / "fold0.pt", 0.01)
    again = region.train(net, 3, samples, tmp_path / "fold0.pt", 0.01)
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in first.state_dict().items())


def test_temperature_undoes_what_the_logits_were_multiplied_by() -> None:
    logits = torch.randn(4000, 3)
    labels = torch.distributions.Categorical(logits=logits).sample()
    assert region.temperature(1.5 * logits, labels) == pytest.approx(1.5, abs=0.2)


def test_ocr_with_regions_is_a_model_that_the_unit_opens(tmp_path: Path) -> None:
    """Both outputs in their order, whatever order the converter gives them."""
    pytest.importorskip("tensorflow")
    net, head = OcrNet().eval(), RegionHead(3).eval()
    table = {"names": ["CA", "NV", "OR"], "temperature": 1.2, "min_confidence": 0.0}
    crops = [crop for crop, _ in _designs()]
    ocr.export(net, crops, tmp_path / "ocr.tflite", {"margin": 0.1}, (head, table))
    model = Model(tmp_path / "ocr.tflite")
    assert model.sidecar.region is not None
    assert model.sidecar.region.names == ("CA", "NV", "OR")
    picture = cv2.resize(crops[0].picture, (160, 64))
    chars, regions = model.run(picture.astype(np.uint8))
    with torch.no_grad():
        x = ocr.to_tensor(picture[None].astype(np.uint8))
        wanted = head(net.trunk(x)).flatten().numpy()
    assert chars.shape == (1, 40, 37)
    assert np.abs(regions[0] - wanted).max() < 0.15 * np.ptp(wanted) + 0.02


def _chances(*columns: str) -> NDArray[np.float32]:
    """(T, 37) probabilities, nearly all on the character of each column; "-" is the blank."""
    chances = np.full((len(columns), 37), 0.001, np.float32)
    for row, char in enumerate(columns):
        chances[row, ocr.BLANK if char == "-" else ocr.ALPHABET.index(char)] = 0.9
    return chances


def test_characters_are_placed_where_the_network_sees_them() -> None:
    found = ocr.aligned(_chances(*"-AA--B-B--"), "ABB")
    assert found is not None
    assert found.tolist() == [1.5, 5, 7]


def test_a_text_that_the_network_does_not_see_is_not_placed() -> None:
    assert ocr.aligned(_chances(*"-AA--B-C--"), "ABD") is None
    assert ocr.aligned(_chances(*"-AB"), "ABABABAB") is None


def test_regrouped_crops_say_what_they_show() -> None:
    """Each character is a slab of its own brightness: the crop shows them in the order of its text."""
    picture = np.repeat(np.array([0, 10, 20, 30, 40, 0], np.uint8), 20)[None].repeat(30, axis=0)
    columns = np.array([20, 40, 60, 80, 100])
    for seed in range(20):
        made, order = regrouped(picture, columns, np.random.default_rng(seed))
        assert [int(made[15, 30 + 20 * n]) for n in range(4)] == [10 * (place + 1) for place in order]
        assert made[15, 5] == made[15, 115] == 0


def test_characters_are_cut_apart_between_strokes_or_not_at_all() -> None:
    picture = np.full((40, 140), 200, np.uint8)
    strokes = [(30, 44), (50, 64), (80, 94), (100, 114)]
    for left, right in strokes:
        picture[10:20, left:right] = 20
    box, centres = (20.0, 0.0, 100.0, 40.0), np.array([0.2, 0.35, 0.65, 0.9], np.float32)
    cuts = gaps_between(picture, box, centres)
    assert cuts is not None
    for (_, right), (left, _), cut in zip(strokes[:-1], strokes[1:], cuts[1:-1], strict=True):
        assert right <= cut <= left
    picture[10:20, 30:114] = 20
    picture[20:24, 30:114:2] = 20
    assert gaps_between(picture, box, centres) is None


def test_texts_read_by_eye_add_crops(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), np.full((80, 200, 3), 90, np.uint8))
    scene = {"set": "s", "image": "a.jpg", "plates": [{"box": [50, 30, 60, 20], "text": None}]}
    (tmp_path / "scenes.jsonl").write_text(json.dumps(scene) + "\n")
    (tmp_path / "crops.jsonl").write_text("")
    texts = tmp_path / "texts.jsonl"
    texts.write_text(json.dumps({"image": "a.jpg", "box": [50, 30, 60, 20], "text": "ABC123"}) + "\n")
    assert ocr.load_crops(tmp_path) == []
    ((crop, fold),) = ocr.load_crops(tmp_path, texts)
    assert (crop.text, crop.set, fold) == ("ABC123", "more_s", fold_of(scene))
    x, _, w, h = crop.box
    assert (w, h) == (60, 20)
    assert crop.picture.shape[1] >= x + w


def test_a_plate_of_two_lines_is_taught_line_by_line_and_says_nothing_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upper half is white and the lower one black, so that each cut shows which line it is of."""
    picture = np.full((120, 160, 3), 255, np.uint8)
    picture[60:] = 0
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    plate = {"box": [40, 40, 60, 40], "text": "AB1234"}
    scene = {"image": "a.png", "plates": [plate], "set": "s", "country": ""}
    crop = {"image": "b.png", "scene": "a.png", "text": "AB1234", "set": "s", "country": ""}
    (tmp_path / "scenes.jsonl").write_text(json.dumps(scene) + "\n")
    (tmp_path / "crops.jsonl").write_text(json.dumps(crop) + "\n")
    monkeypatch.setattr(ocr, "two_lines", lambda: {("a.png", 0): 2})
    ((known, _),) = ocr.load_crops(tmp_path)
    assert (known.text, known.lines) == ("", ("AB", "1234"))
    seen = set()
    samples = ocr.Samples([known], 0)
    for _ in range(60):
        grey, (x, y, w, h), text = samples._real()
        shown = grey[int(y + 0.25 * h) : int(y + 0.75 * h), int(x) : int(x + w)]
        seen.add(text)
        if text:
            assert shown.std() < 1
            assert (shown.mean() > 128) == (text == "AB")
    assert seen == {"", "AB", "1234"}
    monkeypatch.setattr(ocr, "two_lines", lambda: {("a.png", 0): None})
    ((unknown, _),) = ocr.load_crops(tmp_path)
    assert (unknown.text, unknown.lines) == ("", ())


def test_the_ocr_goes_on_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "BATCH", 2)
    checkpoint = tmp_path / "pretrain.pt"
    first = ocr.train(ocr.Samples([], 0), checkpoint, 0.01, None, [])
    kept = torch.load(checkpoint)
    steps, seconds, hardness = kept["rest"]
    assert steps >= 1
    again = ocr.train(ocr.Samples([], 0), checkpoint, 0.01, None, [])  # its time is up: nothing moves
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in first.state_dict().items())
    torch.save({**kept, "rest": (steps + 1000, seconds, hardness)}, checkpoint)
    ocr.train(ocr.Samples([], 0), checkpoint, seconds / 60 + 0.01, None, [])
    assert torch.load(checkpoint)["rest"][0] > steps + 1000


def test_the_locator_goes_on_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locator, "BATCH", 2)
    checkpoint = tmp_path / "fold0.pt"
    first = locator.train(Cutter([], 0), checkpoint, 0.01)
    kept = torch.load(checkpoint)
    again = locator.train(Cutter([], 0), checkpoint, 0.01)
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in first.state_dict().items())
    torch.save({**kept, "step": kept["step"] + 1000}, checkpoint)
    locator.train(Cutter([], 0), checkpoint, kept["el"] / 60 + 0.01)
    assert torch.load(checkpoint)["step"] > kept["step"] + 1000


def test_the_second_look_goes_on_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corners, "BATCH", 4)
    checkpoint = tmp_path / "fold0.pt"
    first = corners.train(Windows([], [], 0), checkpoint, 0.01)
    kept = torch.load(checkpoint)
    again = corners.train(Windows([], [], 0), checkpoint, 0.01)
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in first.state_dict().items())
    torch.save({**kept, "step": kept["step"] + 1000}, checkpoint)
    corners.train(Windows([], [], 0), checkpoint, kept["el"] / 60 + 0.01)
    assert torch.load(checkpoint)["step"] > kept["step"] + 1000


def test_training_without_data_writes_models_that_the_unit_opens(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    out = ["--minutes", "0.05", "--out", str(tmp_path / "models")]
    assert locator.main([*out, "--runs", str(tmp_path / "locator")]) == 0
    assert corners.main([*out, "--runs", str(tmp_path / "corners")]) == 0
    assert ocr.main([*out, "--runs", str(tmp_path / "ocr")]) == 0
    reader = Reader.open(tmp_path / "models")
    assert [info.name for info in reader.models_info()] == ["locator", "corners", "ocr"]
    image = np.zeros((384, 640, 3), np.uint8)
    for detection in reader.locate(image):
        assert 0 <= reader.read(image, detection).confidence <= 1
