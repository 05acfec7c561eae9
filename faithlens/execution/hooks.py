"""How a packed pass writes and reads activations: between blocks directly, inside of them by hooks.

All rows of a layer are there when an edit writes, or at least all that it needs, and the plan lists edits in the order
in which they build on each other. So each edit takes its rows and its sources from the activations as the edits before
have left them.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from faithlens.execution.edits import compute_donor_step, compute_new_values
from faithlens.execution.running import CURRENT_RUN, PackedRun, put_rows
from faithlens.model.anatomy import get_tensor
from faithlens.plan.condition import Component, Patch
from faithlens.plan.overwrites import OverwrittenRows


def write_stream(running: PackedRun, component: Component, layer: int, hidden: Tensor) -> Tensor:
    """Overwrite rows of the residual stream between two blocks."""
    for number, writing in running.geometry.overwrites.get((component, layer), ()):
        arrays = running.copy_to(hidden.device)
        targets = arrays["targets", number]
        own, source = hidden[0, targets], hidden[0, arrays["sources", number]]
        new = overwrite_rows(running, writing, layer, arrays["offsets", number], own, source)
        hidden = put_rows(hidden, targets, new[None])
    return hidden


def overwrite_rows(
    running: PackedRun,
    writing: OverwrittenRows,
    layer: int,
    offsets: Int[Tensor, " row"],
    own: Float[Tensor, "row d_model"],
    source: Float[Tensor, "source d_model"],
) -> Float[Tensor, "row d_model"]:
    """The new values of rows of an edit, which are at `offsets` of its span."""
    n_heads, source = running.model.n_heads, source.detach()  # what comes from elsewhere is a constant for gradients
    new = compute_new_values(writing.edit, layer, own, source, offsets, n_heads)
    if running.readings.capture.attribution and isinstance(writing.edit, Patch):
        step = compute_donor_step(writing.edit, layer, own, source, offsets, n_heads)
        new = running.readings.gradients.add_leaf(writing, new, step)
    return new


def edit_and_read(component: Component, layer: int, x: Float[Tensor, "batch row d_model"]) -> Tensor:
    """Overwrite and read the chunk's rows of a component inside a block."""
    running = CURRENT_RUN.get()
    overwrites = running.geometry.overwrites.get((component, layer), ())
    if overwrites and not torch.is_grad_enabled():
        x = x.clone()  # the module's own output may be in use elsewhere
    held = running.store_rows(component, x, 1)
    for number, writing in overwrites:
        arrays = running.copy_to(x.device)
        targets, sources, offsets = (arrays[name, number] for name in ("targets", "sources", "offsets"))
        if running.get_chunk().is_whole:
            new = overwrite_rows(running, writing, layer, offsets, x[0, targets], x[0, sources])
            x = held = put_rows(x, targets, new[None])
        else:
            edit_chunk(running, writing, layer, offsets, targets, sources, x, held)
    running.readings.keep_activations(layer, component, held[0])
    return x


def edit_chunk(
    running: PackedRun,
    writing: OverwrittenRows,
    layer: int,
    offsets: Int[Tensor, " target"],
    targets: Int[Tensor, " target"],
    sources: Int[Tensor, " source"],
    x: Float[Tensor, "batch row d_model"],
    held: Float[Tensor, "batch pos d_model"],
) -> None:
    """Overwrite those targets of an edit that are in the chunk, in the chunk's rows `x` and in those of all rows."""
    numbers, at = (torch.from_numpy(each).to(x.device) for each in running.get_chunk().find(writing.targets))
    if len(numbers):
        chosen, own_sources = targets[numbers], sources[numbers] if writing.is_row_by_row else sources
        new = overwrite_rows(running, writing, layer, offsets[numbers], held[0, chosen], held[0, own_sources])
        put_rows(held, chosen, new[None])
        put_rows(x, at, new[None])


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
