"""Rotary positions: lengths are kept, and attention sees distances only."""

import pytest
import torch

from lib.models import build
from lib.models.transformer import rotate


def test_rotation_keeps_lengths_and_leaves_the_first_token() -> None:
    x = torch.rand(2, 3, 7, 4)
    turned = rotate(x)
    torch.testing.assert_close(turned.norm(dim=3), x.norm(dim=3))
    torch.testing.assert_close(turned[:, :, 0], x[:, :, 0])


def test_by_hand() -> None:
    # d = 2: one pair, angle = position. Token 1 turns (1, 0) into (cos 1, sin 1).
    turned = rotate(torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]]))
    assert turned[0, 0, 1].tolist() == pytest.approx([0.5403023, 0.8414710])


def test_products_depend_on_the_distance_only() -> None:
    query, key = torch.rand(4), torch.rand(4)
    tokens = torch.zeros(1, 1, 9, 4)
    queries, keys = rotate(tokens + query)[0, 0], rotate(tokens + key)[0, 0]
    products = queries @ keys.T  # (T, T)
    for distance in range(-8, 9):
        line = products.diagonal(distance)
        torch.testing.assert_close(line, line[:1].expand_as(line))


def test_odd_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="no multiple"):
        build("transformer", 40, width=20, heads=4)
