"""Attribution: a linear network has scores in closed form; curves by hand."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from lib.sequences import encode, one_hot, reverse_complement
from lib.training import attribution
from lib.training.attribution import SCORERS, auprc_sites
from lib.training.config import FitConfig
from lib.training.fitted import FittedModel, predict

LENGTH = 12
TARGET_STD = 2.0
WEIGHT = np.random.default_rng(0).standard_normal((4, LENGTH)).astype(np.float32)
CODES = np.random.default_rng(1).integers(0, 4, (7, LENGTH)).astype(np.uint8)


class Linear(nn.Module):
    def __init__(self, length, n_features=0, power=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, length))
        self.power = power

    def forward(self, x, features=None):
        mean = ((x * self.weight).sum((1, 2))) ** self.power
        return torch.stack([mean, torch.zeros_like(mean)], 1)


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.setitem(sys.modules, "linear_network", sys.modules[__name__])


def linear_model(*, strands=False, power=1.0):
    own = {"model": "linear_network:Linear", "model_options": {"power": power}}
    config = FitConfig(**own, reverse_complement=strands, precision="float32")
    return FittedModel(config, LENGTH, {"weight": WEIGHT}, 5.0, TARGET_STD)


@pytest.mark.parametrize("name", SCORERS)
def test_a_linear_network_has_scores_in_closed_form_and_both_strands_one(name):
    # All three compare the letter that is there with the others: weight less its mean over the
    # four letters, or (mutagenesis) over the other three, which is 4/3 of that.
    centred = WEIGHT - WEIGHT.mean(axis=0)
    expected = TARGET_STD * (one_hot(CODES) * centred).sum(axis=1)
    factor = 4 / 3 if name == "mutagenesis" else 1
    found = SCORERS[name](linear_model(), CODES)
    assert found == pytest.approx(factor * expected, rel=1e-4, abs=1e-5)
    model = linear_model(strands=True)
    other = SCORERS[name](model, reverse_complement(CODES))[:, ::-1]
    assert SCORERS[name](model, CODES) == pytest.approx(other, rel=1e-4, abs=1e-5)
    with pytest.raises(ValueError, match="length 5, the model was trained on 12 nt"):
        SCORERS[name](model, encode(["ACGTA"]))


def test_mutagenesis_is_the_change_of_the_forecast():
    model = linear_model(strands=True)
    effects = attribution.mutagenesis(model, CODES[:2])
    assert (effects[one_hot(CODES[:2]) == 1] == 0).all()
    changed = CODES[:1].copy()
    changed[0, 4] = (changed[0, 4] + 1) % 4
    difference = predict(model, changed)[0] - predict(model, CODES[:1])[0]
    assert effects[0, changed[0, 4], 4] == pytest.approx(difference[0], rel=1e-5)


def test_integrated_gradients_sum_to_the_change_of_the_forecast():
    # A square: the path integral of its gradient is exact at 16 Gauss-Legendre nodes.
    model = linear_model(power=2.0)
    value = (one_hot(CODES) * WEIGHT).sum(axis=(1, 2)) ** 2
    baseline = (0.25 * WEIGHT.sum()) ** 2
    found = attribution.integrated_gradients(model, CODES).sum(axis=1)
    assert found == pytest.approx(TARGET_STD * (value - baseline), rel=1e-3, abs=1e-3)


def test_unknown_letters_score_nothing():
    codes = encode(["ACGTNNACGTAC"])
    for name in ("gradient_input", "mutagenesis"):
        assert (SCORERS[name](linear_model(), codes)[0, 4:6] == 0).all()


def test_area_by_hand_needs_sites_and_other_positions_and_leaves_masked_ones_out():
    # Ranked by size: site, other, site, other. Precision at the sites 1 and 2/3.
    scores = np.array([[3.0, -2.0, 1.0, 0.0, 9.0]])
    sites = np.array([[True, False, True, False, False]])
    masked = np.array([[False, False, False, False, True]])
    area, base = auprc_sites(scores, sites, masked)
    assert area == pytest.approx((1 + 2 / 3) / 2)
    assert base == 0.5
    for sites, said in ((np.ones((1, 2), bool), "2 of 2"), (np.zeros((1, 2), bool), "0 of 2")):
        with pytest.raises(ValueError, match=f"{said} positions that count are sites"):
            auprc_sites(np.ones((1, 2)), sites, np.zeros((1, 2), bool))
