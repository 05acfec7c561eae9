"""What made the numbers of an audit, for its manifest."""

from collections.abc import Mapping
from types import ModuleType

from faithlens.commands.prepare import GivenObjects, PreparedSubject


def describe_subject(ready: PreparedSubject) -> dict:
    """The source of the weights, the answer stem and the assays, for the manifest."""
    return {
        "source": ready.setting.model.source,
        "stem": ready.chosen_stem.stem.text,
        "close": ready.chosen_stem.stem.close,
        "coverage": ready.chosen_stem.coverage,
        "assays": list(ready.assays),
    }


def describe_objects(objects: GivenObjects) -> dict[str, dict[str, str]]:
    """The class of each model, task and assay that was given as an object, for the manifest; empty if none was."""
    kinds: dict[str, Mapping[str, object]] = {
        "models": {name: model.hf_model for name, model in objects.models.items()},
        "tasks": objects.tasks,
        "assays": objects.assays,
    }
    return {kind: {name: _name_class(each) for name, each in given.items()} for kind, given in kinds.items() if given}


def _name_class(given: object) -> str:
    return given.__name__ if isinstance(given, ModuleType) else f"{type(given).__module__}.{type(given).__qualname__}"
