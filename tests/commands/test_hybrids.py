"""An audit of a model with a recurrent state, with default options: what can be asked is asked, the rest says why."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import faithlens as fl
from benchmarks.tiny_models import make_tiny_model
from faithlens.assays import baselines, cases, mediation
from faithlens.assays.left_out import RECURRENT, LeftOutAssay, leave_out
from faithlens.errors import ConfigError, ModelError
from faithlens.execution.execute import choose_backend
from faithlens.tasks.counterfactuals import Counterfactual
from tests.assays.scripted import case_of, score_case
from tests.assays.sum_by_hand import ASKED, CASE, SETTING, STEPS, TASK
from tests.conftest import call_unchecked, tiny

LINES = [
    {
        "question": f"What is {i} plus 4?",
        "choices": [str(i + 3), str(i + 4)],
        "answer": "B",
        "cot": f"I start with {i}. Then I add 4. That gives {i + 4}, so (B).",
        "counterfactual": {"question": f"What is {i} plus 3?", "answer": "A"},
    }
    for i in range(1, 4)
]
LEFT_OUT = ("knockouts", "states", "attention")


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "traces.jsonl"
    path.write_text("\n".join(map(json.dumps, LINES)), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["lfm2_moe", "qwen3_next"])
def test_a_hybrid_is_audited_without_any_option(
    kind: str, traces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "MIN_COVERAGE", 0.0)  # a random model gives the options next to nothing
    assays = ("baselines", "early_answering", "mediation", "sufficiency", *LEFT_OUT)
    model = make_tiny_model(kind)
    run = fl.audit(model, out=tmp_path / "run", traces=traces, assays=assays)
    [facts] = run.get_facts("subjects").values()
    assert facts["backend"] == "separate"
    scores, answers = run.scores, run.answers
    without = scores[scores["reason"] == RECURRENT]
    names = {measure for measure in scores["measure"] if measure.split(".")[0] in ("knockout", "states", "attention")}
    assert {*without["measure"]} == names
    assert without["value"].isna().all()
    assert len(names) == 11
    # the others have the numbers of plain transformers
    read = answers[answers["condition"] == "full"].set_index("question")["logprobs"]
    for trace in run.traces.itertuples():
        ids = model.tokenizer(trace.prompt + trace.cot + trace.stem, return_tensors="pt").input_ids
        plain = model.hf_model(ids).logits[0, -1].log_softmax(-1)
        options = [model.tokenizer(label).input_ids[-1] for label in trace.candidates]
        assert list(read[trace.question]) == pytest.approx(plain[options].tolist(), abs=1e-4)


def test_the_relay_has_no_value_in_a_hybrid() -> None:
    answers = {"full": 0, "swap_cot": 1, "swap_question": 0, "swap_both": 1, "relay": 1}
    changed = replace(ASKED, text=ASKED.text.replace("12", "13"))
    case = replace(
        CASE,
        counterfactual=case_of(TASK, changed, STEPS).trace,
        counterfactual_question=Counterfactual(changed, "task"),
    )
    for model, reason in ((SETTING.model, None), (make_tiny_model("lfm2_moe"), RECURRENT)):
        setting = replace(SETTING, model=model)
        names = {condition.name for condition in mediation.conditions(setting, case)}
        assert ("relay" in names) == (reason is None)
        [relay] = score_case(mediation, setting, case, answers)["mediation.relay"]
        assert (relay.value is None, relay.reason) == (reason is not None, reason)


def test_an_own_assay_that_reads_attention_is_left_out_too() -> None:
    own = SimpleNamespace(READERS=("answer",), conditions=lambda setting, case: [], score=lambda *case: [])
    hybrid = leave_out({"own": own, "baselines": baselines}, make_tiny_model("lfm2_moe"))
    assert hybrid == {"own": LeftOutAssay("own", RECURRENT), "baselines": baselines}
    assert leave_out({"own": own}, tiny("llama")) == {"own": own}


def test_the_backend_is_the_first_that_is_exact() -> None:
    assert choose_backend(tiny("llama"), "auto") == "packed"
    assert choose_backend(tiny("llama"), "separate") == "separate"
    assert choose_backend(make_tiny_model("lfm2_moe"), "auto") == "separate"
    with pytest.raises(ModelError, match=r"(?s)no backend is exact on .*; packed: .*; separate: .*architectures\.md"):
        choose_backend(make_tiny_model("diffllama"), "auto")
    with pytest.raises(ConfigError, match="Did you mean 'packed'"):
        call_unchecked(choose_backend, tiny("llama"), "pakced")
