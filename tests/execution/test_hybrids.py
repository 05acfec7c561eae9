"""Models with a recurrent state in some layers: by `separate`, what exists in a layer is exact, the rest is refused."""

from dataclasses import replace

import pytest
import torch

from benchmarks.tiny_models import make_tiny_model
from faithlens.commands import doctor
from faithlens.errors import ModelError
from faithlens.execution.execute import execute
from faithlens.execution.options import Sampling
from faithlens.execution.sample import sample
from faithlens.model.model import Model
from faithlens.plan.capture import Capture, Site
from faithlens.plan.condition import Condition, Edit, KeyValuePatch, Knockout, Patch
from faithlens.plan.plan import compile_plan
from tests.execution.test_edits import CLEAN, DONOR

HYBRIDS = ("bamba", "granitemoehybrid", "jamba", "lfm2_moe", "qwen3_5_text", "qwen3_next")
SWAPPED = replace(CLEAN, name="other step", pieces=(CLEAN.pieces[0], DONOR.pieces[1], *CLEAN.pieces[2:]))


def answer(model: Model, *conditions: Condition) -> list[torch.Tensor]:
    return [record.logprobs for record in execute(model, compile_plan(conditions), backend="separate")]


@pytest.mark.parametrize("kind", [*HYBRIDS, "falcon_h1", "mamba", "nemotron_h"])
def test_a_step_with_the_streams_of_another_answers_as_the_other(kind: str) -> None:
    """The whole state that the step leaves is that of the donor, whether it is attended to or carried on."""
    model = make_tiny_model(kind)
    patched = replace(CLEAN, name="patched", edits=(Patch("resid_pre", "step 0", SWAPPED),))
    clean, own, other = answer(model, CLEAN, patched, SWAPPED)
    torch.testing.assert_close(own, other, atol=1e-4, rtol=0)
    assert not torch.allclose(own, clean, atol=1e-3)


@pytest.mark.parametrize("kind", HYBRIDS)
def test_streams_lens_and_gradients_are_read(kind: str) -> None:
    model, weights = make_tiny_model(kind), (1.0, -1.0, 0.0, 0.0)

    def patch(amount: float) -> Condition:
        return replace(CLEAN, name=str(amount), edits=(Patch("resid_pre", "step 1", DONOR, (1,), amount=amount),))

    capture = Capture(
        logit_lens=("answer",), activations=(Site("resid_post", 0, "step 1"),), attribution=weights, divergence=True
    )
    condition = replace(patch(0.3), reference=CLEAN)
    [record] = execute(model, compile_plan([condition]), capture, backend="separate")
    last = record.logit_lens["answer"][-1].log_softmax(-1)
    first = [record.logprobs[0], record.logprobs[1]]
    assert float(last[0] - last[1]) == pytest.approx(float(first[0] - first[1]), abs=1e-4)
    high, low = answer(model, patch(0.305), patch(0.295))
    slope = float((torch.tensor(weights) * (high - low)).sum()) / 0.01
    [score] = record.attribution.values()
    assert float(score.sum()) == pytest.approx(slope, rel=0.05, abs=5e-3)
    assert record.kl is not None
    assert float(record.kl[-1]) > 0


@pytest.mark.parametrize(
    ("edit", "capture", "words"),
    [
        (
            Knockout("stem", ("step 1",)),
            Capture(),
            "a knockout in all layers does not hide",
        ),
        (KeyValuePatch("stem", "step 1", DONOR), Capture(), "has no attn.hook_pattern"),
        (Patch("z", "step 1", DONOR), Capture(), "has no attn.hook_z"),
        (None, Capture(attention=("answer",)), "has no attn.hook_pattern"),
        (None, Capture(flow=("answer",)), "has no attn.hook_pattern"),
    ],
)
def test_what_a_layer_has_not_is_refused_by_name(edit: Edit | None, capture: Capture, words: str) -> None:
    condition = replace(CLEAN, edits=(edit,) if edit else ())
    with pytest.raises(ModelError, match=f"(?s){words}"):
        execute(make_tiny_model("qwen3_next"), compile_plan([condition]), capture, backend="separate")


def test_attention_of_the_layers_that_have_it_is_cut() -> None:
    model = make_tiny_model("qwen3_next")
    clean, cut = answer(model, CLEAN, replace(CLEAN, edits=(Knockout("stem", ("step 1",), layers=(1, 3)),)))
    assert not torch.allclose(clean, cut, atol=1e-3)


@pytest.mark.parametrize("kind", ["bamba", "qwen3_next", "falcon_h1"])
def test_prompts_of_different_lengths_go_on_together_as_alone(kind: str) -> None:
    """Padding does not enter a recurrent state, and sequences that have ended leave it."""
    model, prompts = make_tiny_model(kind), [CLEAN.ids, DONOR.ids[:9], (5, 6, 7)]
    together = sample(model, prompts, range(3), Sampling(max_new_tokens=8))
    assert together == [sample(model, [p], [i], Sampling(max_new_tokens=8))[0] for i, p in enumerate(prompts)]
    model.tokenizer.eos_token_id = together[2].ids[1]  # the third prompt ends early
    assert sample(model, prompts, range(3), Sampling(max_new_tokens=8))[0].ids[:1] == together[0].ids[:1]


def test_doctor_says_what_each_backend_gives() -> None:
    checks = {check.name: check for check in doctor.run_checks(make_tiny_model("qwen3_next"))}
    notes = " ".join(check.note for check in checks.values())
    assert "a recurrent state cannot be packed" in notes
    assert any("separate" in name and check.passed for name, check in checks.items())
