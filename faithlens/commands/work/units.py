"""The units of an audit: one batch of questions of one model and task each, and what its rows depend on.

1. Batches are cut when the audit is prepared, so that no worker, no order and no death of a worker changes a unit.
2. The digest of a unit covers what determines its rows: the weights, the code and the versions, the options of
   sampling and scoring, the assays, the questions of the unit in the words in which they are asked, and those of the
   first batch, on which the answer stem is chosen. It does not cover how many other questions or models the audit has.

3. The digest of a unit's chains covers what determines how they are drawn, and no option or assay that only edits or
   scores them.

For example, `-n 40` and `-n 80` with 20 questions a unit have their first two units in common. `--assays mistakes` and
`--assays mistakes,paraphrase` have no unit in common, but the chains of all. A run can take both over from another one
(`commands.work.reuse`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from faithlens.assays import battery
from faithlens.commands.identity import hash_json, hash_questions
from faithlens.commands.prepare import NO_OBJECTS, GivenObjects, cut_questions, draw_questions, list_assay_names
from faithlens.config import AuditConfig, Subject
from faithlens.execution.samplers.own import OWN
from faithlens.store import UnitList

BATCH_TABLES = ("scores", "answers", "edits", "drafts", "hinted_chains", "traces")
"""The tables of which every unit has a part."""
_OTHER_OPTIONS = {"subjects", "n", "batch", "suite", "assays", "max_unfaithful", "min_accuracy", "sources", "threads"}
"""Options that no row depends on, or that the digest of a unit covers in another way. The threads are one number for
all units of a run (`manifest["threads"]`)."""
_OPTIONS_OF_EDITS = {"editor", "regenerations", "points", "ends", "backend", "budget"}
"""Options that chains of thought do not depend on."""


def name_unit(subject: Subject, number: int) -> str:
    """The key of a unit: batch `number` of a model and task."""
    return f"{subject.key} {number}"


def name_start(subject: Subject) -> str:
    """The key of what is found out about a model and task before its first unit."""
    return f"{subject.key} start"


def list_audit_units(config: AuditConfig, manifest: Mapping[str, Any], objects: GivenObjects = NO_OBJECTS) -> UnitList:
    """The units of an audit whose manifest is `manifest`. No model is loaded.

    Raises:
        TaskError: a task or its file cannot be used.
    """
    units: dict[str, dict[str, Any]] = {}
    starts: dict[str, dict[str, Any]] = {}
    options = {name: value for name, value in manifest["config"].items() if name not in _OTHER_OPTIONS}
    place = {name: manifest[name] for name in ("versions", "code", "device")}
    common = {
        **place,
        "options": options,
        "assays": list_assay_names(config),
        "inputs": {name: value for name, value in manifest["inputs"].items() if not _is_of_subject(name)},
    }
    drawing = {
        **place,
        "options": {name: value for name, value in options.items() if name not in _OPTIONS_OF_EDITS},
        # chains of counterfactual questions are drawn in the same call
        "counterfactuals": battery.needs_counterfactuals(
            objects.assays.get(name, name) for name in list_assay_names(config)
        ),
    }
    has_own_chains = config.sampler == OWN.name and not config.traces
    for subject in config.subjects:
        task, questions = draw_questions(config, subject, objects)
        batches = cut_questions(config, questions)
        inputs = manifest["inputs"]
        own = {
            "subject": [subject.model, subject.task],
            "weights": inputs[f"weights of {subject.model}"],
            "chains": inputs.get(f"chains of thought in {subject.task}"),
            "code": inputs.get(f"code of the task {subject.task}"),
        }
        first = hash_questions(task, batches[0])
        starts[name_start(subject)] = {"digest": hash_json([common, own, first])}
        for number, batch in enumerate(batches):
            batch_digest = hash_questions(task, batch)
            units[name_unit(subject, number)] = {
                "model": subject.model,
                "task": subject.task,
                "batch": number,
                "questions": [question.id for question in batch],
                "digest": hash_json([common, own, first, batch_digest]),
                "chains": hash_json([drawing, own, batch_digest]) if has_own_chains else None,
            }
    return UnitList(BATCH_TABLES, units, starts)


def order_units(keys: Sequence[str], rank: int, of: int) -> list[str]:
    """All units in the order in which worker `rank` of `of` tries them: its own share first, then those after it.

    A share is a stretch of the list, so that a worker keeps to few models.

    >>> order_units(["a", "b", "c", "d"], rank=1, of=2)
    ['c', 'd', 'a', 'b']
    """
    start = len(keys) * rank // of
    return [*keys[start:], *keys[:start]]


def _is_of_subject(name: str) -> bool:
    """Whether an input belongs to one model or task, whose units state it themselves."""
    starts = ("weights of ", "questions of ", "chains of thought in ", "code of the task ")
    return name.startswith(starts) and not name.startswith("weights of the editor ")
