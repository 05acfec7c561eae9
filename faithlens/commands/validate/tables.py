"""How well do scores find the planted truth?

Detection, ranks, calibration, cells of the grid and steps are compared with what is planted; reliability compares two
halves of the questions.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from faithlens.commands.validate.measures import MEASURE_SIGNS, STEP_MEASURE_SIGNS
from faithlens.measures.catalogue import MEASURES, get_measure
from faithlens.organisms import ORGANISMS, TRAINING_VARIANTS
from faithlens.stats import grid
from faithlens.stats.agreement import Reliability, compute_reliability
from faithlens.stats.detection import (
    Detection,
    DetectionThreshold,
    RankCorrelation,
    choose_threshold,
    correlate_ranks,
    detect_between_models,
    detect_steps,
    detect_within_models,
    fit_calibration,
    mark_steps,
)
from faithlens.stats.interval import compute_mean_interval

ENFORCED = "enforced"
EXPOSURES = ("cut", *TRAINING_VARIANTS)
QUESTION_KEYS = ["organism", "seed", "model", "mode", "question"]
TRUTH_COLUMNS = ["planted_content", "planted_question", "planted_cell", "planted_enforced"]


def sum_by_question(scores: pd.DataFrame) -> pd.DataFrame:
    """One value for each question and measure: measures of single steps are summed over the steps."""
    known = scores[scores["measure"].isin(MEASURE_SIGNS) & scores["fraction"].isna()]
    stepped = known["measure"].isin(STEP_MEASURE_SIGNS)
    known = known[known["step"].notna() == stepped]
    groups = known.groupby([*QUESTION_KEYS, *TRUTH_COLUMNS, "measure"], dropna=False, sort=True)["value"]
    return groups.sum(min_count=1).reset_index()


def list_contests(values: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The name of each contest, and its values with the column `positive`.

    The first contest is between organisms whose truth is enforced by attention edges: those that follow the words are
    positive. Each graded organism is a contest of its own: the questions asked in its last mode are positive, those
    asked in its first mode are not.
    """
    enforced = values[values["planted_enforced"].astype(bool)]
    yield ENFORCED, enforced.assign(positive=enforced["planted_content"] > 0.5)
    for name, kind in ORGANISMS.items():
        if kind.modes:
            first, *_, last = kind.modes
            own = values[(values["organism"] == name) & values["mode"].isin([first, last])]
            yield name, own.assign(positive=own["mode"] == last)


def is_defining(measure: str) -> bool:
    """Whether a measure edits words or states as the certification of a graded organism's rate does.

    Such a measure would win the contests on this rate by definition. A user's own measure may lack a catalogue entry.
    """
    return measure in MEASURES and MEASURES[measure].is_defining


def compute_detections(values: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """How well each measure tells, in each contest that it may enter, where the words drive the answer."""
    rows = []
    for contest, table in list_contests(values):
        for measure, part in table.groupby("measure", sort=False):
            if contest != ENFORCED and is_defining(str(measure)):
                continue
            signed = part.assign(value=MEASURE_SIGNS.get(str(measure), 1) * part["value"])
            detection = (
                detect_between_models(signed, seed) if contest == ENFORCED else detect_within_models(signed, seed)
            )
            row = {"contest": contest, "measure": measure, **detection._asdict()}
            chosen = choose_threshold(signed)
            row |= chosen._asdict() if chosen else {"threshold": None, "balanced_accuracy": None, "by_organism": {}}
            rows.append(row)
    return pd.DataFrame(rows, columns=["contest", "measure", *Detection._fields, *DetectionThreshold._fields])


def compute_calibrations(values: pd.DataFrame) -> pd.DataFrame:
    """The line of each effect against the certified rate, of every graded model."""
    rows = []
    for effect in ("content", "question"):
        graded = values[(values["measure"] == f"mediation.{effect}") & (values["mode"] != "")]
        for (name, seed), part in graded.groupby(["organism", "seed"]):
            line = fit_calibration(part["value"].to_numpy(float), part[f"planted_{effect}"].to_numpy(float))
            rows.append({"organism": name, "seed": seed, "measure": f"mediation.{effect}", **line._asdict()})
    return pd.DataFrame(rows, columns=["organism", "seed", "measure", "slope", "intercept", "n_used"])


def compute_rankings(values: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """How well each measure ranks the questions of graded models by the certified rate of following the words."""
    graded = values[(values["mode"] != "") & ~values["measure"].map(is_defining).astype(bool)]
    rows = []
    for (name, measure), part in graded.groupby(["organism", "measure"], sort=True):
        signed = part.assign(value=MEASURE_SIGNS[str(measure)] * part["value"], rate=part["planted_content"])
        rows.append({"organism": name, "measure": measure, **correlate_ranks(signed, seed)._asdict()})
    return pd.DataFrame(rows, columns=["organism", "measure", *RankCorrelation._fields])


def compute_reliabilities(values: pd.DataFrame) -> pd.DataFrame:
    """How well one half of a model's questions predicts the other half, over models and their modes.

    A measure cannot correlate with anything above the square root of `whole` (Spearman 1904).
    """
    order = values.groupby(["model", "mode", "measure"])["question"].rank(method="first")
    keys = ["measure", "model", "mode"]
    halves = values.assign(half=order % 2).pivot_table(index=keys, columns="half", values="value")
    rows = []
    for measure, part in halves.reindex(columns=[0.0, 1.0]).groupby("measure", sort=True):
        rows.append({"measure": measure, **compute_reliability(*part.to_numpy(float).T)._asdict()})
    return pd.DataFrame(rows, columns=["measure", *Reliability._fields])


def find_levels(scores: pd.DataFrame) -> pd.DataFrame:
    """The thresholds of the grid that fit half of the seeds best, and the shares in the right cell on both halves.

    The thresholds in use are shown too. If there is a single seed, its questions are halved.
    """
    inputs, planted = match_cells(scores)
    cell = planted["planted_cell"]
    if inputs.empty:
        return pd.DataFrame(columns=["levels", *grid.GridLevels._fields, "fitted", "held_out", "n_held_out"])
    seeds = sorted(planted["seed"].unique())
    half = planted["seed"].isin(seeds[::2]).to_numpy() if len(seeds) > 1 else np.arange(len(cell)) % 2 == 0
    chosen = grid.fit_levels(inputs[half], cell[half])
    rows = [
        {
            "levels": name,
            **levels._asdict(),
            "fitted": compute_share_right(inputs[half], cell[half], levels),
            "held_out": compute_share_right(inputs[~half], cell[~half], levels),
        }
        for name, levels in (("calibrated", chosen), ("in use", grid.DEFAULT_LEVELS))
    ]
    return pd.DataFrame(rows).assign(n_held_out=int((~half).sum()))


def match_cells(scores: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The inputs of the cell of each question, with organism, seed and planted cell, where a cell is planted."""
    known = scores[scores["measure"].isin(grid.INPUT_MEASURES) & scores["planted_cell"].notna()]
    inputs = grid.collect_inputs(known)
    about = known.drop_duplicates([*inputs.index.names]).set_index([*inputs.index.names])
    return inputs, about.loc[inputs.index, ["organism", "seed", "planted_cell"]]


def compute_share_right(inputs: pd.DataFrame, planted: pd.Series, levels: grid.GridLevels) -> float:
    """The share of questions that `levels` put into their planted cell."""
    return float((pd.Series(grid.name_cells(inputs, levels), index=inputs.index) == planted).mean())


def compute_cells_right(scores: pd.DataFrame) -> pd.DataFrame:
    """The share of questions in the planted cell of the decision grid, of every model that has one."""
    inputs, planted = match_cells(scores)
    table = planted.assign(right=grid.name_cells(inputs) == planted["planted_cell"])
    return table.groupby(["organism", "seed"])["right"].agg(["mean", "size"]).reset_index()


def count_verdicts(models: pd.DataFrame) -> pd.DataFrame:
    """How often the verdict on an organism's sound models is what is planted, and how often it is trust.

    Models without a verdict are left out.
    """
    sound = models[(models["faults"] == "") & models["verdict"].notna()].drop_duplicates("model")
    judged = sound.assign(right=sound["verdict"] == sound["right_verdict"], trusted=sound["verdict"] == "trust")
    counts = judged.groupby(["organism", "right_verdict"])[["right", "trusted"]].agg(["sum", "size"])
    table = pd.DataFrame({"models": counts["right", "size"], "right": counts["right", "sum"]})
    return table.assign(trusted=counts["trusted", "sum"]).reset_index()


def compare_exposures(values: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Each measure on organisms that were trained on whole chains only, on cut chains too, or on filled chains too.

    Only organisms, seeds and questions on which all three were measured are used. Given are the difference to the
    organism itself ("cut"), and its interval over questions; a graded organism is taken in its last mode.
    """
    base = values["organism"].str.partition("-")
    values = values.assign(organism=base[0], shows=base[2].where(base[2] != "", "cut"))
    rows = []
    for name, part in values.groupby("organism", sort=False):
        last = [*ORGANISMS[str(name)].modes][-1:] or [""]
        part = part[part["mode"].isin(last)]
        index = ["measure", "seed", "question"]
        table = part.pivot_table(index=index, columns="shows", values="value").reindex(columns=[*EXPOSURES]).dropna()
        for measure, by_question in table.groupby(level="measure"):
            for shows in TRAINING_VARIANTS:
                apart = (by_question[shows] - by_question["cut"]).to_numpy(float)
                scale = get_measure(str(measure)).scale
                ends = (scale[0] - scale[1], scale[1] - scale[0]) if scale else None
                value, low, high, *_ = compute_mean_interval(apart, ends, seed)
                means = by_question[[shows, "cut"]].mean()
                row = {"organism": name, "measure": measure, "shows": shows, "value": means[shows], "cut": means["cut"]}
                rows.append({**row, "difference": value, "low": low, "high": high, "n_used": len(by_question)})
    columns = ["organism", "measure", "shows", "value", "cut", "difference", "low", "high", "n_used"]
    return pd.DataFrame(rows, columns=columns)


def list_step_values(scores: pd.DataFrame) -> pd.DataFrame:
    """The values of step-level measures on organisms whose answer depends on known steps, which are `positive`.

    There is one row for each step and measure. Of a graded organism, only questions in its last mode are taken: in the
    other modes the answer depends on no step.
    """
    rows = scores[scores["measure"].isin(STEP_MEASURE_SIGNS) & scores["step"].notna()]
    last = {name: [*kind.modes][-1] if kind.modes else "" for name, kind in ORGANISMS.items()}
    pairs = zip(rows["organism"], rows["mode"], strict=True)
    walked = [bool(ORGANISMS[name].planted.steps) and mode == last[name] for name, mode in pairs]
    rows = rows[np.array(walked, dtype=bool)]
    keys = ["organism", "seed", "question", "mode", "measure"]
    rows = rows.sort_values([*keys, "step"], kind="stable", ignore_index=True)
    chains = rows.groupby(keys, sort=False)
    place, n_steps = chains.cumcount().to_numpy(), chains["step"].transform("size").to_numpy()
    positive = np.zeros(len(rows), dtype=bool)
    for name, own in rows.groupby("organism").indices.items():
        positive[own] = mark_steps(ORGANISMS[str(name)].planted.steps, place[own], n_steps[own])
    value = rows["measure"].map(STEP_MEASURE_SIGNS).astype(float) * rows["value"]
    return rows.assign(positive=positive, value=value)[[*keys, "step", "value", "positive"]]


def compute_step_detections(steps: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """How well each step-level measure detects the steps on which the answer depends, organism by organism."""
    rows = [
        {"organism": name, "measure": measure, **detect_steps(part, seed)._asdict()}
        for (name, measure), part in steps.groupby(["organism", "measure"], sort=True)
    ]
    return pd.DataFrame(rows, columns=["organism", "measure", *Detection._fields])
