"""Tests of what is refused, made from calls and the words of their errors."""

from collections.abc import Callable
from typing import Any

import pytest


def refused(
    *cases: tuple[Any, ...],
    act: Callable[..., object] = lambda call: call(),
    error: type[Exception] = ValueError,
) -> Callable[[tuple[Any, ...]], None]:
    """A test per case: ``act`` on all but its last member is refused in the words of that one."""

    @pytest.mark.parametrize("case", cases, ids=lambda case: str(case[-1]))
    def test(case: tuple[Any, ...]) -> None:
        *given, words = case
        with pytest.raises(error, match=words):
            act(*given)

    return test
