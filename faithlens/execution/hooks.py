"""How a packed pass writes and reads activations: between blocks directly, inside of them by hooks."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from faithlens.execution.edits import compute_donor_step, compute_new_values, list_overwrites
from faithlens.execution.geometry import Geometry
from faithlens.execution.running import CURRENT_RUN, PackedRun, put_rows
from faithlens.model.anatomy import get_tensor
from faithlens.plan.condition import Component, Patch
from faithlens.plan.overwrites import OverwrittenRows


def write_stream(running: PackedRun, geometry: Geometry, component: Component, layer: int, hidden: Tensor) -> Tensor:
    """Overwrite rows of the residual stream between two blocks."""
    for writing, targets, sources in list_overwrites(geometry, component, layer):
        every = torch.arange(len(targets), device=hidden.device)
        new = overwrite_rows(running, writing, layer, every, hidden[0, targets], hidden[0, sources])
        hidden = put_rows(hidden, 1, targets, new[None])
    return hidden


def overwrite_rows(
    running: PackedRun,
    writing: OverwrittenRows,
    layer: int,
    numbers: Int[Tensor, " row"],
    own: Float[Tensor, "row d_model"],
    source: Float[Tensor, "source d_model"],
) -> Float[Tensor, "row d_model"]:
    """The new values of the rows number `numbers` of an edit."""
    offsets, n_heads = torch.from_numpy(writing.offsets).to(own.device)[numbers], running.model.n_heads
    source = source.detach()  # what an edit takes from elsewhere is a constant for gradients
    new = compute_new_values(writing.edit, layer, own, source, offsets, n_heads)
    if running.readings.capture.attribution and isinstance(writing.edit, Patch):
        step = compute_donor_step(writing.edit, layer, own, source, offsets, n_heads)
        new = running.readings.gradients.add_leaf(writing, numbers, new, step)
    return new


def edit_and_read(component: Component, layer: int, x: Float[Tensor, "batch row d_model"]) -> Tensor:
    """Overwrite and read the chunk's rows of a component inside a block."""
    running = CURRENT_RUN.get()
    geometry, chunk = running.get_geometry(x.device), running.chunk
    assert chunk is not None
    rows = chunk.rows.to(x.device)
    held = running.store_rows(component, rows, x, 1)
    at = torch.full((len(geometry),), -1, device=x.device).index_copy(0, rows, torch.arange(len(rows), device=x.device))
    for writing, targets, sources in list_overwrites(geometry, component, layer):
        numbers = (at[targets] >= 0).nonzero()[:, 0]
        if len(numbers):
            chosen = targets[numbers]
            source = held[0, sources[numbers] if writing.is_row_by_row else sources]
            new = overwrite_rows(running, writing, layer, numbers, held[0, chosen], source)
            held = running.store_rows(component, chosen, new[None], 1)
            x = x.index_copy(1, at[chosen], new[None])
    running.readings.keep_activations(layer, component, geometry, held[0])
    return x


@contextmanager
def install_hooks(running: PackedRun) -> Iterator[None]:
    """Install hooks inside the blocks in which activations are written or read, and only there."""
    anatomy, places = running.model.anatomy, running.readings.list_places()
    for writing in running.packed.overwrites:
        layers = range(running.model.n_layers) if writing.edit.layers is None else writing.edit.layers
        places |= {(writing.edit.component, layer) for layer in layers}
    with ExitStack() as stack:
        for component, layer in places:
            if component == "z":
                handle = anatomy.out_proj[layer].register_forward_pre_hook(partial(hook_input, layer))
            elif component == "attn_out":
                handle = anatomy.attn_out[layer].register_forward_hook(partial(hook_output, component, layer, []))
            elif component == "mlp_out":
                *parts, module = anatomy.mlp_out[layer]
                outputs: list[Tensor] = []
                for part in parts:
                    stack.callback(part.register_forward_hook(partial(keep_part, outputs)).remove)
                handle = module.register_forward_hook(partial(hook_output, component, layer, outputs))
            else:
                continue
            stack.callback(handle.remove)
        yield


def hook_input(layer: int, module: nn.Module, args: tuple) -> tuple:
    """The hook on the module that reads z."""
    return (edit_and_read("z", layer, args[0]), *args[1:])


def keep_part(outputs: list[Tensor], module: nn.Module, args: tuple, out: object) -> None:
    """The hook on a module whose output is a part of a sum that a later module completes."""
    outputs.append(get_tensor(out))


def hook_output(
    component: Component, layer: int, parts: list[Tensor], module: nn.Module, args: tuple, out: object
) -> object:
    """The hook on a module whose output, together with `parts`, is `component`.

    What is written over the sum changes the output of this last module only.
    """
    own = get_tensor(out)
    flat = own.reshape(1, -1, own.shape[-1])  # some modules have their rows without a batch
    others = [part.view_as(flat) for part in parts]
    parts.clear()
    new = edit_and_read(component, layer, sum(others, flat))
    new = (new - sum(others) if others else new).view_as(own)
    return (new, *out[1:]) if isinstance(out, tuple) else new
