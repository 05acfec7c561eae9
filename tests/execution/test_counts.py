"""What a packed pass may launch, copy and run: bars that hold on any machine.

Launches of a layer are those that 8 layers have more than 4, by 4; what is left belongs to the pass.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, set_seed

from faithlens.commands.bench.traces import make_full_trace, make_truncations, split_step_ends
from faithlens.execution.packed import run_packed
from faithlens.model.model import Model
from faithlens.model.structure import Structure
from faithlens.plan.capture import Capture
from faithlens.plan.condition import Condition, KeyValuePatch, Knockout, Patch
from faithlens.plan.plan import compile_plan
from tests.conftest import byte_tokenizer
from tests.execution.counts import GPU, count_run

LAYERS, STEPS, HEADS = (4, 8), 12, 4
ENDS = ("answer", *(f"end {i}" for i in range(STEPS)))
EVERYTHING = Capture(attention=ENDS, logit_lens=ENDS, compare=True)


def make_model(layers: int) -> Model:
    set_seed(0)
    config = LlamaConfig(
        vocab_size=261, hidden_size=32, intermediate_size=32, num_hidden_layers=layers, num_attention_heads=HEADS,
        num_key_value_heads=2, max_position_embeddings=4096,
    )  # fmt: skip
    hf_model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval().requires_grad_(False)
    return Model("tiny", hf_model, byte_tokenizer(), Structure())


@pytest.fixture(scope="module")
def models() -> dict[int, Model]:
    return {layers: make_model(layers) for layers in LAYERS}


def make_trace(model: Model, first: int = 17) -> Condition:
    return split_step_ends(make_full_trace(model, 24, STEPS, 4, first))


def run_bare(model: Model) -> Callable[[], object]:
    ids = torch.tensor([make_trace(model).ids])
    positions = torch.arange(ids.shape[1])[None]

    @torch.inference_mode()
    def run() -> object:
        return model.hf_model(
            ids.to(model.device), position_ids=positions.to(model.device), logits_to_keep=1, use_cache=False
        )

    return run


def run_plan(model: Model, conditions: list[Condition], capture: Capture = Capture()) -> Callable[[], object]:
    plan = compile_plan(conditions)
    return lambda: run_packed(model, plan, capture)


def list_knockouts(model: Model) -> list[Condition]:
    clean = make_trace(model)
    return [clean, *(replace(clean, edits=(Knockout("stem", (f"step {i}",)),)) for i in range(STEPS))]


CASES: dict[str, tuple[Callable[[Model], Callable[[], object]], int, int, int]] = {
    # launches of a layer, launches of the pass, moves of the pass
    "bare": (run_bare, 38, 30, 3),
    "answers": (lambda m: run_plan(m, [make_trace(m)]), 38, 40, 3),
    "cuts": (lambda m: run_plan(m, make_truncations(make_trace(m))), 38, 40, 3),
    "knockouts": (lambda m: run_plan(m, list_knockouts(m)), 38, 40, 3),
    "pooled attention": (lambda m: run_plan(m, [make_trace(m)], Capture(attention=ENDS)), 39, 45, 4),
    "pooled attention of every piece": (
        lambda m: run_plan(m, [make_trace(m)], Capture(attention=tuple(make_trace(m).spans))), 39, 45, 4,
    ),
    "pooled attention of cuts": (
        lambda m: run_plan(m, make_truncations(make_trace(m)), Capture(attention=("answer",))), 39, 45, 4,
    ),
    "everything": (lambda m: run_plan(m, [replace(make_trace(m), reference=make_trace(m))], EVERYTHING), 41, 50, 4),
    "everything of knockouts": (
        lambda m: run_plan(m, [replace(c, reference=make_trace(m)) for c in list_knockouts(m)], EVERYTHING), 41, 50, 4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_launches_and_moves(name: str, models: dict[int, Model]) -> None:
    make, most_of_layer, most_of_pass, most_moves = CASES[name]
    few, many = (count_run(models[layers], make(models[layers])) for layers in LAYERS)
    launches = many.launches.total(), few.launches.total()
    of_layer = (launches[0] - launches[1]) / (LAYERS[1] - LAYERS[0])
    assert of_layer <= most_of_layer, many.launches - few.launches
    assert launches[1] - LAYERS[0] * of_layer <= most_of_pass
    assert few.moves == many.moves  # none in a layer
    assert many.moves.total() <= most_moves
    assert (few.blocks, many.blocks) == LAYERS


def list_patches(model: Model) -> list[Condition]:
    """Patches head by head and layer by layer, and conditions that read the keys of another."""
    clean, donor = make_trace(model), make_trace(model, first=40)
    heads = [
        replace(clean, edits=(Patch("z", "stem", donor, layers=(layer,), heads=(head,)),))
        for layer in range(model.n_layers)
        for head in range(HEADS)
    ]
    grafts = [replace(clean, edits=(KeyValuePatch("stem", f"step {i}", donor),)) for i in range(STEPS)]
    return [clean, donor, *heads, *grafts]


def test_a_layer_runs_once_whatever_joins_when(models: dict[int, Model]) -> None:
    """Rows join in every layer, and rows read other rows; still nothing is copied in a layer."""
    model = models[8]
    counts = count_run(model, run_plan(model, list_patches(model)))
    assert counts.blocks == model.n_layers
    assert counts.moves.total() <= 4


def test_rows_that_fill_several_chunks_run_in_as_many(models: dict[int, Model]) -> None:
    model = models[4]
    third = -(-compile_plan([make_trace(model)]).tokens // 3)
    assert count_run(model, run_plan(model, [make_trace(model)]), chunk_rows=third).blocks == 3 * model.n_layers


def test_silent_rows_run_by_themselves_where_they_are_many(models: dict[int, Model]) -> None:
    """In the last block: two runs, of which one ends when its keys exist."""
    model = models[4]
    assert count_run(model, run_plan(model, [make_trace(model)]), silent_rows=10).blocks == model.n_layers + 1


def test_what_is_counted() -> None:
    """On a device that is named and never used: each kind of operation counts as what it is."""
    layer = torch.nn.Sequential(torch.nn.Linear(3, 3))

    class Tiny:
        hf_model = layer
        anatomy = type("Anatomy", (), {"blocks": [layer]})

    def run() -> None:
        x = torch.ones(2, 3).to(layer[0].weight.device)  # a move
        y = layer(x).view(3, 2)  # a product with a bias, and a view
        (y + 1).sum().cpu()  # a sum, another, and a move

    counts = count_run(Tiny(), run)  # type: ignore[arg-type]
    assert GPU.type == "mtia"
    assert counts.launches == {"addmm": 1, "add": 1, "sum": 1}
    assert counts.moves == {"to": 1, "cpu": 1}
    assert counts.blocks == 1
