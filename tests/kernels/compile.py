"""`python -m tests.kernels.compile 90`: compile each Triton kernel for a compute capability, without a GPU.

Prints a line for each kernel: its name, precision, width, and the bytes of shared memory that one block needs.
"""

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.runtime.driver import driver

from faithlens.kernels.answer_logprobs import triton as answers
from faithlens.kernels.divergence import triton as divergences
from faithlens.kernels.span_compare import triton as spans
from faithlens.kernels.tree_attention import Readout, Tree
from faithlens.kernels.tree_attention import triton as attention


class Elsewhere:
    """A driver for a GPU that this machine lacks: it suffices to compile for it."""

    def __init__(self, capability: int) -> None:
        self.capability = capability

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.capability, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")


class Compiled:
    """Replaces a kernel: compiles it instead of launching it."""

    def __init__(self, module: Any, name: str, label: str) -> None:
        self.kernel, self.shown = getattr(module, name), label
        setattr(module, name, self)

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        def compile_(*args: object, **options: Any) -> None:
            compiled = self.kernel.warmup(*args, grid=grid, **options)
            what = f"{self.shown} {options.get('FACTOR', options['ACC'])} {options['D']}"
            sys.stdout.write(f"{what} {compiled.metadata.shared}\n")

        return compile_


def main(capability: int) -> None:
    driver.set_active(Elsewhere(capability))
    torch.cuda.get_device_capability = lambda device=None: divmod(capability, 10)
    for module, name, label in (
        (attention, "kernel", "attention"), (attention, "mass_kernel", "mass"),
        (attention, "flow_kernel", "flow"), (answers, "kernel", "answer_logprobs"),
        (divergences, "kernel", "divergence"), (spans, "kernel", "span"),
    ):  # fmt: skip
        Compiled(module, name, label)
    n, zeros = 200, torch.zeros(200, 1, 2, dtype=torch.long)
    tree = Tree(torch.arange(n), torch.arange(n), torch.full((n,), n), zeros, zeros)
    rows, readers = torch.tensor([5, 9]), torch.arange(2)
    read = torch.tensor([[[0, 9], [9, n]]] * 2)
    for dtype in (torch.bfloat16, torch.float32):
        for width in (64, 128, 256):
            q, k = Far(torch.zeros(4, n, width, dtype=dtype)), torch.zeros(2, n, width, dtype=dtype)
            for flow in (False, True):
                readout, mass = Readout(rows, readers, read, torch.ones(2), flow), torch.zeros(4, 2, 2)
                attention.attend(q, k, k, tree, 0.1, range(n), None, None, None, readout, mass)
        x = torch.zeros(70, 576, dtype=dtype)
        answers.score(x, x, torch.zeros(70, 2, dtype=torch.long), None, 1.0, None)
        divergences.compare(x, x, x, None, 1.0, None)
        spans.compare(x, rows.int(), rows.int(), torch.zeros(2, 2))


class Far(Tensor):
    """A tensor that claims to be on a GPU."""

    is_cuda = True  # type: ignore[assignment]
    __torch_function__ = torch._C._disabled_torch_function_impl


if __name__ == "__main__":
    main(int(sys.argv[1]))
