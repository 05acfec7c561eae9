"""Every name that a user types in a command is checked, and a misspelt one is refused with the nearest known name.

The test walks the parameters of all commands that hold text. `MISSPELT` has a command line for each; a new parameter
fails until it has one or is listed in `FREE`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

import faithlens as fl
from faithlens.cli.main import app
from faithlens.errors import FaithlensError

FREE = {
    *("audit name", "audit address", "audit submit", "audit sampler_url", "query sql", "send project"),
    *("validate labels", "validate own", "validate seeds", "organisms train seeds", "organisms family seeds"),
}
"""Texts that are no names of ours: addresses, lists of numbers, SQL, names that a user makes up."""
MISSPELT = {
    "audit model": ("audit -m smollm2-135n -n 1", "smollm2-135m"),
    "audit task": ("audit -m O5 -t arithmatic", "arithmetic"),
    "audit suite": ("audit -m O5 --suite standart", "standard"),
    "audit assays": ("audit -m O5 --assays mistaks", "mistakes"),
    "audit editor": ("audit -m O5 --editor subjekt", "subject"),
    "audit device": ("audit -m O5 --device cpuu", "cpu"),
    "audit dtype": ("audit -m O5 --dtype float23", "float32"),
    "audit sampler": ("audit -m O5 --sampler continous", "continuous"),
    "audit engine": ("audit -m O5 --engine rai", "ray"),
    "audit backend": ("audit -m O5 --backend pakced", "packed"),
    "judge reader": ("judge RUN --reader wrods", "words"),
    "judge key_env": ("judge RUN --reader http://localhost:9/v1#m --key-env localhots=KEY", "localhost"),
    "judge device": ("judge RUN --reader O5 --device cpuu", "cpu"),
    "judge dtype": ("judge RUN --reader O5 --dtype float23", "float32"),
    "monitor reader": ("monitor RUN --reader wrods", "words"),
    "monitor key_env": ("monitor RUN --reader http://localhost:9/v1#m --key-env localhots=KEY", "localhost"),
    "monitor device": ("monitor RUN --reader O5 --device cpuu", "cpu"),
    "monitor dtype": ("monitor RUN --reader O5 --dtype float23", "float32"),
    "decide measure": ("decide RUN --measure mediation.content_shre", "mediation.content_share"),
    "compare model_a": ("compare RUN RUN --model-a O55", "O5"),
    "compare model_b": ("compare RUN RUN --model-b O55", "O5"),
    "compare strategy_a": ("compare RUN RUN --strategy-a factord --strategy-b cot", "factored"),
    "compare strategy_b": ("compare RUN RUN --strategy-a cot --strategy-b factord", "factored"),
    "compare measure": ("compare RUN RUN --measure accuracy.ful", "accuracy.full"),
    "power measure": ("power RUN --measure accuracy.ful", "accuracy.full"),
    "export to": ("export RUN scores --to parket", "parquet"),
    "send to": ("send RUN --to mlfow", "mlflow"),
    "replicate source": ("replicate turpim RUN", "turpin"),
    "doctor model": ("doctor smollm2-135n", "smollm2-135m"),
    "doctor device": ("doctor O5 --device cpuu", "cpu"),
    "doctor dtype": ("doctor O5 --dtype float23", "float32"),
    "bench model": ("bench -m smollm2-135n", "smollm2-135m"),
    "bench benchmark": ("bench -m O5 -b capturr", "capture"),
    "bench device": ("bench -m O5 --device cpuu", "cpu"),
    "bench dtype": ("bench -m O5 --dtype float23", "float32"),
    "validate names": ("validate --organisms O55 --out OUT", "O5"),
    "validate measures": ("validate --organisms O5 --measures mediation.contnt --out OUT", "mediation.content"),
    "measures name": ("measures accuracy.ful", "accuracy.full"),
    "tasks name": ("tasks arithmatic", "arithmetic"),
    "assays name": ("assays mistaks", "mistakes"),
    "schema name": ("schema tracess", "traces"),
    "organisms train names": ("organisms train O55", "O5"),
    "organisms family names": ("organisms family stedy --out OUT", "steady"),
}


def list_commands(group: typer.Typer, prefix: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    for command in group.registered_commands:
        assert command.callback is not None
        yield f"{prefix}{command.name or command.callback.__name__}", command.callback
    for each in group.registered_groups:
        assert each.typer_instance is not None
        yield from list_commands(each.typer_instance, f"{prefix}{each.name} ")


def holds_text(annotation: object) -> bool:
    return annotation is str or any(map(holds_text, get_args(annotation)))


def list_text_parameters() -> set[str]:
    return {
        f"{name} {parameter}"
        for name, function in list_commands(app)
        for parameter, annotation in get_type_hints(function).items()
        if holds_text(annotation)
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    fl.audit("O5", task="running-sum", n=2, out=folder, assays=["baselines"])
    return folder


def test_every_text_is_a_checked_name_or_free() -> None:
    assert list_text_parameters() == set(MISSPELT) | FREE


@pytest.mark.parametrize("parameter", MISSPELT)
def test_a_misspelling_is_refused_with_the_nearest_name(
    parameter: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line, nearest = MISSPELT[parameter]
    places = {"RUN": str(finished), "OUT": str(tmp_path / "new")}
    result = CliRunner().invoke(app, [places.get(word, word) for word in line.split()])
    assert isinstance(result.exception, FaithlensError), result.output
    assert f"Did you mean '{nearest}'" in result.exception.fix
    assert not (tmp_path / "new").exists()
