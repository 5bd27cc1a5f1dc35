"""The loss and the head against arithmetic by hand."""

import math

import pytest
import torch

from lib.metrics.scores import interval_score
from lib.models.heads import beta_nll, pinball


@pytest.mark.parametrize(("beta", "factor"), [(0.0, 1), (0.5, 2), (1.0, 4)])
def test_beta_weighs_the_gradients_of_the_likelihood(beta: float, factor: float) -> None:
    """At mean 1, std 2, target 4; the weight std ** (2 beta) itself has no gradient."""
    mean = torch.tensor([1.0], requires_grad=True)
    std = torch.tensor([2.0], requires_grad=True)
    loss = beta_nll(mean, std, torch.tensor([4.0]), beta)
    # ½ ((4-1)/2)² + log 2 = 9/8 + log 2
    assert loss.item() == pytest.approx(factor * (9 / 8 + math.log(2)))
    loss.backward()
    # d/dmean = -(4-1)/4; d/dstd = -(4-1)²/8 + 1/2
    found = mean.grad.item(), std.grad.item()
    assert found == pytest.approx((-3 / 4 * factor, (-9 / 8 + 1 / 2) * factor))


def test_weights_average() -> None:
    zero, one = torch.zeros(2), torch.ones(2)
    target = torch.tensor([0.0, 2.0])  # terms: 0 and ½·4 = 2
    assert beta_nll(zero, one, target, 0.0).item() == pytest.approx(1.0)
    weight = torch.tensor([3.0, 1.0])  # (3·0 + 1·2) / 4
    assert beta_nll(zero, one, target, 0.0, weight).item() == pytest.approx(0.5)


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_pinball_is_a_share_of_the_interval_score(level: float) -> None:
    draw = torch.Generator().manual_seed(0)
    centre, target = torch.randn(2, 500, generator=draw, dtype=torch.float64)
    half = torch.rand(500, generator=draw, dtype=torch.float64)
    # interval_score takes a Gaussian: its std is that of an interval of this half-width.
    quantile = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor((1 + level) / 2).double())
    score = interval_score(centre.numpy(), (half / quantile).numpy(), target.numpy(), level)
    found = pinball(centre, half, target, level).item()
    assert found == pytest.approx((1 - level) / 2 * score, rel=1e-6)
