"""What Python and notebooks show of plans, cases, runs, verdicts and effects: short, and with every text escaped."""

from dataclasses import replace

import numpy as np
import pandas as pd

import faithlens as fl
from faithlens.console import format_html_table
from faithlens.effects.approximation import ApproximationQuality
from faithlens.effects.gradient_flow import GradientFlow
from faithlens.effects.heads import HeadEffects
from faithlens.effects.paths import PathEffects
from faithlens.effects.step_effects import StepEffects
from faithlens.effects.suppression import StepMatrix
from faithlens.store import RunVerdict

HOSTILE = "<script>alert(1)</script>"


def test_a_table_escapes_texts_and_rounds_numbers() -> None:
    table = format_html_table(HOSTILE, (HOSTILE,), [(HOSTILE,), (1 / 3,), (float("nan"),), (None,), (1200,)])
    assert "<script" not in table
    assert table.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 3
    assert "<td>0.333</td></tr><tr><td>–</td></tr><tr><td>–</td></tr><tr><td>1200</td>" in table


def test_a_verdict_is_short_and_shows_its_reasons() -> None:
    verdict = RunVerdict(HOSTILE, "sums", "trust", ("All pass.", HOSTILE))
    assert repr(verdict) == f"RunVerdict({HOSTILE!r} on 'sums': trust)"
    assert "<script" not in verdict._repr_html_()
    assert "<td>All pass.</td>" in verdict._repr_html_()


def test_effects_show_their_means_by_layer_and_step() -> None:
    effect = np.array([[[0.25, np.nan], [0.5, np.nan]], [[0.75, np.nan], [1.5, np.nan]]])
    ends = np.zeros(2)
    steps = StepEffects("hide", None, "probability", ("0", "1"), ("step 1", HOSTILE), ends, ends, effect, effect, 0)
    assert repr(steps) == "StepEffects('hide', probability, 2 traces x 2 layers x 2 steps)"
    assert "<td>0</td><td>0.5</td><td>–</td></tr><tr><td>1</td><td>1</td><td>–</td>" in steps._repr_html_()
    assert "<script" not in steps._repr_html_()


def test_a_result_is_a_caption_and_a_table_of_means() -> None:
    two, ends = np.array([0.25, 0.75]), np.zeros((2, 1, 1))
    paths = PathEffects(two, two / 2, two / 4, two * 0, "probability")
    assert repr(paths) == "PathEffects(probability, 2 traces)"
    assert "<td>total</td><td>0.5</td></tr><tr><td>content</td><td>0.25</td>" in paths._repr_html_()
    matrix = StepMatrix(("step 1",), ("stem",), np.array([[[1.0]], [[2.0]]]), ends, 0)
    assert repr(matrix) == "StepMatrix(nats, 2 traces; columns: the hidden step)"
    assert "<td>stem</td><td>1.5</td>" in matrix._repr_html_()
    quality = ApproximationQuality(3, 1.0, 1.0, 1.0, 1.0)
    exact = np.array([[[1.0, np.nan], [-4.0, np.nan]], [[3.0, np.nan], [-2.0, np.nan]]])
    heads = HeadEffects("denoise", exact, exact, quality)
    assert repr(heads).startswith("HeadEffects('denoise', logits, 2 traces; ")
    assert "<td>1</td><td>0</td><td>-3</td></tr><tr><td>0</td><td>0</td><td>2</td>" in heads._repr_html_()
    flow = pd.DataFrame({"trace": 0, "layer": 0, "head": range(50), "piece": HOSTILE, "worth": np.arange(50.0)})
    table = GradientFlow(flow, quality)._repr_html_()
    assert "40 of 50 rows" in table
    assert table.count("<tr>") == 41
    assert table.index("<td>49</td>") < table.index("<td>48</td>")
    assert "<script" not in table


def test_cases_and_plans_are_one_line_and_a_table() -> None:
    model, task = fl.load("O5"), fl.load_task("running-sum")
    case = fl.think(model, task, task.draw_questions(1, seed=0)[0])
    assert repr(case).startswith(f"Case({case.question.id!r}, chain 0, 4 steps, candidates ")
    assert all(f"<td>{step.strip()}" in case._repr_html_().replace("<td> ", "<td>") for step in case.trace.texts[1:])
    assert "<tr><td>step 0</td><td>Start at" in case._repr_html_().replace("<td> ", "<td>")
    assert [piece.name for piece in case.trace.pieces if f"<td>{piece.name}</td>" not in case._repr_html_()] == []
    hostile = replace(case, trace=replace(case.trace, texts=(HOSTILE, *case.trace.texts[1:])))
    assert "<script" not in hostile._repr_html_()
    conditions = fl.interventions.hide_steps(case)
    n_prompt, n_tokens = len(case.trace.prompt.ids), sum(len(piece.ids) for piece in conditions[1].pieces)
    assert repr(case.trace) == f"Trace({n_prompt} tokens of prompt, 4 steps, finish 'stop')"
    assert repr(case.trace.prompt) == f"Piece('prompt', {n_prompt} tokens)"
    assert repr(conditions[1]) == f"Condition({conditions[1].name!r}, {n_tokens} tokens, 10 options, Knockout)"
    records = fl.execute(model, fl.plan_passes(model, conditions), fl.Capture(attention=("answer",)))
    assert repr(records[1]) == f"Record({conditions[1].name!r}, 10 options, attention)"
    plan = fl.plan_passes(model, fl.interventions.truncate_stepwise(case))
    assert repr(plan) == f"Plan({plan.describe()})"
    assert f"<td>packed rows (tokens)</td><td>{plan.tokens}</td>" in plan._repr_html_()
