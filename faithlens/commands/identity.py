"""What made the numbers of an audit, for its manifest: its identity, and facts about each subject.

1. Before a model is loaded, `describe_inputs` gives the digest of everything that the audit reads: the weights of each
   model and of an editor, the questions of each task in the words in which they are asked, chains of thought that were
   written elsewhere, and the source code of assays and tasks that are not part of faithlens.
2. `make_audit_manifest` adds the options, the versions and the device. An audit that is continued must have the same.
"""

import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from faithlens.assays import battery
from faithlens.assays.assay import Assay, Setting
from faithlens.commands.prepare import NO_OBJECTS, GivenObjects, PreparedSubject, draw_questions, list_assay_names
from faithlens.config import AuditConfig, Subject
from faithlens.errors import RunError, TaskError, check_type
from faithlens.interventions.editor_names import EDITORS
from faithlens.model.digest import hash_loaded_model, hash_named_model
from faithlens.model.library import get_structure_entry
from faithlens.model.load import parse_device
from faithlens.model.templates import TEMPLATE_DAY
from faithlens.store import make_manifest
from faithlens.store.manifest import list_differences
from faithlens.tasks.fixed_task import FixedTask
from faithlens.tasks.question import Prompt, Question, Task
from faithlens.tasks.transcripts import Transcript, TranscriptTask


def make_audit_manifest(config: AuditConfig, objects: GivenObjects = NO_OBJECTS) -> dict[str, Any]:
    """The identity of an audit, for its manifest. No model is loaded.

    Raises:
        FaithlensError: a model, task or file cannot be used.
    """
    inputs = describe_inputs(config, objects)
    return make_manifest(config.to_dict(), config.seed, _name_device(config, objects), inputs)


def describe_place(config: AuditConfig) -> dict[str, Any]:
    """The part of an audit's identity that another machine may not share: versions, code and device."""
    own = make_manifest(config.to_dict(), config.seed, _name_device(config, NO_OBJECTS))
    return {name: own[name] for name in ("versions", "code", "device")}


def check_inputs(manifest: Mapping[str, Any], config: AuditConfig, subject: Subject) -> None:
    """Check that a model and task are those with which a run was prepared.

    Raises:
        RunError: the weights or questions differ.
        FaithlensError: the model or task cannot be used.
    """
    own = describe_inputs(config, subjects=[subject])
    old = {name: manifest["inputs"].get(name) for name in own}
    if changed := list_differences(old, own, "inputs"):
        problem = f"the run was prepared with other weights or questions of {subject.key}: {'; '.join(changed)}"
        raise RunError(problem, "Give every worker the same models and tasks, or prepare a new run.")


def describe_inputs(
    config: AuditConfig, objects: GivenObjects = NO_OBJECTS, subjects: Iterable[Subject] | None = None
) -> dict[str, str]:
    """The digest of each thing that an audit, or its work on some `subjects`, reads, by what it is.

    Raises:
        FaithlensError: a model, task or file cannot be used.
    """
    digests: dict[str, str] = {}
    for subject in config.subjects if subjects is None else subjects:
        name = f"weights of {subject.model}"
        if name not in digests:
            model = objects.models.get(subject.model)
            digests[name] = (
                hash_loaded_model(model)
                if model
                else hash_named_model(config.locate(subject.model), config.trust_remote_code)
            )
        task, questions = draw_questions(config, subject, objects)
        digests[f"questions of {subject.task} for {subject.model}"] = hash_questions(task, questions)
        if not type(task).__module__.startswith("faithlens."):
            digests[f"code of the task {subject.task}"] = hash_source(task)
        if isinstance(task, TranscriptTask):
            digests[f"chains of thought in {subject.task}"] = hash_json([*map(_list_parts, task.transcripts)])
    if config.editor not in EDITORS and not config.editor.startswith(("http://", "https://")):
        digests[f"weights of the editor {config.editor}"] = hash_named_model(config.editor)
    for name in list_assay_names(config):
        if name not in battery.ASSAYS:
            digests[f"code of the assay {name}"] = hash_source(battery.find_assay(objects.assays.get(name, name)))
    return digests


def hash_questions(task: Task, questions: Iterable[Question]) -> str:
    """The digest of questions, of the words in which they are asked, and of the counterfactuals that a file gives."""
    counterfactuals = task.given_counterfactuals if isinstance(task, FixedTask) else {}
    return hash_json(
        [
            [
                asdict(q),
                _describe_prompt(task.make_prompt(q, "cot")),
                *([asdict(counterfactuals[q.id])] if q.id in counterfactuals else []),
            ]
            for q in questions
        ]
    )


def _describe_prompt(prompt: object) -> dict[str, object]:
    """The parts of a prompt; those that only a given prompt has are left out where they are empty."""
    fix = 'Return fl.tasks.Prompt(text, ""), with the first words of the answer in place of "".'
    check_type(prompt, Prompt, "what `make_prompt` of a task returns", fix, TaskError)
    return {name: value for name, value in asdict(cast(Prompt, prompt)).items() if value or name in ("user", "prefill")}


def _list_parts(transcript: Transcript) -> list[object]:
    """Everything in the file about one chain; fields that the file does not have are left out."""
    t = transcript
    more = [t.steps, [asdict(edit) for edit in t.edits], t.given_answer, dict(t.labels), dict(t.step_labels)]
    return [t.question.id, t.cot, t.sample, t.finish, t.reply, *([more] if any(more) else [])]


def hash_source(thing: Assay | Task) -> str:
    """The digest of the file that defines an assay or a task; of the name of its class where there is no such file."""
    try:
        return hashlib.sha256(Path(inspect.getfile(_find_class(thing))).read_bytes()).hexdigest()
    except (OSError, TypeError):
        return hash_json(_name_class(thing))


def hash_json(value: Any) -> str:
    """The digest of plain data."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _name_device(config: AuditConfig, objects: GivenObjects) -> str:
    model = objects.models.get(config.subjects[0].model)
    device = model.device if model else parse_device(config.device)
    return "split" if device is None else str(device)


def _find_class(thing: object) -> Any:
    return thing if isinstance(thing, ModuleType) else type(thing)


def describe_subject(ready: PreparedSubject) -> dict:
    """The source and number format of the weights, the sampler, the answer stem and the assays, for the manifest.

    For an organism, what is planted in it is added in words.
    """
    task = ready.setting.task
    truth = (get_structure_entry(ready.setting.model.hf_model) or {}).get("truth")
    return {
        "source": ready.setting.model.source,
        "dtype": ready.setting.model.dtype,
        "backend": ready.backend,
        "sampler": ready.setting.sampler.describe(ready.setting.model),
        "template_day": str(date(*TEMPLATE_DAY)),
        "stem": ready.chosen_stem.stem.text,
        "close": ready.chosen_stem.stem.close,
        "coverage": ready.chosen_stem.coverage,
        "assays": list(ready.assays),
        **({"truth": truth} if truth else {}),
        **(_describe_transcripts(task) if isinstance(task, TranscriptTask) else {}),
    }


def check_sampler(folder: Path, facts: Mapping[str, Any], key: str, setting: Setting) -> None:
    """Check that a run is continued by the sampler that began it; a server may have another model or version by now.

    `facts` are those of `describe_subject` when the run in `folder` came to the model and task `key`.

    Raises:
        RunError: the sampler describes itself differently.
    """
    described = facts.get("sampler") or {}, setting.sampler.describe(setting.model)
    before, now = ({key: fact for key, fact in each.items() if key != "gap"} for each in described)
    if changed := list_differences(before, now, "sampler"):
        problem = f"the chains of {key} in {folder} were drawn by another sampler: {'; '.join(changed)}"
        raise RunError(problem, "Serve the model as before, or name a new folder.")


def _describe_transcripts(task: TranscriptTask) -> dict[str, object]:
    """The bad entries of a file of transcripts by reason, and remarks about it; each only if there is one."""
    facts = {"left_out": task.left_out, "remarks": list(task.remarks)}
    return {key: value for key, value in facts.items() if value}


def describe_objects(objects: GivenObjects) -> dict[str, dict[str, str]]:
    """The class of each model, task and assay that was given as an object, for the manifest; empty if none was."""
    kinds: dict[str, Mapping[str, object]] = {
        "models": {name: model.hf_model for name, model in objects.models.items()},
        "tasks": objects.tasks,
        "assays": objects.assays,
    }
    return {
        kind: {name: _name_class(each) for name, each in objects_by_name.items()}
        for kind, objects_by_name in kinds.items()
        if objects_by_name
    }


def _name_class(thing: object) -> str:
    kind = _find_class(thing)
    return kind.__name__ if isinstance(thing, ModuleType) else f"{kind.__module__}.{kind.__qualname__}"
