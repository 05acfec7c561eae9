"""Fixtures of the tests of kernels."""

import pytest
from torch import Tensor, nan


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh memory is NaN, so that a test sees what a kernel does not write."""

    def fill_with_nan(like: Tensor, *shape: int, **options: object) -> Tensor:
        fresh = like.new_zeros(*shape, **options)
        return fresh.fill_(nan) if fresh.is_floating_point() else fresh

    monkeypatch.setattr(Tensor, "new_empty", fill_with_nan)
