"""A finished run in an experiment tracker, by the tracker's own client: MLflow, Weights & Biases or Trackio.

Each number of the run becomes a metric with the ends of its interval; the options become parameters; the word of the
verdict becomes a tag; and the page and the verdict are kept as files where the tracker keeps files.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

import pandas as pd

from faithlens.errors import ConfigError, check_choice, suggest_names
from faithlens.store import Run

Tracker = Literal["mlflow", "wandb", "trackio"]
FILES = ("report.html", "verdict.json")


def send_run(run: Run, tracker: Tracker, project: str) -> str:
    """Send a finished run.

    Args:
        run: the run.
        tracker: "mlflow", "wandb" or "trackio". The client's own environment variables say where it sends to.
        project: the project, which MLflow calls an experiment; it is made if it is not there.

    Returns:
        Where the run stands there, in words.

    Raises:
        ConfigError: there is no such tracker, or its client is not installed.
        RunError: the run is not finished.
    """
    check_choice(tracker, SENDERS, "tracker")
    try:
        client = import_module(tracker)
    except ImportError as error:
        problem = f"the client of {tracker} is not installed"
        raise ConfigError(problem, "Run pip install 'faithlens[trackers]', or install the client by itself.") from error
    return SENDERS[tracker](client, run, project, run.path.name)


def parse_tracker(name: str) -> Tracker:
    """The tracker that a command-line option names. Raises ConfigError where there is none of that name."""
    for tracker in get_args(Tracker):
        if tracker == name:
            return tracker
    raise ConfigError(f"unknown tracker {name!r}", suggest_names(name, get_args(Tracker)))


def list_metrics(run: Run) -> dict[str, float]:
    """The scalar numbers of a run by name, each with the ends of its interval; of several models, by model and task.

    Numbers without a value are left out: a tracker has no place for the reason.
    """
    estimates = run.estimates
    scalar = estimates[estimates["fraction"].isna() & estimates["step"].isna() & estimates["value"].notna()]
    has_several = len(scalar[["model", "task"]].drop_duplicates()) > 1
    metrics: dict[str, float] = {}
    for row in scalar.to_dict("records"):
        place = f"{row['model']}/{row['task']}/" if has_several else ""
        for end, suffix in (("value", ""), ("low", ".low"), ("high", ".high")):
            if pd.notna(row[end]):
                metrics[f"{place}{row['measure']}{suffix}"] = float(row[end])
    return metrics


def list_parameters(run: Run) -> dict[str, Any]:
    """The options of a run, its verdicts and the versions with which it was made."""
    words = {f"verdict/{each.model}/{each.task}": each.word for each in run.verdicts}
    versions = {f"version/{name}": version for name, version in run.manifest["versions"].items()}
    return {name: str(value) for name, value in run.manifest["config"].items()} | words | versions


def _send_to_mlflow(client: Any, run: Run, project: str, name: str) -> str:
    client.set_experiment(project)
    with client.start_run(run_name=name) as there:
        client.log_params({_clean(key): str(value)[:500] for key, value in list_parameters(run).items()})
        client.log_metrics({_clean(key): value for key, value in list_metrics(run).items()})
        with TemporaryDirectory() as folder:
            for file in _copy_files(run, Path(folder)):
                client.log_artifact(str(file))
        return f"run {there.info.run_id} of the experiment {project} at {client.get_tracking_uri()}"


def _send_to_wandb(client: Any, run: Run, project: str, name: str) -> str:
    there = client.init(project=project, name=name, config=list_parameters(run))
    there.log(list_metrics(run))
    files = client.Artifact(f"faithlens-{there.id}", type="faithlens-run")
    with TemporaryDirectory() as folder:
        for file in _copy_files(run, Path(folder)):
            files.add_file(str(file))
        there.log_artifact(files)
        there.finish()
    return f"run {there.id} of the project {project} ({there.url or there.dir})"


def _send_to_trackio(client: Any, run: Run, project: str, name: str) -> str:
    client.init(project=project, name=name, config=list_parameters(run))
    client.log(list_metrics(run))
    client.finish()
    return f"run {name} of the project {project}; `trackio show --project {project}` opens it"


def _copy_files(run: Run, folder: Path) -> Iterator[Path]:
    """Copies of the page and the verdict on this machine, wherever the run lies; the page may have been deleted."""
    for name in FILES:
        if (run.path / name).exists():
            copy = folder / name
            copy.write_bytes((run.path / name).read_bytes())
            yield copy


def _clean(name: str) -> str:
    """A name that MLflow takes: letters, digits and a few marks; it reads a slash as a folder, as in `./my-model`."""
    return "".join(letter if letter.isalnum() or letter in "_-. " else "_" for letter in name)


SENDERS: Mapping[str, Callable[[Any, Run, str, str], str]] = {
    "mlflow": _send_to_mlflow,
    "wandb": _send_to_wandb,
    "trackio": _send_to_trackio,
}
"""By tracker, the function that sends a run there."""
