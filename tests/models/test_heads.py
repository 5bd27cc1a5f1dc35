"""The loss and the head against arithmetic by hand."""

import math

import pytest
import torch

from lib.models.heads import beta_nll


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
