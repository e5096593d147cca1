"""Both trainings learn, go on from where they stopped, and write models that the unit opens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("cv2")

import torch

import train.locator as locator
import train.ocr as ocr
from detector.reader import Reader
from train.locator_net import LocatorNet
from train.ocr_net import OcrNet
from train.scenes import Cutter

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


def test_greedy_reading_takes_repeats_and_blanks_out() -> None:
    columns = [10, 10, 36, 10, 11, 36, 36, 1]
    logits = torch.nn.functional.one_hot(torch.tensor([columns]), 37).float().permute(0, 2, 1)[:, :, None]
    assert ocr.read_greedy(logits) == ["AAB1"]


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


def test_training_without_data_writes_models_that_the_unit_opens(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    out = ["--minutes", "0.05", "--out", str(tmp_path / "models")]
    assert locator.main([*out, "--runs", str(tmp_path / "locator")]) == 0
    assert ocr.main([*out, "--runs", str(tmp_path / "ocr")]) == 0
    reader = Reader.open(tmp_path / "models")
    assert [info.name for info in reader.models_info()] == ["locator", "ocr"]
    image = np.zeros((384, 640, 3), np.uint8)
    for detection in reader.locate(image):
        assert 0 <= reader.read(image, detection).confidence <= 1
