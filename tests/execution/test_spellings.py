"""Both backends score options with several spellings as plain transformers says, and read them as one option."""

from dataclasses import replace

import pytest
import torch

from faithlens.execution.execute import execute
from faithlens.execution.options import Backend
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.capture import Capture
from faithlens.plan.condition import Condition, Patch
from faithlens.plan.plan import compile_plan
from tests.execution.exact import NoFloat32, execute_exactly, in_float64

PIECES = (Piece("prompt", (5, 9, 14, 33)), Piece("step 0", (41, 18)), Piece("stem", (7, 8)))
SPELLED = Condition(
    "full",
    PIECES,
    options=((65,), (66, 70), (67, 71), (65, 80, 81)),
    spellings=((), ((90, 66, 70), (66, 70, 72)), ((91,),), ()),
)


def score_plainly(model: Model, sequence: tuple[int, ...]) -> float:
    """The probability of a sequence after the stem, by one forward of transformers."""
    ids = [*SPELLED.ids, *sequence]
    with torch.no_grad():
        logprobs = model.hf_model(torch.tensor([ids])).logits[0].log_softmax(-1)
    return float(sum(logprobs[i - 1, ids[i]] for i in range(len(SPELLED.ids), len(ids))).exp())


@pytest.mark.parametrize("backend", ["packed", "separate"])
def test_probabilities_of_spellings_are_added(model: Model, backend: Backend) -> None:
    with NoFloat32():
        exact = in_float64(model)
        p = {sequence: score_plainly(exact, sequence) for sequence in SPELLED.sequences}
    [record] = execute_exactly(model, compile_plan([SPELLED]), backend=backend)
    expected = [p[65,] - p[65, 80, 81], p[66, 70] + p[90, 66, 70], p[67, 71] + p[91,], p[65, 80, 81]]
    assert record.logprobs.exp().tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("backend", ["packed", "separate"])
def test_the_lens_adds_first_tokens(model: Model, backend: Backend) -> None:
    spelled = replace(SPELLED, options=SPELLED.options[:3], spellings=SPELLED.spellings[:3])
    single = Condition("single", PIECES, tuple((token,) for token in (65, 66, 90, 67, 91)))
    plan, capture = compile_plan([spelled, single]), Capture(logit_lens=("stem",))
    together, apart = (record.logit_lens["stem"].exp() for record in execute(model, plan, capture, backend=backend))
    added = torch.stack([apart[:, 0], apart[:, 1] + apart[:, 2], apart[:, 3] + apart[:, 4]], -1)
    torch.testing.assert_close(together, added)


def test_gradients_are_of_options(model: Model) -> None:
    donor = Condition("donor", (Piece("prompt", (5, 9, 15, 33)), *PIECES[1:]), SPELLED.options)
    patched = replace(SPELLED, edits=(Patch("resid_pre", "prompt", donor, layers=(0,), amount=0.0),))
    capture = Capture(attribution=(1.0, -1.0, 0.5, 0.0))
    packed, separate = (
        next(iter(execute_exactly(model, compile_plan([patched]), capture, backend=backend)[0].attribution.values()))
        for backend in ("packed", "separate")
    )
    torch.testing.assert_close(packed, separate)
