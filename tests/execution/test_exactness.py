"""Backends on models whose attention or positions change with length: exact, or refused before the first number.

The oracle is one forward of plain transformers for each option.
"""

import copy
import re
from dataclasses import replace

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    DeepseekV32Config,
    DiffLlamaConfig,
    Gemma3TextConfig,
    GlmMoeDsaConfig,
    GPTJConfig,
    GPTNeoConfig,
    GraniteMoeSharedConfig,
    Llama4TextConfig,
    MiniMaxM3VLTextConfig,
    Phi3Config,
    PhimoeConfig,
    PreTrainedConfig,
    Qwen2MoeConfig,
    XLNetConfig,
    set_seed,
)

from benchmarks.architectures import answer_plainly, describe_backend, make_conditions
from benchmarks.tiny_models import make_tiny_model
from faithlens.commands import doctor
from faithlens.errors import ModelError, PlanError
from faithlens.execution.exactness import check_exactness, choose_check_length
from faithlens.execution.execute import execute, get_backend
from faithlens.execution.options import BACKENDS, Backend, Sampling
from faithlens.execution.sample import sample
from faithlens.model.lengths import list_lengths, list_scaling_lengths, list_selection_lengths
from faithlens.model.mask_rules import measure_rule
from faithlens.model.model import Model
from faithlens.model.structure import Structure
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition, Knockout
from faithlens.plan.memory import plan_passes
from faithlens.plan.plan import compile_plan
from tests.conftest import SIZES, byte_tokenizer, tiny

LONG = {"rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 40, "factor": 512 / 40}
LONG |= {"short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
GROUPED = {**SIZES, "num_key_value_heads": 2, "max_position_embeddings": 512, "pad_token_id": 0}
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
LATENT = GROUPED | {"num_key_value_heads": 6, "q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8}
LATENT |= {"qk_nope_head_dim": 8, "v_head_dim": 8, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1}
LATENT |= {"topk_group": 1, "moe_intermediate_size": 32, "index_n_heads": 2, "index_head_dim": 16, "index_topk": 8}

EXACT: dict[str, PreTrainedConfig] = {
    "longrope": Phi3Config(**GROUPED, original_max_position_embeddings=40, rope_parameters=LONG),
    "window in the mask only": PhimoeConfig(**GROUPED, **EXPERTS, sliding_window=16),
    "window of some layers": Qwen2MoeConfig(
        **GROUPED, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, shared_expert_intermediate_size=32,
        use_sliding_window=True, sliding_window=16, max_window_layers=1,
    ),
    "own rotation": GPTJConfig(n_embd=48, n_layer=3, n_head=6, vocab_size=261, n_positions=512, rotary_dim=8),
    "multipliers": GraniteMoeSharedConfig(
        **GROUPED, **EXPERTS, shared_intermediate_size=96, residual_multiplier=0.2, attention_multiplier=0.3,
        embedding_multiplier=6.0, logits_scaling=4.0,
    ),
    "chunks and temperature": Llama4TextConfig(
        **GROUPED, head_dim=8, num_local_experts=4, attention_chunk_size=16, no_rope_layers=[1, 0, 1], floor_scale=8,
        attn_scale=0.5,
    ),
    "local in some layers": GPTNeoConfig(
        hidden_size=48, num_layers=3, num_heads=6, vocab_size=261, window_size=16, max_position_embeddings=512,
        attention_types=[[["global", "local", "global"], 1]],
    ),
}  # fmt: skip
REFUSED: dict[str, tuple[PreTrainedConfig, str]] = {
    "both ways": (
        Gemma3TextConfig(**GROUPED, head_dim=8, sliding_window=16, use_bidirectional_attention=True), "not causal"
    ),
    "attention called twice": (DiffLlamaConfig(**GROUPED), "is not exact"),
    "masked word": (BertConfig(**SIZES), "not causal"),
    "permuted": (XLNetConfig(d_model=48, n_layer=3, n_head=6, d_inner=96, vocab_size=261), "not causal"),
    "keys of equal scores": (DeepseekV32Config(**LATENT), "depend on how many tokens follow, though not on which"),
    "keys selected in blocks": (
        MiniMaxM3VLTextConfig(
            **GROUPED, **EXPERTS, head_dim=8, index_n_heads=2, index_head_dim=8, index_block_size=64,
            index_topk_blocks=1, layer_types=["full_attention", "minimax_m3_sparse", "full_attention"],
        ),
        "cannot run MiniMaxM3VLForCausalLM|is not exact on MiniMaxM3VLForCausalLM",
    ),
}  # fmt: skip


def make_model(config: PreTrainedConfig) -> Model:
    set_seed(0)
    hf_model = AutoModelForCausalLM.from_config(copy.deepcopy(config), dtype=torch.float32).eval().requires_grad_(False)
    hf_model.config.architectures = [type(hf_model).__name__]
    for name, weight in hf_model.named_parameters():
        if weight.ndim == 2 and "embed" not in name:
            weight.mul_(3)
    return Model("tiny", hf_model, byte_tokenizer(), Structure())


def largest_gap(model: Model, backend: Backend = "packed", with_lengths: bool = True) -> float:
    conditions = make_conditions()
    plan = plan_passes(model, conditions) if with_lengths else compile_plan(conditions)
    records = execute(model, plan, backend=backend)
    return max(
        float((r.logprobs - answer_plainly(model, c)).abs().max()) for r, c in zip(records, conditions, strict=True)
    )


@pytest.mark.parametrize("name", EXACT)
def test_windows_and_scaling_are_those_of_plain_transformers(name: str) -> None:
    assert largest_gap(make_model(EXACT[name])) < 1e-5


def test_sequences_of_another_scale_share_no_row() -> None:
    """Conditions of 27, 36 and 43 to 94 tokens: those beyond 40 have other positions from the first token on."""
    model = make_model(EXACT["longrope"])
    packed = plan_passes(model, make_conditions()).passes[0]
    assert model.scaling_lengths == (40,)
    assert set(packed.scales) == {0, 1}
    assert len(packed.ids) > len(compile_plan(make_conditions()).passes[0].ids)
    assert largest_gap(model, with_lengths=False) < 1e-5  # a plan made without the model is compiled again
    assert largest_gap(model, "separate") < 1e-5


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_packed_exactly_is_refused(name: str) -> None:
    config, words = REFUSED[name]
    with pytest.raises(ModelError, match=words):
        largest_gap(make_model(config))


def test_selected_blocks_are_exact_as_long_as_all_are_selected() -> None:
    """Conditions of 43 tokens see one block of 64 keys; that of 94 tokens has two, of which one is selected."""
    model = make_model(REFUSED["keys selected in blocks"][0])
    conditions = make_conditions()[1:]
    records = execute(model, plan_passes(model, conditions))
    for record, condition in zip(records, conditions, strict=True):
        assert torch.allclose(record.logprobs, answer_plainly(model, condition), atol=1e-5)


def test_keys_that_a_model_selects_are_not_hidden() -> None:
    """A hidden key would still be selected in the place of another one, so the tokens of a hidden step would matter."""
    model = make_model(GlmMoeDsaConfig(**LATENT | {"index_topk": 12}))
    clean = make_conditions()[-1]
    hidden = replace(clean, edits=(Knockout("stem", ((2, 6),)),))
    with pytest.raises(PlanError, match="28 tokens hides or exchanges keys, but beyond 12 tokens tiny sees only keys"):
        execute(model, plan_passes(model, [hidden]), backend="separate")
    model = make_model(GlmMoeDsaConfig(**LATENT | {"index_topk": 64}))
    first, second = execute(model, plan_passes(model, [clean, hidden]), backend="separate")
    assert not torch.equal(first.logprobs, second.logprobs)


def test_a_config_without_one_width_is_refused() -> None:
    """BLT has an encoder, a global model and a decoder of their own widths and numbers of layers."""
    for backend in BACKENDS:
        assert describe_backend(make_tiny_model("blt"), make_conditions(), [], backend).startswith(
            "refused: BltConfig has no hidden_size, so the model is not one stack of blocks"
        )


@pytest.mark.parametrize("family", ["mamba", "qwen3_next"])
def test_layers_without_attention_are_exact_by_separate_and_refused_by_packed(family: str) -> None:
    assert largest_gap(tiny(family), "separate") < 2e-5
    with pytest.raises(ModelError, match="a recurrent state cannot be packed"):
        largest_gap(tiny(family))


def test_a_model_is_checked_again_beyond_the_next_length_only() -> None:
    model, lengths = make_model(EXACT["window in the mask only"]), []

    def run(model: Model, plan: object, capture: object) -> list:
        lengths.append(plan.longest)  # pyright: ignore[reportAttributeAccessIssue]
        return get_backend("packed")(model, plan, capture)  # pyright: ignore[reportArgumentType]

    model.hf_model.config.sliding_window = 100  # the windows themselves are read from the masks
    for longest in (20, 90, 90, 101, 300):
        check_exactness(model, "packed", run, longest)
    assert lengths == [32 + 1, 116 + 1]
    assert choose_check_length(model, 300) == 116


def test_lengths_of_a_config() -> None:
    assert list_lengths(EXACT["longrope"]) == (40,)
    assert list_scaling_lengths(EXACT["longrope"]) == (40,)
    assert list_scaling_lengths(EXACT["window in the mask only"]) == ()
    assert list_lengths(EXACT["window in the mask only"]) == (16,)
    assert list_selection_lengths(EXACT["window in the mask only"]) == ()
    assert list_selection_lengths(REFUSED["keys of equal scores"][0]) == (8,)
    assert list_lengths(REFUSED["keys selected in blocks"][0]) == (64,)  # one block of 64 keys


@pytest.mark.parametrize("window", [[], "x", {}, None, 0, -1])
def test_a_window_that_is_no_length_and_is_not_used_does_nothing(
    window: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("llama")  # all tests share it
    monkeypatch.setattr(model.hf_model.config, "sliding_window", window, raising=False)
    assert list_lengths(model.hf_model.config) == ()
    clean = Condition("clean", (Piece("prompt", (5, 6, 7) * 30), Piece("stem", (8,))), ((65,), (66,)))
    hidden = replace(clean, edits=(Knockout("stem", ("prompt",)),))
    first, second = execute(model, plan_passes(model, [clean, hidden]))
    assert not torch.equal(first.logprobs, second.logprobs)


def test_a_window_of_any_length_is_measured() -> None:
    hf_model = tiny("llama").hf_model
    assert measure_rule(hf_model, lambda b, h, q, k: (k <= q) & (k > q - 4096), 131072) == (4096, None)
    assert measure_rule(hf_model, lambda b, h, q, k: k <= q, 131072) == (None, None)
    for size in (8, 63, 64, 8192):
        chunked = measure_rule(hf_model, lambda b, h, q, k, n=size: (k <= q) & (k // n == q // n), 131072)
        assert chunked == (None, size)
    for rule in (lambda b, h, q, k: k <= q + 1, lambda b, h, q, k: (k <= q) & ((k // 64) % 2 == (q // 64) % 2)):
        with pytest.raises(ModelError, match="see other tokens"):
            measure_rule(hf_model, rule, 4096)


def test_doctor_sees_what_is_not_exact() -> None:
    failed = {
        check.name for check in doctor.run_checks(make_model(REFUSED["attention called twice"][0])) if not check.passed
    }
    assert "packed is exact beyond windows and scaling" in failed


def test_doctor_says_in_sentences_what_failed() -> None:
    checks = doctor.run_checks(make_model(REFUSED["keys of equal scores"][0]))
    notes = {check.name: check.note for check in checks}
    assert notes["packed is exact beyond windows and scaling"].startswith(
        "the predictions of DeepseekV32ForCausalLM depend on how many tokens follow"
    )
    assert re.fullmatch(
        r"this check cannot be run on DeepseekV32ForCausalLM: its code fails in line \d+ of modeling_deepseek_v32\.py"
        r" with TypeError: 'NoneType' object is not subscriptable",
        notes["packed, separate and plain agree"],
    )
    assert not any(".." in note for note in notes.values())


def test_chains_of_a_scaled_model_go_by_their_own_length() -> None:
    """A prompt of 30 tokens goes on alone as it does beside one of 60 tokens, which is scaled in another way."""
    model = make_model(EXACT["longrope"])
    short, long = make_conditions()[0].ids[:30], make_conditions()[0].ids[:60]
    together = sample(model, [short, long], [0, 1], Sampling(max_new_tokens=20))
    for continuation, prompt in zip(together, (short, long), strict=True):
        ids = list(prompt)
        for token in continuation.ids:  # greedy, read from the start at each step, without a cache
            logits = model.hf_model(input_ids=torch.tensor([ids]), use_cache=False).logits
            assert token == int(logits[0, -1].argmax())
            ids.append(token)
