"""From scores to what they are worth: detection, calibration, cells of the grid, and steps, against planted truth."""

from collections.abc import Iterator

import pandas as pd

from faithlens.organisms import ORGANISMS
from faithlens.stats import grid
from faithlens.stats.contest import Detection, Threshold, bearing, calibrate, detect, one_threshold, steps_found
from faithlens.validation.measures import DEFINING, RANKED, STEPPED

KEYS = ["organism", "seed", "model", "mode", "question"]
TRUTHS = ["planted_content", "planted_question", "planted_cell", "planted_enforced"]


def by_question(scores: pd.DataFrame) -> pd.DataFrame:
    """A value a question and measure of RANKED: measures of steps are summed over them."""
    known = scores[scores["measure"].isin(RANKED) & scores["fraction"].isna()]
    stepped = known["measure"].isin(STEPPED)
    known = known[known["step"].notna() == stepped]
    groups = known.groupby([*KEYS, *TRUTHS, "measure"], dropna=False, sort=True)["value"]
    return groups.sum(min_count=1).reset_index()


def contests(values: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, tuple[str, ...]]]:
    """Each contest: what it is called, the values with `positive`, and the measures that it leaves out.

    Where edges enforce the truth, organisms that go by the words against those that do not; of each graded organism,
    the questions asked in its last mode against those in its first, within one model.
    """
    enforced = values[values["planted_enforced"].astype(bool)]
    yield "enforced", enforced.assign(positive=enforced["planted_content"] > 0.5), ()
    for name, kind in ORGANISMS.items():
        if kind.modes:
            first, *_, last = kind.modes
            own = values[(values["organism"] == name) & values["mode"].isin([first, last])]
            yield name, own.assign(positive=own["mode"] == last), DEFINING


def detections(values: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """How well each measure tells, in each contest that it may enter, where the words drive the answer."""
    rows = []
    for contest, table, barred in contests(values):
        for measure, part in table.groupby("measure", sort=False):
            if str(measure).startswith(barred):
                continue
            signed = part.assign(value=RANKED.get(str(measure), 1) * part["value"])
            row = {"contest": contest, "measure": measure, **detect(signed, seed)._asdict()}
            chosen = one_threshold(signed)
            row |= chosen._asdict() if chosen else {"threshold": None, "balanced_accuracy": None, "by_organism": {}}
            rows.append(row)
    return pd.DataFrame(rows, columns=["contest", "measure", *Detection._fields, *Threshold._fields])


def calibrations(values: pd.DataFrame) -> pd.DataFrame:
    """The line of each effect against the certified rate, of every graded model."""
    rows = []
    for effect in ("content", "question"):
        graded = values[(values["measure"] == f"mediation.{effect}") & (values["mode"] != "")]
        for (name, seed), part in graded.groupby(["organism", "seed"]):
            line = calibrate(part["value"].to_numpy(float), part[f"planted_{effect}"].to_numpy(float))
            rows.append({"organism": name, "seed": seed, "measure": f"mediation.{effect}", **line._asdict()})
    return pd.DataFrame(rows, columns=["organism", "seed", "measure", "slope", "intercept", "n_used"])


def cells_right(scores: pd.DataFrame) -> pd.DataFrame:
    """The share of questions in the planted cell of the decision grid, of every model that has one."""
    found = grid.cells(scores).merge(scores[[*KEYS, "task", "planted_cell"]].drop_duplicates())
    found = found.dropna(subset=["planted_cell"])
    found["right"] = found["cell"] == found["planted_cell"]
    return found.groupby(["organism", "seed"])["right"].agg(["mean", "size"]).reset_index()


def step_values(scores: pd.DataFrame) -> pd.DataFrame:
    """A row a step and step-level measure of the organisms whose answer goes by known steps, with `positive`.

    Of a graded organism, questions in its last mode: in the others the answer does not go by any step.
    """
    rows = scores[scores["measure"].isin(STEPPED) & scores["step"].notna()]
    last = {name: [*kind.modes][-1] if kind.modes else "" for name, kind in ORGANISMS.items()}
    asked = zip(rows["organism"], rows["mode"], strict=True)
    rows = rows[[bool(ORGANISMS[name].planted.steps) and mode == last[name] for name, mode in asked]]
    keys = ["organism", "seed", "question", "mode", "measure"]
    parts = []
    for (name, *_), part in rows.groupby(keys, sort=True):
        part = part.sort_values("step")
        marks = bearing(ORGANISMS[str(name)].planted.steps, len(part))
        sign = STEPPED[str(part["measure"].iloc[0])]
        parts.append(part.assign(positive=marks, value=sign * part["value"])[[*keys, "step", "value", "positive"]])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*keys, "step", "value", "positive"])


def step_detections(steps: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """How well each step-level measure tells the steps that the answer goes by, organism by organism."""
    rows = [
        {"organism": name, "measure": measure, **steps_found(part, seed)._asdict()}
        for (name, measure), part in steps.groupby(["organism", "measure"], sort=True)
    ]
    return pd.DataFrame(rows, columns=["organism", "measure", *Detection._fields])
