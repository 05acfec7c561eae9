"""A stopped audit or sweep is continued from its folder alone: its manifest knows the options.

Options that are given beside the folder must be those that it was started with. They are compared before a model is
loaded.
"""

from collections.abc import Callable, Mapping
from typing import Any

from faithlens.commands.audit import (
    THIS_PROCESS,
    Staff,
    make_audit_config,
    run_staffed_audit,
)
from faithlens.commands.sweep.config import SweepConfig
from faithlens.commands.sweep.run import run_sweep
from faithlens.config import COUNTS_OF_STEPS, OPTIONS, SAMPLING_OPTIONS, AuditConfig
from faithlens.errors import RunError
from faithlens.store import Run
from faithlens.store.places import Place


def resume_audit(
    folder: Place,
    extra: Mapping[str, Any],
    notify: Callable[[str], None] = lambda words: None,
    staff: Staff = THIS_PROCESS,
) -> Run:
    """Continue the audit in `folder` and return the finished run.

    Args:
        folder: of a run that `audit` started.
        extra: the options that the user gave beside it, by their names in `fl.audit`.
        notify: is called as by `run_audit`.
        staff: who does the rest.

    Raises:
        RunError: there is no audit in the folder, or it was started with other options, inputs or code.
        FaithlensError: as `run_audit`.
    """
    config = read_audit_config(folder)
    check_given_options(config, folder, extra)
    return run_staffed_audit(config, folder, staff=staff, resume=True, notify=notify)


def resume_sweep(
    folder: Place, config: SweepConfig | None = None, notify: Callable[[str], None] = lambda words: None
) -> Run:
    """Continue the sweep in `folder`; where `config` is given too, it must be as it was.

    Raises:
        RunError: there is no sweep in the folder, or it was started with another file or code.
        FaithlensError: as `run_sweep`.
    """
    manifest = Run(folder).manifest
    if "members" not in manifest["config"]:
        problem = f"the run in {folder} is no sweep"
        raise RunError(problem, f"An audit goes on with: faithlens audit --resume {folder}")
    return run_sweep(config or SweepConfig.from_dict(manifest["config"]), folder, resume=True, notify=notify)


def read_audit_config(folder: Place) -> AuditConfig:
    """The options that the audit in `folder` was started with.

    Raises:
        RunError: there is no audit, or it needs objects that were given in Python.
    """
    manifest = Run(folder).manifest
    if "subjects" not in manifest["config"]:
        problem = f"the run in {folder} is no audit"
        raise RunError(problem, f"A sweep goes on with: faithlens sweep --resume {folder}")
    if "in_memory" in manifest:
        kinds = ", ".join(manifest["in_memory"])
        problem = f"the run in {folder} was started in Python with objects in memory ({kinds})"
        raise RunError(problem, "Repeat the call of fl.audit with out= this folder and resume=True.")
    return AuditConfig.from_dict(manifest["config"])


def check_given_options(config: AuditConfig, folder: Place, extra: Mapping[str, Any]) -> None:
    """Check that the options `extra` are those of `config`.

    Raises:
        ConfigError: an option is unknown or out of its range.
        RunError: options differ; each is named with both values.
    """
    known = {name: _read_option(config, name) for name in (*OPTIONS, "n") if name != "name"}
    counts = {name: known[name] or 0 for name in COUNTS_OF_STEPS}  # a user writes 0 for all steps
    options = {"model": _read_option(config, "model"), **known, **counts, **extra}
    typed, _ = make_audit_config(options.pop("model"), options.pop("task", None), options.pop("n"), **options)
    differences = [
        f"{name}: {old!r} in the folder, {new!r} given"
        for name in extra
        if (old := _read_option(config, name)) != (new := _read_option(typed, name))
    ]
    if differences:
        problem = f"the run in {folder} was started with other options: {'; '.join(differences)}"
        raise RunError(problem, "Leave the options out, because the folder knows them, or start a new run with --out.")


def _read_option(config: AuditConfig, name: str) -> Any:
    """An option as a user gives it; lists where it may be given several times."""
    if name in SAMPLING_OPTIONS:
        return getattr(config.sampling, name)
    if name == "model":
        return list(dict.fromkeys(config.locate(subject.model) for subject in config.subjects))
    if name == "name":
        return list(dict.fromkeys(subject.model for subject in config.subjects))
    if name == "task":
        return sorted({subject.task for subject in config.subjects})
    return getattr(config, name)
