"""Finished runs in trackers, each by its own client, without a network: what is read back is what the run says."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

import faithlens as fl
from faithlens.errors import ConfigError
from faithlens.integrations.trackers import list_metrics, list_parameters, parse_tracker, send_run

RUN = Path(__file__).parents[2] / "notebooks" / "data" / "real-models" / "qwen2.5-coder-0.5b-arithmetic"


def test_metrics_are_the_estimates_of_the_run() -> None:
    run = fl.Run.open(RUN)
    metrics = list_metrics(run)
    table = pd.read_parquet(RUN / "estimates.parquet").set_index("measure")
    row = table.loc["accuracy.full"]
    assert metrics["accuracy.full"] == row["value"]
    assert metrics["accuracy.full.low"] == row["low"] < row["high"] == metrics["accuracy.full.high"]
    assert "early_answering.retention" not in metrics  # a curve is no single number
    config = json.loads((RUN / "manifest.json").read_text())["config"]
    assert {name: list_parameters(run)[name] for name in config} == {name: str(value) for name, value in config.items()}


def test_mlflow_keeps_numbers_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    run = fl.Run.open(RUN)
    assert "of the experiment faithfulness" in send_run(run, "mlflow", "faithfulness")
    client = mlflow.MlflowClient()
    [there] = client.search_runs([client.get_experiment_by_name("faithfulness").experiment_id])
    assert there.data.metrics == pytest.approx({name.replace("@", "_"): x for name, x in list_metrics(run).items()})
    assert there.data.params["n"] == str(run.manifest["config"]["n"])
    assert [file.path for file in client.list_artifacts(there.info.run_id)] == ["verdict.json"]


def test_weights_and_biases_keep_numbers_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb")
    for name, value in {"MODE": "offline", "DIR": str(tmp_path), "SILENT": "true", "CONSOLE": "off"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    sent: dict[str, float] = {}
    log = wandb.Run.log
    monkeypatch.setattr(wandb.Run, "log", lambda self, data, **more: (sent.update(data), log(self, data, **more))[1])
    run = fl.Run.open(RUN)
    assert "of the project faithfulness" in send_run(run, "wandb", "faithfulness")
    assert sent == list_metrics(run)
    assert len(list(tmp_path.rglob("*.wandb"))) == 1


def test_trackio_keeps_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))
    trackio = pytest.importorskip("trackio")
    sent: dict[str, float] = {}
    log = trackio.log
    monkeypatch.setattr(trackio, "log", lambda metrics: (sent.update(metrics), log(metrics))[1])
    run = fl.Run.open(RUN)
    assert "trackio show --project faithfulness" in send_run(run, "trackio", "faithfulness")
    assert sent == list_metrics(run)
    assert any("faithfulness" in path.name for path in tmp_path.rglob("*"))


def test_an_unknown_tracker_and_one_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"unknown tracker 'mlfow'\nDid you mean 'mlflow'"):
        parse_tracker("mlfow")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigError, match=r"not installed\nRun pip install 'faithlens\[trackers\]'"):
        send_run(fl.Run.open(RUN), "mlflow", "x")
