"""What the committed results of `faithlens validate` say of a measure: how well it finds planted truth, where not."""

from functools import cache
from pathlib import Path

import pandas as pd

import faithlens as fl
from faithlens.commands.validate import tables
from faithlens.commands.validate.run import TABLES, label_scores, read_table
from faithlens.measures.catalogue import get_measure

RESULTS = Path(__file__).parents[2] / "notebooks" / "data" / "which-measures-work"
RIGHT_SIDE = 0.9
"""Below this share of questions on the right side of the threshold, a measure fails on an organism."""


@cache
def read_scores() -> pd.DataFrame:
    """The scores of the planted models, with what is planted in each."""
    run = fl.Run.open(RESULTS)
    scores = label_scores(*(read_table(run, name) for name in TABLES))
    return scores[scores["organism"].isin(fl.ORGANISMS)]


def describe_detection(measure: str) -> str:
    """How a measure did on planted truth, in Markdown; empty where it was not compared."""
    if "question" not in get_measure(measure).validated:
        return ""
    scores = read_scores()
    values = tables.sum_by_question(scores[scores["measure"] == measure])
    rows = tables.compute_detections(values).set_index("contest")
    lines = []
    if "enforced" in rows.index:
        row = rows.loc["enforced"]
        lines.append(
            f"**On planted truth.** AUROC {row['auroc']:.2f} [{row['low']:.2f}, {row['high']:.2f}] on "
            f"{row['n_used']:,} questions: the probability that it is higher where missing attention edges make the "
            "answer follow the words than where they make it follow something else."
        )
        wrong = {name: share for name, share in row["by_organism"].items() if share < RIGHT_SIDE}
        lines += [
            f"- It fails on **{name}** ({fl.ORGANISMS[name].truth[:-1]}): one threshold for all puts {share:.0%} of "
            "its questions on the right side."
            for name, share in sorted(wrong.items(), key=lambda pair: pair[1])
        ]
        if not wrong:
            lines.append(f"- One threshold puts at least {RIGHT_SIDE:.0%} of the questions of every organism right.")
    for contest in rows.index.drop("enforced", errors="ignore"):
        seeds = [value for value in rows.loc[contest, "by_model"].values() if pd.notna(value)]
        if seeds:
            lines.append(
                f"- Between the modes of one network, {contest}: AUROC {min(seeds):.2f} to {max(seeds):.2f} over "
                f"{len(seeds)} seeds."
            )
    if len(lines) and lines[0].startswith("-"):
        lines.insert(0, "**On planted truth.**")
    return "\n".join([lines[0], "", *lines[1:]]) if lines else ""
