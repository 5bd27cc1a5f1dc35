"""The loss and the head against arithmetic by hand."""

import math

import pytest
import torch

from lib.metrics.scores import interval_score
from lib.models.heads import beta_nll, pinball, positive_std


def _gradients(beta: float) -> tuple[float, float]:
    """Gradients of the loss in mean and std at mean 1, std 2, target 4."""
    mean = torch.tensor([1.0], requires_grad=True)
    std = torch.tensor([2.0], requires_grad=True)
    beta_nll(mean, std, torch.tensor([4.0]), beta).backward()
    assert mean.grad is not None and std.grad is not None
    return mean.grad.item(), std.grad.item()


def test_beta_zero_is_the_likelihood() -> None:
    # ½ ((4-1)/2)² + log 2 = 9/8 + log 2
    loss = beta_nll(torch.tensor([1.0]), torch.tensor([2.0]), torch.tensor([4.0]), 0.0)
    assert loss.item() == pytest.approx(9 / 8 + math.log(2))
    # d/dmean = -(4-1)/4; d/dstd = -(4-1)²/8 + 1/2
    assert _gradients(0.0) == pytest.approx((-3 / 4, -9 / 8 + 1 / 2))


def test_beta_one_has_the_gradient_of_the_squared_error() -> None:
    # Times std² = 4, which itself has no gradient: -(4-1), the gradient of ½ (4-1)².
    assert _gradients(1.0) == pytest.approx((-3.0, 4 * (-9 / 8 + 1 / 2)))


def test_beta_one_half_multiplies_by_the_standard_deviation() -> None:
    assert _gradients(0.5) == pytest.approx((-3 / 2, 2 * (-9 / 8 + 1 / 2)))


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


def test_pinball_is_least_at_the_quantiles() -> None:
    target = torch.linspace(0, 1, 10_001, dtype=torch.float64)
    centre = torch.tensor(0.5, dtype=torch.float64).requires_grad_()
    half = torch.tensor(0.4, dtype=torch.float64).requires_grad_()
    pinball(centre, half, target, level=0.8).backward()
    assert centre.grad is not None and half.grad is not None
    assert (centre.grad.item(), half.grad.item()) == pytest.approx((0, 0), abs=1e-3)


def test_std_has_a_floor_and_grows_without_bound() -> None:
    raw = torch.tensor([-1e4, 0.0, 1e4])
    assert positive_std(raw, 0.1).tolist() == pytest.approx([0.1, 0.1 + math.log(2), 1e4], rel=1e-4)
