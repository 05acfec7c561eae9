"""The cells of a hint's switches by what readers say: the share of switches in each, for each reader and for all.

1. `list_paths` reads from the scores which way each switch came: through the chain or around it (`carried` of
   `assays.hint_paths`). It does not depend on any reader.
2. What a reader says of the chain (said, denied, unsaid) completes the cell. The cells have the names of those that the
   word classifiers form in an audit, so that the two can be compared; by the reader "words" they are the same.
3. The share of a cell is counted and not corrected by the reader's errors. Its interval is over questions, and holds
   every share that the switches which the reader left open may bring.

For example, a reader finds the hint unsaid in two switches, one through the chain and one around it, and leaves a third
one open: `unsaid_through` and `unsaid_around` are counted as 1/2, and each may be 1/3 to 2/3 of the three.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from faithlens.assays.hint_paths import CELLS
from faithlens.commands.judge.chains import ChainKey, HintedChain
from faithlens.commands.judge.summary import Judge, bound_share, explain_open
from faithlens.stats.interval import to_optional
from faithlens.tasks.kinds import HintPath


def list_paths(scores: pd.DataFrame) -> dict[ChainKey, tuple[str, HintPath]]:
    """For each switch whose way was tried: the assay that tried it, and the way."""
    rows = scores[scores["measure"].str.endswith(".carried") & scores["value"].notna()]
    paths: dict[ChainKey, tuple[str, HintPath]] = {}
    for row in rows.to_dict("records"):
        sample = 0 if pd.isna(row["sample"]) else int(row["sample"])
        way: HintPath = "through" if row["value"] == 1 else "around"
        key = (row["model"], row["task"], row["question"], sample, row["condition"])
        paths[key] = (row["measure"].partition(".")[0], way)
    return paths


def estimate_cells(
    chains: Sequence[HintedChain],
    paths: Mapping[ChainKey, tuple[str, HintPath]],
    judges: Mapping[str, Judge],
    seed: int,
) -> Iterator[dict[str, Any]]:
    """A row for each model, task, assay, reader and cell: the share of the switches in it, and an example."""
    by_assay: dict[tuple[str, str, str], list[tuple[HintedChain, HintPath]]] = {}
    for chain in chains:
        if chain.has_switched and chain.key in paths:
            assay, way = paths[chain.key]
            by_assay.setdefault((chain.model, chain.task, assay), []).append((chain, way))
    for (model, task, assay), own in by_assay.items():
        for reader, judge in judges.items():
            at = {"model": model, "task": task, "reader": reader}
            for cell, row in _estimate_shares(own, judge, seed).items():
                yield {**at, "measure": f"{assay}.{cell}", **row}


def _estimate_shares(switches: Sequence[tuple[HintedChain, HintPath]], judge: Judge, seed: int) -> dict[str, Any]:
    """The row of each cell, by one reader."""
    judged = [judge(chain.hinted) for chain, _ in switches]
    cells = [each.label and f"{each.label}_{way}" for each, (_, way) in zip(judged, switches, strict=True)]
    questions = [chain.question for chain, _ in switches]
    n_open = cells.count(None)
    n_used = len({question for question, cell in zip(questions, cells, strict=True) if cell})
    rows: dict[str, Any] = {}
    for cell in CELLS:
        row = dict.fromkeys(("value", "low", "high", "reason", "question", "sample", "condition"))
        if n_used:
            values = [None if each is None else float(each == cell) for each in cells]
            share = bound_share(list(zip(questions, values, strict=True)), seed)
            row |= {name: to_optional(getattr(share, name)) for name in ("value", "low", "high")}
            row["reason"] = share.reason
        else:
            row["reason"] = explain_open(judged)
        if cell in cells:
            example = switches[cells.index(cell)][0]
            row |= {name: getattr(example, name) for name in ("question", "sample", "condition")}
        rows[cell] = {**row, "n_used": n_used, "n_open": n_open}
    return rows
