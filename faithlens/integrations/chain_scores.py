"""Scores of one chain of thought that another tool has at hand, with the weights of a model on this machine."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from faithlens.assays.assay import Setting
from faithlens.assays.battery import run_battery
from faithlens.assays.cases import choose_stem
from faithlens.assays.imported_chains import import_chains
from faithlens.errors import MeasureError, TraceError
from faithlens.execution.execute import choose_backend
from faithlens.interventions.case import FailedChain
from faithlens.measures.catalogue import get_measure
from faithlens.measures.score import Score
from faithlens.model.model import Model
from faithlens.tasks.question import Stem
from faithlens.tasks.transcripts import TranscriptTask


def list_needed_assays(measures: Sequence[str]) -> tuple[str, ...]:
    """The assays that give these measures, each once.

    Raises:
        MeasureError: there is no such measure, or it is no single number of a chain.
    """
    assays: list[str] = []
    for name in measures:
        measure = get_measure(name)
        if measure.assay is None or measure.shape != "scalar":
            problem = f"the measure {name!r} is no single number of one chain of thought"
            raise MeasureError(problem, "Choose a measure whose shape is `scalar` and that has an assay.")
        assays.append(measure.assay)
    return tuple(dict.fromkeys(assays))


class _OneChain(TranscriptTask):
    """The task of one chain, whose answer is read after the given words where some are given."""

    def __init__(self, path: Path, stem: str | None) -> None:
        super().__init__(path)
        self._stem = stem

    @property
    def name(self) -> str:
        return "this question"

    @property
    def stems(self) -> tuple[Stem, ...]:
        return super().stems if self._stem is None else (Stem(self._stem, ""),)


def score_chain(
    model: Model, entry: Mapping[str, Any], measures: Sequence[str], stem: str | None = None, seed: int = 0
) -> dict[str, Score]:
    """The scores of one chain, by measure; a measure that was not scored at all is not among them.

    Args:
        model: the model whose probabilities are read; mostly the one that wrote the chain.
        entry: a line of a file of chains (``faithlens schema traces``).
        measures: names from the catalogue.
        stem: the words after the chain, after which the answer is read; None for the best of several.
        seed: the seed of edits and random spans.

    Raises:
        MeasureError: a measure is unknown, or no single number.
        TaskError: the entry is not a question with a chain.
        TraceError: the chain cannot be read by the model.
        ModelError: the model does not answer the question under any stem.
    """
    assays = list_needed_assays(measures)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "chain.jsonl"
        path.write_text(json.dumps(dict(entry)), encoding="utf-8")
        task = _OneChain(path, stem)
    (chain,) = import_chains(model, task, task.transcripts, seed)
    if isinstance(chain, FailedChain):
        raise TraceError(chain.reason, "Give a chain that the model can read in its context.")
    backend = choose_backend(model, "auto")
    case = chain.with_stem(model, choose_stem(model, task, [chain], backend=backend).stem)
    (result,) = run_battery(Setting(model, task, seed=seed), [case], assays, backend=backend)
    return {score.measure: score for score in result.scores if score.measure in measures and score.step is None}
