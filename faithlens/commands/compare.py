"""`compare`: what differs between two finished runs, question by question? No model is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from faithlens.errors import ConfigError, RunError, check_choice, list_several, suggest_names
from faithlens.measures.catalogue import get_measure
from faithlens.stats.compare import MATCHED_ACCURACIES, Difference, compare_scores, list_shared_measures
from faithlens.store import Run
from faithlens.store.places import Place
from faithlens.tasks.kinds import SENSITIVITIES, STRATEGIES

STRATEGY_PREFIX, ACCURACY = "strategies.", "accuracy.full"


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a run, one of its models, and the strategy if one is compared."""

    run: str
    model: str
    strategy: str | None = None


@dataclass(frozen=True)
class Comparison:
    """The differences between two sides on one task, `second` minus `first`."""

    task: str
    first: Side
    second: Side
    differences: list[Difference]


def compare(
    first: Run | str | Place,
    second: Run | str | Place,
    models: tuple[str | None, str | None] = (None, None),
    strategies: tuple[str | None, str | None] = (None, None),
    measures: str | Sequence[str] | None = None,
) -> list[Comparison]:
    """Compare two runs on each task that both hold, question by question: `second` minus `first`.

    Args:
        first, second: finished runs or their folders; they may be the same if models or strategies are given.
        models: which of each run's models; None for the only one, or for all where both runs hold the same ones.
        strategies: a strategy (`strategies.*`) for each side, whose answers are compared in place of those after the
            chain.
        measures: the measures to compare; None for all that both runs have, without details.

    Returns:
        For each task that both runs hold, the differences of all measures.

    Raises:
        RunError: a folder is no finished run, or the runs share no task.
        ConfigError: there is no such strategy, only one side names one, or it is not clear which models to compare.
        MeasureError: the runs share no question, or a measure is not one that both scored.
    """
    for strategy in filter(None, strategies):
        check_choice(strategy, STRATEGIES, "strategy")
    if (strategies[0] is None) != (strategies[1] is None):
        problem = f"only one side has a strategy ({strategies[0] or strategies[1]!r})"
        raise ConfigError(problem, "Name a strategy for each side, or for none.")
    runs = [run if isinstance(run, Run) else Run.open(run) for run in (first, second)]
    seed = runs[0].manifest["seed"]
    scores = [_read_scores(run, model) for run, model in zip(runs, models, strict=True)]
    tasks: list[str] = sorted(set(scores[0]["task"]) & set(scores[1]["task"]))
    if not tasks:
        held = " and ".join(", ".join(sorted(set(table["task"]))) for table in scores)
        problem = f"{runs[0].path} and {runs[1].path} have no task in common: they hold {held}"
        raise RunError(problem, "Name two runs of the same task.")
    out: list[Comparison] = []
    for task in tasks:
        for pair in _pair_models(task, scores):
            sides = [Side(str(run.path), name, way) for run, name, way in zip(runs, pair, strategies, strict=True)]
            own = [
                _select_strategy(table[(table["model"] == side.model) & (table["task"] == task)], side)
                for table, side in zip(scores, sides, strict=True)
            ]
            names = list_several(measures) if measures else _list_reported_measures(own)
            differences = compare_scores(own[0], own[1], seed, names)
            out.append(Comparison(task, sides[0], sides[1], differences))
    return out


def _read_scores(run: Run, model: str | None) -> pd.DataFrame:
    """The scores of a run; of one model if one is named."""
    scores = run.read("scores")
    if model is None:
        return scores
    check_choice(model, sorted(set(scores["model"])), f"model of the run {run.path}", RunError)
    return scores[scores["model"] == model]


def _pair_models(task: str, scores: Sequence[pd.DataFrame]) -> list[tuple[str, str]]:
    """Which models to compare: the only ones, or those of the same name where both runs hold the same."""
    first, second = (sorted(set(table.loc[table["task"] == task, "model"])) for table in scores)
    if len(first) == len(second) == 1 or first == second:
        return list(zip(first, second, strict=True))
    held = f"{', '.join(first)} in the first and {', '.join(second)} in the second"
    problem = f"on {task} the two runs hold different models: {held}"
    raise ConfigError(problem, "Name one model of each run (--model-a and --model-b, or models=).")


def _list_reported_measures(scores: Sequence[pd.DataFrame]) -> list[str]:
    """The measures of both sides that are not details."""
    return [name for name in list_shared_measures(*scores) if not get_measure(name).is_detail]


def _select_strategy(scores: pd.DataFrame, side: Side) -> pd.DataFrame:
    """The scores of the side's strategy, under names that all strategies share; all scores if it has no strategy."""
    if side.strategy is None:
        return scores
    prefix = f"{STRATEGY_PREFIX}{side.strategy}."
    own = scores[scores["measure"].str.startswith(prefix)]
    if own.empty:
        known = {name.split(".")[1] for name in scores["measure"] if name.startswith(STRATEGY_PREFIX)}
        fix = suggest_names(side.strategy, known) if known else "Run the audit with --assays baselines,strategies."
        raise RunError(f"{side.run} has no scores of the strategy {side.strategy!r} of {side.model}", fix)
    names = {f"{prefix}accuracy": ACCURACY} | {f"{prefix}{name}": STRATEGY_PREFIX + name for name in SENSITIVITIES}
    without = scores["measure"].isin(MATCHED_ACCURACIES) & (scores["measure"] != ACCURACY)
    return pd.concat([own.assign(measure=own["measure"].map(names)).dropna(subset=["measure"]), scores[without]])
