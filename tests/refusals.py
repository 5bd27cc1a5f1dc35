"""Tests of what is refused, made from calls and the words of their errors."""

import re
from collections.abc import Callable
from typing import Any

import pytest


def refused(
    *cases: tuple[Any, ...],
    act: Callable[..., object] = lambda call: call(),
    error: type[Exception] = ValueError,
    fixture: str = "",
    always: str = "",
) -> Callable[[tuple[Any, ...], pytest.FixtureRequest], None]:
    """A test per case: ``act`` on all but its last member is refused in the words of that one.

    What a ``fixture`` gives comes before the members of the case; ``always`` stands in every error.
    """

    @pytest.mark.parametrize("case", cases, ids=lambda case: str(case[-1]))
    def test(case: tuple[Any, ...], request: pytest.FixtureRequest) -> None:
        *given, words = case
        given = [request.getfixturevalue(fixture), *given] if fixture else given
        with pytest.raises(error, match=words) as caught:
            act(*given)
        assert re.search(always, str(caught.value))

    return test
