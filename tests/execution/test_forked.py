"""Forked states: the numbers of plain forwards, of each shared token once, and only where a model proves it.

The oracle is one forward of plain transformers for each sequence, in float64.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import log2
from weakref import WeakSet

import pytest
import torch
from transformers import DynamicCache

from benchmarks.tiny_models import make_tiny_model
from faithlens.commands import doctor
from faithlens.execution import forked
from faithlens.execution.exactness import choose_check_length
from faithlens.execution.execute import divide_plan, execute
from faithlens.execution.forked import can_fork, run_forked
from faithlens.execution.states import count_state_bytes, fork_state
from faithlens.execution.work import execute_with_work
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.capture import Capture
from faithlens.plan.condition import Condition, Patch
from faithlens.plan.plan import compile_plan
from tests.conftest import tiny

IN_FLOAT64 = ("lfm2_moe", "lfm3")
IN_FLOAT32 = (
    *("bailing_hybrid", "bamba", "falcon_h1", "granitemoehybrid", "kimi_linear", "mamba2", "nemotron_h", "olmo_hybrid"),
    *("qwen3_5_moe_text", "qwen3_5_text", "qwen3_next", "qwen4_exp_text", "zamba2"),
)
"""Kinds whose own code computes the recurrence in float32, also in a model of float64."""


def draw(n: int, seed: int) -> tuple[int, ...]:
    return tuple(torch.randint(16, 250, (n,), generator=torch.Generator().manual_seed(seed)).tolist())


def make_cuts(prompt: int = 30, steps: Sequence[int] = (9, 40, 7)) -> list[Condition]:
    """A chain with its truncations, a replaced step, and options of one to three tokens with another spelling."""
    start, stem = Piece("prompt", draw(prompt, 0)), Piece("stem", draw(3, 1))
    pieces = [Piece(f"step {i}", draw(n, 10 + i)) for i, n in enumerate(steps)]
    options = ((60,), (61, 62), (61, 63), (64, 65, 66))
    cuts = [
        Condition(f"cut@{k}", (start, *pieces[:k], stem), options, spellings=((), ((67, 68),), (), ()))
        for k in (*range(len(steps), -1, -1),)
    ]
    other = Piece("step 1", draw(steps[1], 20))
    return [*cuts, replace(cuts[0], name="replaced", pieces=(start, pieces[0], other, *pieces[2:], stem))]


@torch.inference_mode()
def answer_in_full(model: Model, condition: Condition) -> torch.Tensor:
    """The log-probabilities of the sequences of a condition, each by a forward of its own."""
    out = []
    for sequence in condition.sequences:
        ids = torch.tensor([condition.ids + sequence])
        logprobs = model.hf_model(input_ids=ids, use_cache=False).logits[0].double().log_softmax(-1)
        out.append(sum(logprobs[len(condition.ids) - 1 + i, token] for i, token in enumerate(sequence)))
    one, first, second, three, spelling = out
    return torch.stack([one, torch.logaddexp(first, spelling), second, three])


def measure_gap(model: Model, conditions: list[Condition]) -> float:
    records = run_forked(model, compile_plan(conditions))
    assert [record.condition for record in records] == conditions
    gaps = [record.logprobs - answer_in_full(model, record.condition) for record in records]
    return float(torch.stack(gaps).abs().max())


def make_double(kind: str) -> Model:
    model = make_tiny_model(kind)
    model.hf_model.double()
    if hasattr(model.hf_model, "set_experts_implementation"):
        model.hf_model.set_experts_implementation("eager")  # torch's grouped products know no float64
    return model


def count_prefixes(conditions: Sequence[Condition]) -> int:
    """The tokens of a prefix tree of all that is read: distinct beginnings of sequences."""
    sequences = [condition.ids + sequence[:-1] for condition in conditions for sequence in condition.sequences]
    return len({sequence[:n] for sequence in sequences for n in range(1, len(sequence) + 1)})


@contextmanager
def watch_tokens(model: Model) -> Iterator[list[tuple[int, int]]]:
    """The shapes of all batches of tokens that are embedded."""
    shapes: list[tuple[int, int]] = []
    embedding = model.hf_model.get_input_embeddings()
    handle = embedding.register_forward_pre_hook(lambda module, args: shapes.append(tuple(args[0].shape)))
    try:
        yield shapes
    finally:
        handle.remove()


def count_tokens(shapes: list[tuple[int, int]]) -> int:
    return sum(rows * columns for rows, columns in shapes)


@pytest.mark.parametrize("kind", IN_FLOAT64)
def test_forked_states_are_exact_in_float64(kind: str) -> None:
    assert measure_gap(make_double(kind), make_cuts()) < 1e-10


@pytest.mark.parametrize("kind", IN_FLOAT32)
def test_forked_states_are_exact_up_to_the_rounding_of_the_recurrence(kind: str) -> None:
    assert measure_gap(make_double(kind), make_cuts()) < 1e-5


def test_long_runs_go_on_from_a_state_over_several_chunks() -> None:
    """Mamba-2 scans 256 tokens at once in this config; the stretches have 300, 290 and 2 * 270 tokens."""
    assert measure_gap(make_double("mamba2"), make_cuts(300, (290, 270))) < 1e-5


@pytest.mark.parametrize("kind", ["bamba", "lfm3", "nemotron_h"])
def test_each_shared_token_is_run_once(kind: str) -> None:
    model, conditions = make_tiny_model(kind), make_cuts()
    plan = compile_plan(conditions)
    execute(model, plan, backend="separate")  # proves that states can be forked
    with watch_tokens(model) as shapes:
        _, work = execute_with_work(model, plan, backend="separate")
    assert count_tokens(shapes) == count_prefixes(conditions) == work.rows == plan.tokens
    assert work.passes == 1
    assert work.forwards == pytest.approx(work.rows / conditions[0].n_tokens)


def test_equal_leaves_are_one_batch_and_the_largest_branch_takes_the_state() -> None:
    """The example of the module."""
    a, b, c, d, e, x, y = range(20, 27)
    model = make_tiny_model("lfm3")
    sequences = [(a, b, c, x), (a, b, c, y), (a, b, d, e, x)]
    conditions = [Condition(str(i), (Piece("prompt", ids),), ((30,), (31,))) for i, ids in enumerate(sequences)]
    with watch_tokens(model) as shapes:
        run_forked(model, compile_plan(conditions))
    assert shapes == [(1, 2), (1, 1), (2, 1), (1, 3)]


def test_few_states_are_kept_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of 60 truncations: a state waits only while a smaller branch runs."""
    living: WeakSet[DynamicCache] = WeakSet()
    most = 0

    def watch(state: DynamicCache, n: int, *, is_last: bool) -> DynamicCache:
        nonlocal most
        fork = fork_state(state, n, is_last=is_last)
        living.add(fork)
        most = max(most, len(living))
        return fork

    monkeypatch.setattr(forked, "fork_state", watch)
    conditions = make_cuts(8, (2,) * 60)
    plan = compile_plan(conditions)
    run_forked(make_tiny_model("lfm3"), plan)
    assert 2 <= most <= log2(plan.tokens)


def test_batches_are_as_large_as_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_tiny_model("lfm3")
    prompt = draw(9, 0)
    conditions = [Condition(str(i), (Piece("prompt", (*prompt, i)),), ((30,), (31,))) for i in range(40, 47)]
    state = DynamicCache(config=model.hf_model.config)
    with torch.inference_mode():
        forked.read_tokens(model, state, torch.tensor([prompt]), 0)
    monkeypatch.setattr(forked, "FREE_SHARE", 1)
    monkeypatch.setattr(forked, "read_free_bytes", lambda device: 3 * count_state_bytes(state) + 1)
    with watch_tokens(model) as shapes:
        records = run_forked(model, compile_plan(conditions))
    assert sorted(shapes) == [(1, 1), (1, 9), (3, 1), (3, 1)]
    for record in records:
        logits = model.hf_model(input_ids=torch.tensor([record.condition.ids])).logits[0, -1].log_softmax(-1)
        torch.testing.assert_close(record.logprobs, logits[[30, 31]], atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["falcon_mamba", "jamba", "mamba", "recurrent_gemma", "rwkv"])
def test_models_that_begin_anew_run_each_condition_by_itself(kind: str, dtype: torch.dtype) -> None:
    """In bfloat16 what jamba loses is less than rounding, so it is found by states that are not read."""
    model, plan = make_tiny_model(kind), compile_plan(make_cuts()[-2:])
    model.hf_model.to(dtype=dtype)
    assert not can_fork(model, plan.longest)
    with watch_tokens(model) as shapes:
        assert not can_fork(model, plan.longest)  # which is known now
    assert shapes == []
    [part] = divide_plan(model, plan, Capture(), "separate")
    assert (part.is_forked, part.passes) == (False, 8)
    assert part.rows == sum(c.n_tokens + len(tail) for c in plan.conditions for tail in c.tails)


@pytest.mark.parametrize("kind", ["bamba", "lfm3", "nemotron_h", "qwen3_next"])
def test_states_are_forked_in_16_bits(kind: str) -> None:
    model = make_tiny_model(kind)
    model.hf_model.bfloat16()
    assert can_fork(model, 60)


def test_a_model_that_transformer_lens_does_not_know_runs() -> None:
    model, conditions = make_tiny_model("kimi_linear"), make_cuts()
    for record in execute(model, compile_plan(conditions), backend="separate"):
        expected = answer_in_full(model, record.condition).float()
        torch.testing.assert_close(record.logprobs, expected, atol=1e-4, rtol=0)


def test_edits_and_captures_run_beside_forked_states() -> None:
    model = tiny("qwen3_next")
    clean, shorter, *_, other = make_cuts()
    patched = replace(clean, name="patched", edits=(Patch("resid_pre", "step 1", other),))
    plan = compile_plan([clean, patched, shorter, other])
    parts = divide_plan(model, plan, Capture(), "separate")
    assert [(part.is_forked, list(part.numbers)) for part in parts] == [(True, [0, 2, 3]), (False, [1])]
    records = execute(model, plan, backend="separate")
    assert [record.condition for record in records] == [*plan.conditions]
    for record, like in zip(records, (clean, other, shorter, other), strict=True):
        torch.testing.assert_close(record.logprobs, answer_in_full(model, like).float(), atol=1e-4, rtol=0)
    [part] = divide_plan(model, plan, Capture(logit_lens=("answer",)), "separate")
    assert not part.is_forked


def test_references_are_not_run_for_answers_alone() -> None:
    model = make_tiny_model("lfm3")
    clean, *_, other = make_cuts()
    compared = replace(clean, reference=other)
    [part] = divide_plan(model, compile_plan([compared]), Capture(), "separate")
    assert part.rows == count_prefixes([clean])
    [record] = part.run(model, part.plan, Capture())
    assert record.condition is compared


def test_attention_alone_is_not_forked() -> None:
    """There `separate` is the reference of the packed pass, and shares nothing."""
    model, plan = tiny("llama"), compile_plan(make_cuts())
    [part] = divide_plan(model, plan, Capture(), "separate")
    assert not part.is_forked
    [part] = divide_plan(model, plan, Capture(), "packed")
    assert (part.rows, part.passes) == (plan.tokens, 1)


def test_the_proof_exceeds_the_chunks_of_the_recurrence() -> None:
    model = make_tiny_model("bamba")  # chunks of 256 tokens
    assert [choose_check_length(model, n) for n in (64, 65, 256, 257)] == [32, 144, 144, 510]
    assert choose_check_length(tiny("llama"), 257) == 32


@pytest.mark.parametrize(
    ("kind", "words"), [("lfm3", "answers after"), ("jamba", "each condition runs by itself: Jam")]
)
def test_doctor_says_whether_states_are_forked(kind: str, words: str) -> None:
    model = make_tiny_model(kind)
    [check] = doctor.check_forked_states(model, [], [], 0.0)
    assert check.passed
    assert words in check.note
    assert (check.measured is None) == (kind == "jamba")
    assert [*doctor.check_forked_states(tiny("llama"), [], [], 0.0)] == []
