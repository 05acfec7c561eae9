"""Which implementation runs: "auto" gives its reason, and a named implementation is never replaced."""

import pytest
import torch
from torch._subclasses import FakeTensorMode

from faithlens.errors import KernelError
from faithlens.kernels.implementation import choose_implementation, load_implementation


def test_auto_says_why() -> None:
    assert choose_implementation("blocked", torch.zeros(1)) == (
        "blocked",
        "the tensors are on cpu, and Triton compiles for GPUs",
    )
    with FakeTensorMode():  # tensors without data
        x = torch.empty(2, device="cuda")
        assert choose_implementation("blocked", x).impl == "triton"
        assert choose_implementation("blocked", x, None, x.double()).impl == "triton"
        assert choose_implementation("streamed", x, only_half=True).reason.startswith("torch's own products of float32")
        assert choose_implementation("streamed", x.bfloat16(), only_half=True).impl == "triton"
        assert choose_implementation("blocked", x.double()).reason.startswith("float64")
        assert choose_implementation("blocked", x, torch.empty(2, device="cuda", requires_grad=True)).reason.startswith(
            "a gradient"
        )


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(KernelError, match=r"unknown implementation of divergence 'steamed'\s.*Did you mean 'streamed'"):
        load_implementation("faithlens.kernels.divergence", "steamed", ["auto", "streamed"], "streamed", torch.zeros(1))


def test_names_are_their_modules() -> None:
    package = "faithlens.kernels.divergence"
    for impl in ("streamed", "reference"):
        result = load_implementation(package, impl, ["auto", "streamed", "reference"], "streamed", torch.zeros(1))
        assert result.__name__ == f"{package}.{impl}"
