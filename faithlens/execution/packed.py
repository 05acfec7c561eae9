"""The packed backend: the plain transformers model, run once over a trie of conditions.

Three parts of the model are replaced during one call:

1. Attention goes through an entry of transformers' attention registry, `attend_packed` (`attention`). It needs no mask
   from the model, because the tree says which keys each row sees. Models that do not use the registry are led to it
   (`own_attention`).
2. Each block runs on chunks of rows (`run_block`), and only on rows that have joined. Below its first layer a row is a
   copy of its original and is not computed.
3. Hooks inside a block write and read activations there.

For example, a model of 3 layers, a condition of 36 rows, and a copy of it in which 4 rows, before the last 2, are
patched in layer 2 from a donor with the same first 30 rows. The donor has 6 rows of its own, and the last 6 rows of the
copy join in layer 2. So layers 0 and 1 compute 42 rows, and layer 2 computes 48: ``42 * 2 + 48 = 132`` rows, where
three forwards compute ``3 * 36 * 3 = 324``.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from faithlens.errors import ModelError, describe_foreign
from faithlens.execution.attention import ATTENTION_NAME
from faithlens.execution.geometry import Chunk
from faithlens.execution.hooks import install_hooks, write_stream
from faithlens.execution.own_attention import list_own_attention, make_own_arguments
from faithlens.execution.readings import Readings
from faithlens.execution.running import CURRENT_RUN, BlockDone, KeysValues, PackedRun, put_rows
from faithlens.kernels.answer_logprobs import answer_logprobs
from faithlens.model.anatomy import get_tensor, replace_forwards
from faithlens.model.attention_choice import use_attention
from faithlens.model.model import Model
from faithlens.plan.capture import Capture, Record
from faithlens.plan.memory import check_memory
from faithlens.plan.packing import CHUNK_ROWS, PackedPass
from faithlens.plan.plan import Plan, compile_plan
from faithlens.plan.spellings import add_spellings


def run_block(
    layer: int, forward: Callable, hidden: Float[Tensor, "batch pos d_model"], *args: object, **kwargs: object
) -> Tensor | tuple[Tensor]:
    """One block over the packed row: rows join and are overwritten, run chunk by chunk, and are read."""
    running = CURRENT_RUN.get()
    geometry = running.get_geometry(hidden.device)
    if layer in geometry.rows_joining:
        rows = geometry.rows_joining[layer]
        hidden = put_rows(hidden, 1, rows, hidden[:, geometry.originals[rows]])
    hidden = write_stream(running, geometry, "resid_pre", layer, hidden)
    running.readings.keep_activations(layer, "resid_pre", geometry, hidden[0])
    last = layer == running.model.n_layers - 1
    for chunk in geometry.list_last_chunks(running.readings.live) if last else geometry.chunks:
        if chunk.first_layer <= layer:
            hidden = run_chunk(running, chunk, forward, hidden, args, kwargs)
    geometry = running.get_geometry(hidden.device)  # the first chunk has moved the stream to the block's device
    if torch.is_grad_enabled():  # without gradients, the next layer overwrites the buffers in place
        running.buffers.clear()
    hidden = write_stream(running, geometry, "resid_post", layer, hidden)
    running.readings.keep_activations(layer, "resid_post", geometry, hidden[0])
    running.readings.keep_block(layer, geometry, hidden[0])
    return (hidden,) if running.returns_tuples else hidden


def run_chunk(running: PackedRun, chunk: Chunk, forward: Callable, hidden: Tensor, args: tuple, kwargs: dict) -> Tensor:
    """Run one block on the rows of one chunk; the whole stream, with the new values in these rows."""
    running.chunk = chunk
    rows, whole = chunk.rows.to(hidden.device), hidden.shape[1]
    try:
        if chunk.is_whole:
            out = forward(hidden, *args, **kwargs)
        else:
            own = {name: select_rows(value, rows, whole) for name, value in kwargs.items()}
            out = forward(hidden[:, rows], *(select_rows(value, rows, whole) for value in args), **own)
    except BlockDone:
        return hidden
    running.returns_tuples = isinstance(out, tuple)
    new = get_tensor(out)
    return new if chunk.is_whole else put_rows(hidden.to(new.device), 1, rows.to(new.device), new)


def select_rows(value: object, rows: Int[Tensor, " row"], length: int) -> object:
    """The part for `rows` of an argument of the block, if the argument has an entry for each of the `length` rows."""
    if isinstance(value, tuple):
        return tuple(select_rows(each, rows, length) for each in value)
    if isinstance(value, Tensor) and value.ndim > 1 and value.shape[1] == length:
        return value[:, rows.to(value.device)]
    return value


def rotate_by_scale(
    forward: Callable, x: Tensor, position_ids: Int[Tensor, "batch pos"], *args: object, **kwargs: object
) -> object:
    """The rotations of all rows; those of each scale are made by themselves, since the longest sequence chooses it."""
    scales = torch.from_numpy(CURRENT_RUN.get().packed.scales).to(position_ids.device)
    parts = [
        (rows, forward(x, position_ids[:, rows], *args, **kwargs))
        for rows in ((scales == s).nonzero()[:, 0] for s in scales.unique())
    ]
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
        )
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


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on a GPU or not."""
    words = str(error).lower()
    is_cpu = "can't allocate memory" in words or "not enough memory" in words
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or is_cpu


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
    scores = score_sequences(model, packed, hidden)
    answers = {index: add_spellings(plan.conditions[index], each) for index, each in scores.items()}
    return running.readings.make_records(answers)


def run_rows(
    model: Model, plan: Plan, packed: PackedPass, capture: Capture = Capture(), keys_values: KeysValues | None = None
) -> tuple[PackedRun, Float[Tensor, "pos d_model"]]:
    """Run one packed row; the run with its readings, and the final hidden states.

    If `keys_values` is given, the keys and values of every layer are put into it.
    """
    chunk = len(packed) if capture.attribution else CHUNK_ROWS.get(model.device.type, CHUNK_ROWS["cpu"])
    running = PackedRun(model, packed, Readings(model, plan, packed, capture), chunk, keys_values=keys_values)
    with install_run(model.hf_model, running):
        hidden = model.anatomy.body(
            input_ids=torch.from_numpy(packed.ids)[None].to(model.device),
            use_cache=False,
            **make_own_arguments(model.anatomy.body, torch.from_numpy(packed.depth)[None].to(model.device)),
        ).last_hidden_state[0]
    if len(running.layers_attended) != model.n_layers:
        raise ModelError(
            f"{model.n_layers - len(running.layers_attended)} of the {model.n_layers} layers of {model.name} have"
            " a state that is not attention, so they cannot be packed",
            "Use a model whose layers are all attention.",
        )
    return running, hidden


def score_sequences(
    model: Model, packed: PackedPass, hidden: Float[Tensor, "pos d_model"]
) -> dict[int, Float[Tensor, " sequence"]]:
    """The log-probabilities of the sequences of each condition. Only rows before a sequence's tokens are unembedded."""
    columns_of: dict[int, dict[int, int]] = {}  # packed row -> token -> its column
    for placed in packed.placements:
        for row, token in (pair for sequence in placed.reads for pair in sequence):
            columns = columns_of.setdefault(row, {})
            columns.setdefault(token, len(columns))
    width = max(map(len, columns_of.values()))
    head = model.anatomy.unembedding
    tokens = [[*columns, *[0] * (width - len(columns))] for columns in columns_of.values()]
    logprobs = answer_logprobs(
        hidden[list(columns_of)].to(head.weight.device), head.weight, torch.tensor(tokens, device=head.weight.device),
        bias=head.bias, scale=head.scale, softcap=head.softcap,
    ).cpu()  # fmt: skip
    at = {row: i for i, row in enumerate(columns_of)}
    sequences = [sequence for placed in packed.placements for sequence in placed.reads]
    pairs = [(i, at[row], columns_of[row][token]) for i, sequence in enumerate(sequences) for row, token in sequence]
    owner, rows, columns = torch.tensor(pairs).T
    sums = logprobs.new_zeros(len(sequences)).index_add(0, owner, logprobs[rows, columns])
    each = sums.split([len(placed.reads) for placed in packed.placements])
    return {placed.index: own.clone() for placed, own in zip(packed.placements, each, strict=True)}
