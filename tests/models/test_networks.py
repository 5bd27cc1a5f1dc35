"""Networks: shapes, gradients, side features, refusals; positions and loss by hand."""

import math
import sys

import pytest
import torch
from torch import nn

from lib.models import MODELS, build
from lib.models.networks import ENTRIES, NARROW, GaussianHead, beta_nll, rotate
from tests.refusals import refused


class OnlyMean(nn.Module):
    """A user's own network that forgets the standard deviation."""

    def __init__(self, length: int, n_features: int = 0) -> None:
        super().__init__()

    def forward(self, one_hot: torch.Tensor, features: torch.Tensor | None) -> torch.Tensor:
        return one_hot.mean((1, 2))


class Fails(OnlyMean):
    """Cannot take any input."""

    def forward(self, one_hot: torch.Tensor, features: torch.Tensor | None) -> torch.Tensor:
        raise RuntimeError("too short")


@pytest.fixture(autouse=True)
def importable(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "users_networks", sys.modules[__name__])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("length", [1, 170])
def test_shapes(name: str, length: int) -> None:
    network = build(name, length).eval()
    assert network(torch.rand(3, 4, length)).shape == (3, 2)
    embedding = network.embed(torch.rand(3, 4, length))
    assert embedding.ndim == 2 and len(embedding) == 3


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, 64, n_features=2, dropout=0.0)
    network(torch.rand(8, 4, 64), torch.rand(8, 2)).square().sum().backward()
    for parameter, value in network.named_parameters():
        assert value.grad is not None and value.grad.abs().sum() > 0, parameter


@pytest.mark.parametrize("name", MODELS)
def test_features_and_rows(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, 64, n_features=2).eval()
    one_hot, features = torch.rand(4, 4, 64), torch.rand(4, 2)
    whole = network(one_hot, features)
    torch.testing.assert_close(network(one_hot[1:2], features[1:2]), whole[1:2])
    assert not torch.equal(network(one_hot, features + 1), whole)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("width", [1, 40])
def test_every_way_in_learns_from_the_features(entry: str, width: int) -> None:
    torch.manual_seed(0)
    network = build("cnn", 64, width, channels=8, entry=entry, side_dropout=0.5).eval()
    one_hot, features = torch.rand(8, 4, 64), torch.rand(8, width)
    network(one_hot, features).square().sum().backward()
    assert all(value.grad.abs().sum() > 0 for value in network.head.parameters())
    joined = {"late": width, "narrow": min(width, NARROW), "residual": 0}[entry]
    assert network.head.layers[1].in_features == 16 + joined


def test_the_residual_way_starts_at_zero_and_no_way_changes_a_network_without_features() -> None:
    head = GaussianHead(2, 4, entry="residual").eval()
    embedding, features = torch.rand(3, 2), torch.tensor([[2.0, 0.0, 4.0, 0.0]] * 3)
    plain = head(embedding, None)
    torch.testing.assert_close(head(embedding, features), plain, rtol=0, atol=0)
    with torch.no_grad():
        head.side[1].weight.copy_(torch.tensor([[1.0, 1, 1, 1], [0, 0, 1, 0]]))
    # divided by √4: 1 + 2 to the mean, 2 to the raw standard deviation
    torch.testing.assert_close(head(embedding, features), plain + torch.tensor([3.0, 2.0]))

    def output(**options: object) -> torch.Tensor:
        torch.manual_seed(0)
        return build("cnn", 40, channels=8, **options)(torch.ones(3, 4, 40))

    for entry in ENTRIES:
        torch.testing.assert_close(output(entry=entry, side_dropout=0.5), output())


test_refused = refused(
    ("cnm", {}, "'cnm' is not known; use one of cnn, "),
    ("no_such_package:Net", {}, "cannot be imported"),
    ("lib.models:Net", {}, "cannot be imported"),
    ("cnn", {"chanels": 3}, "does not take options.*chanels"),
    ("cnn", {"kernels": (3, 3), "pools": (2,)}, "2 kernels but 1 pools"),
    ("cnn", {"entry": "early"}, "entry 'early' is not known; use one of late, narrow, resid"),
    ("transformer", {"width": 20}, "fails on 3 sequences"),
    ("builtins:dict", {}, "does not take"),
    ("users_networks:OnlyMean", {}, r"returns \(3,\).*must return \(n, 2\)"),
    ("users_networks:Fails", {}, "fails on 3 sequences of 10 nt.*too short"),
    act=lambda name, options: build(name, 10, **options),
)


def test_rotation_by_hand_and_its_products_depend_on_the_distance_only() -> None:
    # d = 2: one pair, angle = position. Token 1 turns (1, 0) into (cos 1, sin 1).
    turned = rotate(torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]]))
    assert turned[0, 0, 1].tolist() == pytest.approx([0.5403023, 0.8414710])
    query, key = torch.rand(4), torch.rand(4)
    tokens = torch.zeros(1, 1, 9, 4)
    queries, keys = rotate(tokens + query)[0, 0], rotate(tokens + key)[0, 0]
    products = queries @ keys.T  # (T, T)
    for distance in range(-8, 9):
        line = products.diagonal(distance)
        torch.testing.assert_close(line, line[:1].expand_as(line))


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
