"""The packed backend: the plain transformers model, run once over a trie of conditions.

Three parts of the model are replaced during one call:

1. Attention goes through an entry of transformers' attention registry, `attend_packed` (`attention`). It needs no mask
   from the model, because the tree says which keys each row sees. Models that do not use the registry are led to it
   (`own_attention`).
2. Each block runs once, on the rows that have joined (`run_block`), or in chunks if they are many. They are the first
   rows of the pass. Below its first layer a row is a copy of its original and is not computed.
3. Hooks inside a block write and read activations there.

For example, a model of 3 layers, a condition of 36 rows, and a copy of it in which 4 rows, before the last 2, are
patched in layer 2 from a donor with the same first 30 rows. The donor has 6 rows of its own, and the last 6 rows of the
copy join in layer 2. So layers 0 and 1 compute 42 rows, and layer 2 computes 48: ``42 * 2 + 48 = 132`` rows, where
three forwards compute ``3 * 36 * 3 = 324``.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from faithlens.errors import ModelError, describe_foreign
from faithlens.execution.answers import list_answer_rows, score_sequences
from faithlens.execution.attention import ATTENTION_NAME
from faithlens.execution.geometry import SILENT_ROWS, Chunk, Geometry
from faithlens.execution.hooks import install_hooks, write_stream
from faithlens.execution.live import find_live_rows
from faithlens.execution.matched import match_rows
from faithlens.execution.memory import is_out_of_memory
from faithlens.execution.own_attention import list_own_attention, make_own_arguments
from faithlens.execution.readings import Readings
from faithlens.execution.running import CURRENT_RUN, BlockDone, KeysValues, PackedRun
from faithlens.model.anatomy import get_tensor, replace_forwards
from faithlens.model.attention_choice import use_attention
from faithlens.model.model import Model
from faithlens.plan.capture import Capture, Record
from faithlens.plan.memory import check_memory
from faithlens.plan.packing import CHUNK_ROWS, PackedPass
from faithlens.plan.plan import Plan, compile_plan


def run_block(
    layer: int, forward: Callable, hidden: Float[Tensor, "batch pos d_model"], *args: object, **kwargs: object
) -> Tensor | tuple[Tensor]:
    """One block over the rows of its layer: rows join and are overwritten, run, and are read."""
    running = CURRENT_RUN.get()
    hidden = join_rows(running, layer, hidden)
    hidden = write_stream(running, "resid_pre", layer, hidden)
    running.readings.keep_activations(layer, "resid_pre", hidden[0])
    for chunk in running.geometry.list_chunks(layer):
        hidden = run_chunk(running, chunk, forward, hidden, args, kwargs)
    hidden = write_stream(running, "resid_post", layer, hidden)
    running.readings.keep_activations(layer, "resid_post", hidden[0])
    running.readings.keep_block(layer, hidden[0])
    return (hidden,) if running.returns_tuples else hidden


def join_rows(running: PackedRun, layer: int, hidden: Tensor) -> Float[Tensor, "batch pos d_model"]:
    """The stream of the rows that have joined in `layer`, those that join in it after those before."""
    n = running.geometry.count_rows(layer)
    if n > hidden.shape[1]:
        return hidden.index_select(1, running.copy_to(hidden.device)["rows", layer])
    return hidden if n == hidden.shape[1] else hidden[:, :n]  # the first block gets all rows of the pass


def run_chunk(running: PackedRun, chunk: Chunk, forward: Callable, hidden: Tensor, args: tuple, kwargs: dict) -> Tensor:
    """Run one block on the rows of one chunk; the stream of all rows, with the new values in these rows."""
    running.chunk = chunk
    try:
        own = {name: select_rows(running, value) for name, value in kwargs.items()}
        rows = hidden if chunk.is_whole else running.take_chunk(hidden, 1)
        out = forward(rows, *(select_rows(running, value) for value in args), **own)
    except BlockDone:
        return hidden
    running.returns_tuples = isinstance(out, tuple)
    new = get_tensor(out)
    if chunk.is_whole:
        return new
    hidden = hidden.to(new.device)
    running.put_chunk(hidden, 1, new)
    return hidden


def select_rows(running: PackedRun, value: object) -> object:
    """The part for the chunk of an argument of the block, if the argument has an entry for each row of the pass."""
    if isinstance(value, tuple):
        return tuple(select_rows(running, each) for each in value)
    n = len(running.packed)
    if isinstance(value, Tensor) and value.ndim > 1 and value.shape[1] == n != len(running.get_chunk().rows):
        return running.take_chunk(value, 1)
    return value


def rotate_by_scale(
    forward: Callable, x: Tensor, position_ids: Int[Tensor, "batch pos"], *args: object, **kwargs: object
) -> object:
    """The rotations of all rows; those of each scale are made by themselves, since the longest sequence chooses it."""
    scales, device = CURRENT_RUN.get().packed.scales, position_ids.device
    groups = [torch.from_numpy((scales == scale).nonzero()[0]).to(device) for scale in np.unique(scales)]
    parts = [(rows, forward(x, position_ids[:, rows], *args, **kwargs)) for rows in groups]
    if len(parts) == 1:
        return parts[0][1]

    def join(pieces: list[Tensor]) -> Tensor:
        whole = pieces[0].new_empty(pieces[0].shape[0], len(scales), *pieces[0].shape[2:])
        for (rows, _), piece in zip(parts, pieces, strict=True):
            whole[:, rows] = piece
        return whole

    made = [out for _, out in parts]
    return tuple(join(list(pieces)) for pieces in zip(*made, strict=True)) if isinstance(made[0], tuple) else join(made)


def list_rotations(hf_model: PreTrainedModel) -> list[nn.Module]:
    """The modules that turn positions into rotations."""
    return [module for module in hf_model.modules() if type(module).__name__.endswith("RotaryEmbedding")]


@contextmanager
def install_run(hf_model: PreTrainedModel, running: PackedRun) -> Iterator[None]:
    """Run the model through `running`; afterwards, also after an error, the model is as it was."""
    replaced = {block: partial(run_block, layer) for layer, block in enumerate(running.model.anatomy.blocks)}
    replaced |= list_own_attention(hf_model)
    if running.packed.scales.any():
        replaced |= dict.fromkeys(list_rotations(hf_model), rotate_by_scale)
    token = CURRENT_RUN.set(running)
    try:
        with use_attention(hf_model, ATTENTION_NAME), replace_forwards(replaced), install_hooks(running):
            yield
    finally:
        CURRENT_RUN.reset(token)


def run_packed(model: Model, plan: Plan, capture: Capture) -> list[Record]:
    """Run a plan in packed rows; one record for each condition, in the order of the plan."""
    plan = separate_scales(model, plan)
    check_memory(model, plan, capture)
    records: dict[int, Record] = {}
    for packed in plan.passes:
        records |= run_in_memory(model, plan, packed, capture)
    return [records[i] for i in range(len(plan.conditions))]


def run_in_memory(model: Model, plan: Plan, packed: PackedPass, capture: Capture) -> dict[int, Record]:
    """Run one packed row; if memory runs out, its conditions are run again in passes of half as many rows.

    Raises:
        ModelError: there is not enough memory for passes that cannot be divided.
    """
    try:
        with torch.set_grad_enabled(bool(capture.attribution)), torch.inference_mode(not capture.attribution):
            return run_pass(model, plan, packed, capture)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        problem = describe_foreign(error)  # the error itself would keep the tensors of the pass alive
    if model.device.type == "cuda":
        torch.cuda.empty_cache()
    indices = [placed.index for placed in packed.placements]
    some = [plan.conditions[i] for i in indices]
    if len(some) == 1:
        raise ModelError(
            f"condition {some[0].name!r} alone, a pass of {len(packed):,} rows through {model.name}, needs more memory"
            f" than there is: {problem}",
            "Shorten it, give more memory, or load the model with dtype='bfloat16'.",
        ) from MemoryError(problem)
    smaller = compile_plan(
        some,
        model.structure,
        budget=len(packed) // 2,
        scaling_lengths=model.scaling_lengths,
        is_strict=True,
    )
    records = {}
    for part in smaller.passes:
        for i, record in run_in_memory(model, smaller, part, capture).items():
            records[indices[i]] = record
    return records


def separate_scales(model: Model, plan: Plan) -> Plan:
    """The plan, compiled again if it was compiled without the scaling lengths of the model and needs them."""
    if not any(n < plan.longest for n in model.scaling_lengths) or any(p.scales.any() for p in plan.passes):
        return plan
    budget = max(map(len, plan.passes))
    return compile_plan(plan.conditions, model.structure, budget=budget, scaling_lengths=model.scaling_lengths)


def run_pass(model: Model, plan: Plan, packed: PackedPass, capture: Capture) -> dict[int, Record]:
    """Run one packed row; the records of its conditions, by their index in the plan."""
    running, hidden = run_rows(model, plan, packed, capture)
    running.readings.keep_final(hidden)
    arrays = running.copy_to(model.anatomy.unembedding.weight.device)
    return running.readings.make_records(score_sequences(model, arrays, hidden))


def run_rows(
    model: Model, plan: Plan, packed: PackedPass, capture: Capture = Capture(), keys_values: KeysValues | None = None
) -> tuple[PackedRun, Float[Tensor, "pos d_model"]]:
    """Run one packed row; the run with its readings, and the final hidden states.

    If `keys_values` is given, the keys and values of every layer are put into it.
    """
    kind, sight = model.device.type, model.anatomy.sight
    chunk_rows = len(packed) if capture.attribution else CHUNK_ROWS.get(kind, CHUNK_ROWS["cpu"])
    silent_rows = SILENT_ROWS.get(kind, SILENT_ROWS["cpu"])
    matched = match_rows(plan.conditions, packed) if capture.compare or capture.divergence else None
    live = find_live_rows(plan, packed, capture, matched, model.n_layers)
    geometry = Geometry(packed, chunk_rows, model.n_layers, sight, live, silent_rows)
    geometry.arrays |= list_answer_rows(packed)
    readings = Readings(model, plan, geometry, capture, matched)
    running = PackedRun(model, packed, geometry, readings, keys_values=keys_values)
    arrays = running.copy_to(model.device)
    with install_run(model.hf_model, running):
        hidden = model.anatomy.body(
            input_ids=arrays["ids"], use_cache=False, **make_own_arguments(model.anatomy.body, arrays["depth"])
        ).last_hidden_state[0]
    if len(running.layers_attended) != model.n_layers:
        raise ModelError(
            f"{model.n_layers - len(running.layers_attended)} of the {model.n_layers} layers of {model.name} have"
            " a state that is not attention, so they cannot be packed",
            "Use a model whose layers are all attention.",
        )
    return running, hidden
