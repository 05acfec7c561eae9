"""Counts of what a packed pass does: launches on a GPU, moves between host and device, and runs of blocks.

A GPU is not needed: the weights of the model are on a simulated device (`devices`), the Triton kernels are replaced by
stubs that count their launch and compute nothing, and every operation of torch on tensors of that device is counted,
except those that only look at a tensor in another way or reserve memory. The numbers of such a run mean nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from faithlens.execution.geometry import SILENT_ROWS
from faithlens.kernels import implementation
from faithlens.kernels.implementation import ImplementationChoice
from faithlens.model.model import Model
from faithlens.plan.packing import CHUNK_ROWS
from tests.execution.devices import MOVES, Devices

GPU = torch.device("mtia:0")  # named, never used
VIEWS = {
    *("view", "transpose", "t", "slice", "unsqueeze", "expand", "permute", "select", "squeeze", "unbind", "split"),
    *("split_with_sizes", "detach", "alias", "_unsafe_view", "as_strided", "_reshape_alias", "diagonal", "unfold"),
    *("lift_fresh", "is_same_size", "empty", "empty_strided", "new_empty", "empty_like", "new_empty_strided"),
}
WAITS = {"_local_scalar_dense", "nonzero", "_unique2", "unique_dim", "unique_consecutive", "isin", "masked_select"}
WHOLE = {torch.ops.aten.scaled_dot_product_attention.default, torch.ops.aten.searchsorted.Tensor}  # one launch each
KERNELS = ("tree_attention", "answer_logprobs", "divergence", "span_compare")


class Counts(NamedTuple):
    """What was counted.

    Attributes:
        launches: kernels that a GPU would be given, by name.
        moves: copies between host and device, and points at which the host waits for the device, by name.
        blocks: runs of the model's blocks, those that end early among them.
    """

    launches: Counter[str]
    moves: Counter[str]
    blocks: int


class CountedDevices(Devices):
    """Simulated devices; counts the moves between them, and says whether an operation is one of the GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.moves: Counter[str] = Counter()
        self.is_on_gpu = self.is_moving = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = [self.where.get(x) for x in tree_iter((args, kwargs or {})) if isinstance(x, Tensor)]
        outer = self.is_on_gpu, self.is_moving
        self.is_on_gpu = GPU in before or (kwargs or {}).get("device") == GPU
        self.is_moving = func in MOVES
        try:
            out = super().__torch_function__(func, types, args, kwargs)
        finally:
            self.is_on_gpu, self.is_moving = outer
        if func in MOVES and isinstance(out, Tensor) and before[:1] != [self.where.get(out)]:
            self.moves[func.__name__] += 1
        return out


class Operations(TorchDispatchMode):
    """Counts the operations of torch on tensors of the GPU by name."""

    def __init__(self, devices: CountedDevices) -> None:
        super().__init__()
        self.devices = devices
        self.launches: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        composite = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
        if func not in WHOLE and composite:
            with self:
                out = func.decompose(*args, **(kwargs or {}))
            if out is not NotImplemented:
                return out
        name = func.overloadpacket.__name__
        is_move = self.devices.is_moving and name == "clone"  # how a simulated device gets its own memory
        if self.devices.is_on_gpu and name not in VIEWS and not is_move:
            (self.waits if name in WAITS else self.launches)[name] += 1
        return func(*args, **(kwargs or {}))


class StubKernel:
    """Stands for a Triton kernel: counts the launch."""

    def __init__(self, launches: Counter[str], name: str) -> None:
        self.launches, self.name = launches, name

    def __getitem__(self, grid: object) -> Callable[..., None]:
        def launch(*args: object, **options: object) -> None:
            self.launches[self.name] += 1

        return launch


@contextmanager
def stub_triton(launches: Counter[str]) -> Iterator[None]:
    """Choose the Triton kernels, whose launches are counted."""
    modules = {name: import_module(f"faithlens.kernels.{name}.triton") for name in KERNELS}  # before any is replaced
    with pytest.MonkeyPatch.context() as patch:
        for name, module in modules.items():
            for key, value in list(vars(module).items()):
                if type(value).__name__ in ("JITFunction", "InterpretedFunction"):
                    patch.setattr(module, key, StubKernel(launches, f"{name}.{key}"))
        patch.setattr(implementation, "choose_implementation", lambda *a, **k: ImplementationChoice("triton", "stub"))
        yield


def count_run(
    model: Model,
    run: Callable[[], object],
    chunk_rows: int = CHUNK_ROWS["cuda"],
    silent_rows: int = SILENT_ROWS["cuda"],
) -> Counts:
    """The counts of a second run, after a first one on the CPU has found out all that is found out once."""
    blocks = 0

    def count_block(*args: object) -> None:
        nonlocal blocks
        blocks += 1

    run()
    devices = CountedDevices()
    operations = Operations(devices)
    firsts = [next(block.children()) for block in model.anatomy.blocks]  # the block's own forward is replaced
    handles = [first.register_forward_pre_hook(count_block) for first in firsts]
    try:
        with pytest.MonkeyPatch.context() as patch, stub_triton(operations.launches), devices:
            patch.setitem(CHUNK_ROWS, GPU.type, chunk_rows)
            patch.setitem(SILENT_ROWS, GPU.type, silent_rows)
            devices.put(model.hf_model, GPU)
            with operations:
                run()
    finally:
        for handle in handles:
            handle.remove()
    return Counts(operations.launches, devices.moves + operations.waits, blocks)
