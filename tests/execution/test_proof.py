"""A run's own numbers against plain transformers: what passes, what stops the run, and what is written down."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.architectures import answer_plainly, make_conditions
from faithlens.commands.audit import run_audit
from faithlens.config import AuditConfig, Subject
from faithlens.errors import ModelError
from faithlens.execution import attention
from faithlens.execution.execute import execute
from faithlens.execution.options import Sampling
from faithlens.execution.plain import answer_plainly as answer_by_parts
from faithlens.execution.plain import find_largest_gap
from faithlens.execution.proof import CONDITIONS, choose_options, draw_sample, prove_records
from faithlens.kernels.tree_attention import AttentionOutput, tree_attention
from faithlens.plan.condition import Knockout
from faithlens.plan.memory import plan_passes
from tests.conftest import tiny


def test_records_of_a_sound_run_are_proved() -> None:
    model, conditions = tiny("mistral"), make_conditions()
    records = execute(model, plan_passes(model, conditions))
    proof = prove_records(model, conditions, records, seed=3)
    assert len(proof.conditions) == CONDITIONS
    assert proof.options == 2 * 2  # of three options, the two of one token come from one forward
    assert proof.largest_difference <= 1e-5
    assert proof.limit == 1e-4
    assert proof == replace(prove_records(model, conditions, records, seed=3), seconds=proof.seconds)


def test_one_wrong_number_stops_the_run_with_both_numbers() -> None:
    model, conditions = tiny("llama"), make_conditions()
    records = execute(model, plan_passes(model, conditions))
    wrong = [replace(record, logprobs=record.logprobs + torch.tensor([0.0, 0.05, 0.0])) for record in records]
    with pytest.raises(ModelError) as caught:
        prove_records(model, conditions, wrong, seed=0)
    number = draw_sample(model, conditions, 0)[0]
    right = float(answer_plainly(model, conditions[number])[1])
    for part in (
        repr(conditions[number].name),
        f"{right + 0.05:.6g}"[:6],
        f"{right:.6g}"[:6],
        "0.05",
        "--backend separate",
    ):
        assert part in str(caught.value)
    with pytest.raises(ModelError, match="nan"):
        prove_records(model, conditions, [replace(r, logprobs=r.logprobs * torch.nan) for r in records], seed=0)


@pytest.mark.parametrize("family", ["qwen2", "gemma2"])
def test_the_noise_is_that_of_the_whole_vocabulary(family: str) -> None:
    """In 16 bits the few options of a condition may agree by chance. Gemma 2 has no other attention: its rounding."""
    model, condition = tiny(family), make_conditions()[0]
    model.hf_model.bfloat16()
    [record] = execute(model, plan_passes(model, [condition]))
    ids, rows = torch.tensor([condition.ids]), []
    for attention_name in ("eager", "sdpa") if family == "qwen2" else ("eager",):
        model.hf_model.set_attn_implementation(attention_name)
        with torch.no_grad():
            rows.append(model.hf_model(ids).logits[0, -1].float().log_softmax(-1).double())
    differences = [(rows[0] - rows[-1]).square().mean().sqrt(), rows[-1].square().mean().sqrt() / 128]
    proof = prove_records(model, [condition], [record], seed=0)
    assert proof.noise == pytest.approx(float(max(differences)), rel=0.02)
    assert proof.limit == 10 * proof.noise


def test_edited_conditions_are_represented_by_unedited_ones() -> None:
    model, (whole, *cuts) = tiny("llama"), make_conditions()
    edited = [replace(whole, name=f"knockout {i}", edits=(Knockout("answer", (f"step {i}",)),)) for i in range(4)]
    assert draw_sample(model, edited, 0) == []
    assert prove_records(model, edited, execute(model, plan_passes(model, edited)), 0).conditions == ()
    assert set(draw_sample(model, [*edited, *cuts[:2]], 0)) == {4, 5}


def test_spellings_are_added_up_as_the_run_adds_them() -> None:
    model, condition = tiny("llama"), make_conditions()[0]
    spelled = replace(condition, options=((9,), (10, 11)), spellings=(((12,), (13, 14)), ()))
    sums = answer_by_parts(model, spelled)
    parts = answer_plainly(model, replace(condition, options=((9,), (12,), (13, 14), (10, 11))))
    torch.testing.assert_close(sums, torch.stack([parts[:3].logsumexp(0), parts[3]]), atol=1e-5, rtol=1e-5)
    assert choose_options(spelled) == [1]
    torch.testing.assert_close(answer_by_parts(model, spelled, [1]), parts[3:], atol=1e-5, rtol=1e-5)


def test_equal_infinities_do_not_differ_and_nan_differs() -> None:
    inf, nan = float("inf"), float("nan")
    assert find_largest_gap([torch.tensor([-inf, 1.0])], [torch.tensor([-inf, 1.5])]) == 0.5
    assert not find_largest_gap([torch.tensor([nan])], [torch.tensor([0.0])]) <= 1


CONFIG = AuditConfig(
    subjects=(Subject("O5", "running-sum"),), n=6, batch=2, device="cpu", sampling=Sampling(max_new_tokens=60)
)


def test_an_audit_proves_its_first_batch_and_a_later_one(tmp_path: Path) -> None:
    proofs = run_audit(CONFIG, tmp_path / "run").manifest["proofs"]
    first, later = sorted(proofs)
    assert first == "O5 running-sum 0"
    assert later in {"O5 running-sum 1", "O5 running-sum 2"}
    assert all(0 < p["noise"] < 1e-4 and p["largest_difference"] < 1e-4 and p["conditions"] for p in proofs.values())


def test_an_audit_stops_where_its_numbers_become_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check at the first use is passed; the wrong numbers come with long rows only."""

    def leaky(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *args: object, **kwargs: object) -> AttentionOutput:
        out = tree_attention(q, k, v, *args, **kwargs)  # pyright: ignore[reportArgumentType]
        leak = 0.3 * v.mean(1, keepdim=True).repeat_interleave(len(q) // len(v), 0)
        return out._replace(out=out.out + leak) if k.shape[1] > 200 else out

    monkeypatch.setattr(attention, "tree_attention", leaky)
    with pytest.raises(ModelError, match="the numbers of this run are not those of O5"):
        run_audit(CONFIG, tmp_path / "run")
    assert not list((tmp_path / "run" / "parts").rglob("*.parquet"))
