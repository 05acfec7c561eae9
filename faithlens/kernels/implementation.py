"""Which implementation of a kernel runs, and why.

An implementation that is named by the caller runs or raises an error; it is never replaced by another one.
"""

import os
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor

from faithlens.errors import KernelError, check_choice


class ImplementationChoice(NamedTuple):
    """The implementation that "auto" stands for.

    Attributes:
        impl: its name.
        reason: why it was chosen, as text.
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
    """The module of a kernel's `package` that runs on these tensors: the one named `impl`, or the choice of "auto".

    A module is imported at its first use, so that Triton is needed only where a Triton kernel runs.

    Args:
        package: the package of the kernel.
        impl: the name of a module in it, or "auto".
        known: the names that are allowed.
        fallback: the implementation in torch that "auto" stands for where Triton does not run.
        *tensors: the arguments of the kernel; the first decides the device and the number format.
        only_half: whether "auto" uses Triton in half precision only.

    Raises:
        KernelError: no implementation has that name, or it cannot run on these tensors.
    """
    op = str(package).rpartition(".")[2]
    check_choice(impl, known, f"implementation of {op}", KernelError)
    if impl == "auto":
        impl = choose_implementation(fallback, *tensors, only_half=only_half).impl
    elif impl == "triton":
        check_triton(op, *tensors)
    return import_module(f"{package}.{impl}")


def choose_implementation(fallback: str, *tensors: Tensor | None, only_half: bool = False) -> ImplementationChoice:
    """The choice of "auto" for these tensors: Triton on a GPU if no gradient is needed, else `fallback` in torch.

    With `only_half`, the Triton kernel is used in half precision only.
    """
    device, arguments = tensors[0].device, [x for x in tensors if x is not None]  # type: ignore[union-attr]
    if device.type != "cuda":
        return ImplementationChoice(fallback, f"the tensors are on {device}, and Triton compiles for GPUs")
    if not _triton_is_installed():
        return ImplementationChoice(fallback, "Triton 3.4 or later is not installed")
    if needs_gradient(*arguments):
        return ImplementationChoice(fallback, "a gradient is needed, and the Triton kernels have none")
    if arguments[0].dtype == torch.float64:
        return ImplementationChoice(fallback, "float64 is for references, and torch's own products are better there")
    if only_half and arguments[0].dtype == torch.float32:
        return ImplementationChoice(fallback, "torch's own products of float32 are faster, and exact enough for logits")
    return ImplementationChoice("triton", f"the tensors are on {device} and no gradient is needed")


def check_triton(op: str, *tensors: Tensor | None) -> None:
    """Refuse tensors on which the Triton kernels cannot run.

    Raises:
        KernelError: the reason, and what to do.
    """
    arguments = [x for x in tensors if x is not None]
    if not _triton_is_installed():
        problem, fix = "needs Triton 3.4 or later", "Run pip install -U triton (Linux), or use impl='auto'."
    elif arguments[0].device.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        problem = f"needs tensors on a GPU, got tensors on {arguments[0].device}"
        fix = "Use impl='auto', or set TRITON_INTERPRET=1 before Python starts to run the kernel slowly on the CPU."
    elif arguments[0].dtype == torch.float64 and os.environ.get("TRITON_INTERPRET") != "1":
        problem, fix = "cannot multiply matrices of float64 on a GPU", "Use impl='auto'."
    elif needs_gradient(*arguments):
        problem, fix = "has no gradient, and a tensor requires one", "Use impl='auto', or detach the tensors."
    else:
        return
    raise KernelError(f"{op} with impl='triton' {problem}", fix)


def needs_gradient(*tensors: Tensor) -> bool:
    """Whether autograd must pass through a computation on these tensors."""
    return torch.is_grad_enabled() and any(x.requires_grad for x in tensors)


@cache
def _triton_is_installed() -> bool:
    """Whether Triton is installed in a version that has tensor descriptors, which the kernels use."""
    try:
        return tuple(map(int, version("triton").split(".")[:2])) >= (3, 4)
    except PackageNotFoundError:
        return False
