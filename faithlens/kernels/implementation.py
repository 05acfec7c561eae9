"""Which implementation of a kernel runs, and why: asked for by name it runs or refuses, and never becomes another."""

import os
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor

from faithlens.errors import KernelError


class ImplementationChoice(NamedTuple):
    """The implementation `auto` stands for.

    Attributes:
        impl: its name.
        reason: the reason, in words.
    """

    impl: str
    reason: str


def load_implementation(
    package: str | None,
    impl: str,
    known: Sequence[str],
    fallback: str,
    *tensors: Tensor | None,
    only_half: bool = False,
) -> ModuleType:
    """The module of a kernel's `package` that runs on these tensors: the one named `impl`, or what "auto" stands for.

    Modules are imported when first asked for, so that nothing needs Triton before a Triton kernel runs.

    Raises:
        KernelError: no implementation has that name, or it cannot run on these tensors.
    """
    op = str(package).rpartition(".")[2]
    if impl not in known:
        raise KernelError(
            f"{op} with impl={impl!r}", "no implementation of that name", f"take one of {', '.join(known)}"
        )
    if impl == "auto":
        impl = choose_implementation(fallback, *tensors, only_half=only_half).impl
    elif impl == "triton":
        check_triton(op, *tensors)
    return import_module(f"{package}.{impl}")


def choose_implementation(fallback: str, *tensors: Tensor | None, only_half: bool = False) -> ImplementationChoice:
    """What `auto` runs on these tensors: Triton on a GPU, where no gradient is asked for; else `fallback` torch.

    `only_half` says that this kernel is the better one in half precision alone.
    """
    device, given = tensors[0].device, [x for x in tensors if x is not None]  # type: ignore[union-attr]
    if device.type != "cuda":
        return ImplementationChoice(fallback, f"the tensors are on {device}, and Triton compiles for GPUs")
    if not _triton_is_installed():
        return ImplementationChoice(fallback, "Triton 3.4 or later is not installed")
    if needs_gradient(*given):
        return ImplementationChoice(fallback, "a gradient is asked for, and the Triton kernels have none")
    if given[0].dtype == torch.float64:
        return ImplementationChoice(
            fallback, "float64 is for oracles, and torch's own products are the better ones there"
        )
    if only_half and given[0].dtype == torch.float32:
        return ImplementationChoice(
            fallback, "torch's own products of float32 are faster, and as exact as logits need them"
        )
    return ImplementationChoice("triton", f"the tensors are on {device} and no gradient is asked for")


def check_triton(op: str, *tensors: Tensor | None) -> None:
    """Refuse what the Triton kernels cannot do.

    Raises:
        KernelError: what stands in the way, and what to do.
    """
    given = [x for x in tensors if x is not None]
    if not _triton_is_installed():
        found, do = "Triton 3.4 or later is not installed", "pip install -U triton (Linux), or impl='auto'"
    elif given[0].device.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        found = f"tensors on {given[0].device}, and Triton compiles for GPUs"
        do = "impl='auto', or set TRITON_INTERPRET=1 before Python starts, to step through it slowly"
    elif given[0].dtype == torch.float64 and os.environ.get("TRITON_INTERPRET") != "1":
        found, do = "float64, which Triton does not compile well for matrix products", "impl='auto'"
    elif needs_gradient(*given):
        found, do = "tensors that require a gradient, and this kernel has none", "impl='auto', or detach them"
    else:
        return
    raise KernelError(f"{op} with impl='triton'", found, do)


def needs_gradient(*tensors: Tensor) -> bool:
    """Whether autograd would have to pass through."""
    return torch.is_grad_enabled() and any(x.requires_grad for x in tensors)


@cache
def _triton_is_installed() -> bool:
    """Whether there is a Triton whose kernels can fetch tiles by descriptors, as these do."""
    try:
        return tuple(map(int, version("triton").split(".")[:2])) >= (3, 4)
    except PackageNotFoundError:
        return False
