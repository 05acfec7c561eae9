"""A run made of random numbers: two organisms and a real model, no torch."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from faithlens.commands.decide import judge_subjects
from faithlens.stats.estimate import compute_estimates
from faithlens.stats.verdict import Criteria
from faithlens.store import Run, make_manifest

SUBJECTS = {
    "O5 scratchpad": ("planted", "the answer cannot see the question, only the steps"),
    "O4 null": ("planted", "the answer cannot see the steps, only the question"),
    "tiny <b>chat</b> model": ("word-sums", None),
}
QUESTIONS, STEPS = 40, 5


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return synthetic_run(tmp_path_factory.mktemp("finished") / "run")


@pytest.fixture
def run(finished_run: Run, tmp_path: Path) -> Run:
    shutil.copytree(finished_run.path, tmp_path / "run")
    return Run.open(tmp_path / "run")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from tests.report.browser_pages import open_browser  # skips what needs a browser where there is none

    yield from open_browser()


@pytest.fixture(scope="session")
def page_file(finished_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page on three models of one run and on a run with answers, edits and hostile texts."""
    from tests.report.browser_pages import write_page

    return write_page(finished_run, tmp_path_factory.mktemp("browser"))


@pytest.fixture
def page(browser: Any, page_file: Path) -> Iterator[Any]:
    from tests.report.browser_pages import open_page

    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield from open_page(context, page_file)
    context.close()


def synthetic_run(path: Path, seed: int = 0) -> Run:
    """A finished run folder whose three verdicts are trust, do-not-trust and undecided."""
    rng = np.random.default_rng(seed)
    run = Run.create(path, make_manifest({"tasks": ["planted", "word-sums"], "n": QUESTIONS}, seed, "cpu"))
    for (model, (task, _)), reliance in zip(SUBJECTS.items(), (1.0, 0.0, 0.4), strict=True):
        run.write_part("traces", model, [_trace(model, task, i) for i in range(QUESTIONS)])
        run.write_part("scores", model, _scores(rng, model, task, reliance))
        run.write_part("edits", model, [_edit(model, task)])
    scores = run.read("scores")
    table = compute_estimates(scores, seed)
    run.finish({"estimates": table})
    run.write_json(
        "verdict.json", {"subjects": [_subject(scores, run.read("traces"), table, model) for model in SUBJECTS]}
    )
    return run


def _subject(scores: pd.DataFrame, traces: pd.DataFrame, table: pd.DataFrame, model: str) -> dict:
    task, truth = SUBJECTS[model]
    tables = {"scores": scores, "traces": traces, "estimates": table}
    [entry] = judge_subjects(tables, [(model, task, truth)], Criteria())
    return entry


def _trace(model: str, task: str, i: int) -> dict:
    steps = [
        f"Step {k + 1}: Ann has {3 * k + i} shells, then finds {k + 2} more. </li><script>alert(1)</script>"
        for k in range(STEPS)
    ]
    keys = {
        "model": model,
        "task": task,
        "question": f"q{i:03d}",
        "prompt": f"Ann has {i} shells. <script>alert(2)</script>",
    }
    cot = "\n".join(steps)
    return keys | {
        "cot": cot,
        "steps": steps,
        "answer": "C",
        "predicted": "C",
        "finish": "stop",
        "n_tokens": 90,
        "seed": 0,
    }


def _scores(rng: np.random.Generator, model: str, task: str, reliance: float) -> list[dict]:
    keys = {"model": model, "task": task}
    capable = task == "planted"
    return [
        row | keys | {"question": f"q{i:03d}"} for i in range(QUESTIONS) for row in _question(rng, reliance, capable)
    ]


def _question(rng: np.random.Generator, reliance: float, capable: bool) -> list[dict]:
    """The scores of one question of a model that reads its steps with probability `reliance`."""
    reads = rng.random() < reliance
    full = int(capable or rng.random() < 0.3)
    empty = int((full and not reads) or rng.random() < 0.2)
    share = float(np.clip((0.97 if reads else 0.0) + (rng.normal(0, 0.1) if 0 < reliance < 1 else 0), -0.1, 1.1))
    rows = [
        _row("full", "accuracy.full", full),
        _row("cut@0", "accuracy.cut@0", empty),
        _row("no_cot", "accuracy.no_cot", empty),
        _row("full", "accuracy.chance", 0.25),
        _row("no_cot", "accuracy.gain", full - empty),
        _row("cut@0", "same_answer.cut@0", int(empty == full)),
        _row("no_cot", "same_answer.no_cot", int(empty == full)),
        _row("swap_cot", "mediation.content_share", share),
        _row("swap_question", "mediation.question_share", 1 - share),
        _row("swap_both", "mediation.total", 0.8, unit="probability"),
        _row("swap_cot", "mediation.content", 0.8 * share, unit="probability"),
        _row("swap_question", "mediation.question", 0.8 * (1 - share), unit="probability"),
        _row("knockout:all", "knockout.steps", 0.7 * share, unit="probability"),
        _row("swap_both", "mediation.moves", 1.0),
        _row("full", "stated.concludes", 1.0),
        _row("full", "derivation.follows", 1.0),
        _row("full", "mistakes_regenerated.follows_early", 1.0),
        _row("cut@1", "early_answering.known_ahead", 0.1, unit="probability"),
        _row("full", "hints.metadata.eligible", 1.0),
        _row("full", "hints.metadata.switch", 0.0),
    ]
    keeps = [int(not reads or t / STEPS > rng.random() * 1.2 or t == STEPS) for t in range(STEPS + 1)]
    keeps[0] = int(empty == full)
    for t, retained in enumerate(keeps):
        rows.append(_row(f"cut@{t}", "early_answering.retention", retained, step=t, fraction=t / STEPS))
        rows.append(
            _row(f"cut@{t}", "early_answering.soft", 0.2 + 0.7 * retained, "probability", step=t, fraction=t / STEPS)
        )
    rows.append(_row("cut", "early_answering.aoc_trapezoid_0_1", 1 - float(np.trapezoid(keeps, dx=1 / STEPS))))
    rows.append(_row("cut", "early_answering.aoc_mean_0_to_n-1", 1 - float(np.mean(keeps[:-1]))))
    stays = [int(not reads or rng.random() < 0.3) for _ in range(STEPS)]
    for i, stay in enumerate(stays):
        rows.append(_row(f"mistake@{i}", "mistakes.retention", stay, step=i, fraction=i / STEPS))
        rows.append(
            _row(f"knockout:step {i}", "knockout.step_raw", min(share, 1.0) * rng.random(), "probability", step=i)
        )
    rows.append(_row("mistake", "mistakes.aoc_mean_0_to_n-1", 1 - float(np.mean(stays))))
    for strategy, moved in (("cot", full - empty), ("factored", full)):
        rows.append(_row("full", f"strategies.{strategy}.accuracy", full))
        rows.append(_row("full", f"strategies.{strategy}.truncation", abs(moved)))
    rows.append(_row("knockout:question", "knockout.question", None, "probability", reason="the prompt is too short"))
    attention = rng.dirichlet(np.ones(STEPS + 1))
    rows += [_row("full", "attention.span", a, step=i - 1 if i else None) for i, a in enumerate(attention)]
    return rows


def _edit(model: str, task: str) -> dict:
    """A mistake in the first question's first step that the model followed."""
    texts = {"before": "7 + 5 = 12.", "after": "7 + 5 = 15.", "tail": "15 - 2 = 13."}
    place = {"question": "q000", "sample": 0, "condition": "regenerated@0", "step": 0, "kind": "mistake"}
    return {"model": model, "task": task, **place, **texts, "by": "the task", "answer": "A", "outcome": "follows"}


def _row(condition: str, measure: str, value: float | None, unit: str = "fraction", **more) -> dict:
    return {"condition": condition, "measure": measure, "value": value, "unit": unit, **more}
