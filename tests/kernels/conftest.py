"""What the kernels' tests share."""

import pytest
from torch import Tensor, nan


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh memory holds no numbers, so that what a kernel leaves unwritten shows."""

    def filled(like: Tensor, *shape: int, **options: object) -> Tensor:
        fresh = like.new_zeros(*shape, **options)
        return fresh.fill_(nan) if fresh.is_floating_point() else fresh

    monkeypatch.setattr(Tensor, "new_empty", filled)
