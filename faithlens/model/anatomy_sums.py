"""Which modules of a block add to the residual stream? Those whose outputs add up to the block's output.

1. One forward runs; of each block the input, the output, and the outputs of all modules up to two levels inside it are
   kept, each row divided by the length of the block's output at this row, so that no row counts more than others.
2. Of these only the products with each other are kept (`Sums.products`), a small matrix for each block.
3. For each pair of modules, the best constants a, b, c in ``output = a * input + b * attention + c * MLP`` follow from
   the products, and so does the distance that remains. Blocks may scale what they add: Granite multiplies both parts
   by a constant, and Gemma 4 the whole sum.
4. The pair with the smallest distance over all blocks is taken, and of equal ones that with the outermost modules. If
   no pair adds up, a third module may: one with the input of the MLP is a part of the MLP (the shared expert of
   GraniteMoeShared), and any other one is an addition of its own (the per-layer embeddings of Gemma 4).

For example, in a block ``x + norm(attention(x)) + mlp(x)``, the pair (norm, mlp) leaves 1e-7, and (attention, mlp) much
more. The last module of the MLP leaves 1e-7 too, but lies deeper.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor, nn

Names = tuple[str, ...]
_DEPTH = 2  # levels of modules inside a block
_ALIKE = 2.0  # distances that differ by less than this factor may differ by rounding only
_LEAST = 0.02  # a constant below this part of the largest one is no addition: the smallest one in use is 0.18


@dataclass(frozen=True)
class Addends:
    """The modules of a block whose outputs add up to what the block adds, by name.

    Attributes:
        attention: the module whose output attention adds.
        mlp: the modules whose outputs the MLP adds together; mostly one.
        others: modules that add something else.
    """

    attention: str
    mlp: Names
    others: Names = ()

    def list_names(self) -> Names:
        """All modules."""
        return (self.attention, *self.mlp, *self.others)


@dataclass
class Sums:
    """What one block did in one forward.

    Attributes:
        names: the modules that ran, in the order in which they ended.
        inputs: for each module, the address of its input.
        products: the products of the block's input, its output, and the outputs of the modules.
    """

    names: list[str] = field(default_factory=list)
    inputs: dict[str, int] = field(default_factory=dict)
    products: Float[Tensor, "term term"] = field(default_factory=lambda: torch.zeros(2, 2, dtype=torch.float64))


@contextmanager
def record_sums(blocks: Sequence[nn.Module], names: Names | None = None) -> Iterator[list[Sums]]:
    """The sums of each block, for the one forward that runs inside this context; of the modules `names`, or of all."""
    sums, outputs = [Sums() for _ in blocks], [dict[str, Tensor]() for _ in blocks]

    def enter(i: int) -> Callable:
        def hook(module: nn.Module, args: tuple, kwargs: dict) -> None:
            outputs[i][""] = (args[0] if args else kwargs["hidden_states"]).detach().clone()

        return hook

    def keep(i: int, name: str) -> Callable:
        def hook(module: nn.Module, args: tuple, kwargs: dict, out: object) -> None:
            x = out[0] if isinstance(out, (tuple, list)) and out else out
            if isinstance(x, Tensor) and x.numel() == outputs[i][""].numel() and x.is_floating_point():
                outputs[i].pop(name, None)  # of several calls the last one counts
                outputs[i][name] = x.detach().clone()
                tensors = [x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)]
                sums[i].inputs[name] = tensors[0].data_ptr() if tensors else 0

        return hook

    def leave(i: int) -> Callable:
        def hook(module: nn.Module, args: tuple, out: object) -> None:
            after = out[0] if isinstance(out, tuple) else out
            assert isinstance(after, Tensor)
            before, width = outputs[i].pop("").to(after.device), after.shape[-1]
            rows = torch.stack([x.reshape(-1, width).double() for x in (before, after, *outputs[i].values())])
            flat = (rows / rows[1].norm(dim=-1, keepdim=True).clamp_min(1e-30)).flatten(1)
            sums[i].names, sums[i].products = list(outputs[i]), (flat @ flat.T).cpu()
            outputs[i].clear()

        return hook

    handles = []
    for i, block in enumerate(blocks):
        handles.append(block.register_forward_pre_hook(enter(i), with_kwargs=True))
        for name, module in block.named_modules():
            if name in names if names else 0 < len(name.split(".")) <= _DEPTH and name:
                handles.append(module.register_forward_hook(keep(i, name), with_kwargs=True))
        handles.append(block.register_forward_hook(leave(i)))
    try:
        yield sums
    finally:
        for handle in handles:
            handle.remove()


def measure_distance(sums: Sequence[Sums], names: Names) -> float:
    """How far a sum of the block's input and of some modules is from its output, at the best constants.

    The distance is relative to the output, and the largest of all blocks; infinite if one of the parts is not added.
    For example, the output of a module that adds the block's input itself makes the input's constant zero. A part that
    is zero in some blocks, because a hook of the user switches it off there, tells nothing in these.
    """
    at = [[0, *(2 + each.names.index(name) for name in names), 1] for each in sums]
    parts = torch.stack([each.products[rows][:, rows] for each, rows in zip(sums, at, strict=True)])
    inner, outer, whole = parts[:, :-1, :-1], parts[:, :-1, -1:], parts[:, -1, -1]
    constants = torch.linalg.pinv(inner, hermitian=True) @ outer
    is_added = constants >= _LEAST * constants.amax(1, keepdim=True)
    is_zero = inner.diagonal(dim1=1, dim2=2)[..., None] == 0
    if not (is_added | is_zero).all() or is_zero.all(0).any():
        return float("inf")
    left = whole - (2 * constants.mT @ outer - constants.mT @ inner @ constants)[:, 0, 0]
    return float((left / whole).clamp_min(0).sqrt().max())


def find_addends(sums: Sequence[Sums], projection: Sequence[str], slack: float) -> tuple[Addends, float]:
    """The modules that add up to the output of every block, and the distance that they leave.

    Args:
        sums: the sums of the blocks.
        projection: for each block, the name of the module that projects the heads' outputs: attention adds its output,
            or that of a module which runs later.
        slack: the largest distance that may come from rounding alone.
    """
    names = [name for name in sums[0].names if all(name in each.names for each in sums)]
    first = next((i for i, name in enumerate(names) if name == projection[0]), 0)
    addends = [Addends(a, (m,)) for a, m in combinations(names[first:], 2)]
    best, distance = choose_addends(sums, addends)
    if distance > slack:
        triples = [classify_addends(sums, *each) for each in combinations(names[first:], 3)]
        more, nearer = choose_addends(sums, triples)
        if nearer <= slack:
            return more, nearer
    return best, distance


def classify_addends(sums: Sequence[Sums], attention: str, second: str, third: str) -> Addends:
    """Three modules: the third is a part of the MLP if it has the same input as the second."""
    if all(each.inputs[second] == each.inputs[third] for each in sums):
        return Addends(attention, (second, third))
    return Addends(attention, (second,), (third,))


def choose_addends(sums: Sequence[Sums], addends: Sequence[Addends]) -> tuple[Addends, float]:
    """The addends that leave the smallest distance; of nearly equal ones, those of the outermost modules."""
    distances = [measure_distance(sums, each.list_names()) for each in addends]
    if not distances:
        return Addends("", ("",)), float("inf")
    nearest = _ALIKE * min(distances) + 1e-6
    depths = [sum(name.count(".") for name in each.list_names()) for each in addends]
    i = min((i for i in range(len(addends)) if distances[i] <= nearest), key=lambda i: (depths[i], i))
    return addends[i], distances[i]
