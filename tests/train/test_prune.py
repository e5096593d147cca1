"""A locator that is narrowed answers as the wide one wherever its channels allow it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("cv2")

import torch

from train import prune
from train.locator_net import LocatorNet
from train.weights import save_weights

pytestmark = pytest.mark.train

WIDE = ((32, 0, 0), (64, 1, 40), (96, 1, 64), (128, 2, 104))


def test_the_channel_goes_that_others_can_stand_in_for() -> None:
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(500, 6, 4))
    seen[:, 4] = seen[:, 1] - seen[:, 2] + 1
    outputs = seen.reshape(500, -1) @ rng.normal(size=(24, 3)) + 2
    kept, weights = prune.keep_channels(seen.reshape(500, -1), outputs, 6, 5)
    assert {1, 2, 4} - set(kept)
    assert {0, 3, 5} < set(kept)
    given = np.concatenate([seen[:, kept].reshape(500, -1), np.ones((500, 1))], axis=1) @ weights
    assert np.abs(given - outputs).max() < 0.02


def test_what_stays_is_fitted_by_least_squares() -> None:
    rng = np.random.default_rng(1)
    seen, outputs = rng.normal(size=(400, 5)), rng.normal(size=(400, 2))
    kept, weights = prune.keep_channels(seen, outputs, 5, 3)
    best = np.linalg.lstsq(np.c_[seen[:, kept], np.ones(400)], outputs, rcond=None)[0]
    assert weights == pytest.approx(best, abs=1e-3)


def wide_with_silent_channels() -> LocatorNet:
    """A wider locator in which no more channels speak than the narrow one has."""
    torch.manual_seed(0)
    wide, narrow = LocatorNet(WIDE, 32).eval(), LocatorNet()
    own, other = dict(wide.named_modules()), dict(narrow.named_modules())
    with torch.no_grad():
        for name, module in own.items():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(0, 1)
                module.weight[other[name].num_features :] = 0  # type: ignore[index, misc]
                # A head's may say always the same, which what follows must then add by itself.
                module.bias[other[name].num_features :] = 0.5 if "_block" in name else 0.0  # type: ignore[index, misc]
        wide.box.weight.normal_()
        wide.heat.weight.normal_()
    return wide


def test_a_narrowed_locator_answers_as_the_wide_one(tmp_path: Path) -> None:
    wide = wide_with_silent_channels()
    save_weights(tmp_path / "wide.npz", wide.state_dict())
    wide = prune.load_wide(tmp_path / "wide.npz")
    pictures = [torch.rand(1, 3, 96, 128) for _ in range(20)]
    narrow = prune.narrow(wide, pictures)
    with torch.no_grad():
        for wanted, given in zip(wide(pictures[0]), narrow(pictures[0]), strict=True):
            assert float((wanted - given).abs().max()) < 0.1 * float(wanted.std())


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", weight=np.zeros(3))
    with pytest.raises(RuntimeError, match=r"other\.npz: weights of no locator"):
        prune.load_wide(tmp_path / "other.npz")
