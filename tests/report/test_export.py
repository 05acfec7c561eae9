import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from faithlens.cli.audit import audit
from faithlens.config import AuditConfig, Subject
from faithlens.errors import ConfigError, RunError
from faithlens.measures.catalogue import UNITS, get_measure
from faithlens.report.card import _OPTION_FLAGS, COLUMN_MEANINGS, list_commands
from faithlens.report.export import DATASET_TABLES, QUESTION_FACTS, export_run, parse_form, write_rows
from faithlens.store import SCHEMAS, Run


def test_the_tidy_table_has_every_score_beside_its_question(run: Run, tmp_path: Path) -> None:
    path = export_run(run, tmp_path / "new" / "scores.parquet", "parquet")
    table = pq.read_table(path)
    assert table.schema.names == [*SCHEMAS["scores"].names, *QUESTION_FACTS.names]
    assert table.schema.field("step").type == "int64"
    assert table.schema.field("correct").type == "bool"
    frame, scores = table.to_pandas(), run.read("scores")
    assert list(frame["value"].dropna()) == list(scores["value"].dropna())
    assert list(frame["measure"]) == list(scores["measure"])
    assert set(frame["n_steps"]) == {5}
    assert set(frame["answer"]) == {"C"}
    assert set(frame["correct"]) == {True}
    assert set(frame.loc[frame["value"].isna(), "reason"]) == {"the prompt is too short"}


def test_a_question_without_a_chain_keeps_its_scores_and_has_no_facts(run: Run, tmp_path: Path) -> None:
    keys = {"model": "tiny <b>chat</b> model", "task": "word-sums", "question": "q999", "condition": "full"}
    run.write_part(
        "scores", "lost", [{**keys, "measure": "accuracy.full", "unit": "fraction", "reason": "it wrote none"}]
    )
    wrong = run.read("traces").head(1).assign(model="another", predicted="A")
    run.write_part("traces", "wrong", wrong)
    run.write_part("scores", "wrong", [{**keys, "model": "another", "task": "planted", "question": "q000"}
               | {"measure": "accuracy.full", "unit": "fraction", "value": 0.0}])  # fmt: skip
    frame = pd.read_parquet(export_run(run, tmp_path / "scores.parquet", "parquet"))
    [lost] = frame[frame["question"] == "q999"].to_dict("records")
    assert lost["reason"] == "it wrote none"
    assert all(pd.isna(lost[fact]) for fact in QUESTION_FACTS.names)
    [other] = frame[frame["model"] == "another"].to_dict("records")
    assert (other["answer"], other["predicted"], other["correct"]) == ("C", "A", False)


def test_chains_that_nothing_tells_apart_are_not_joined(run: Run, tmp_path: Path) -> None:
    run.write_part("traces", "again", run.read("traces").head(1).assign(seed=1))
    with pytest.raises(RunError, match="several chains of thought of the same model, task, question"):
        export_run(run, tmp_path / "scores.parquet", "parquet")
    assert not (tmp_path / "scores.parquet").exists()
    export_run(run, tmp_path / "dataset", "dataset")


def header(folder: Path) -> dict[str, Any]:
    _, head, _ = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(head)


def test_the_dataset_is_the_tables_and_a_card_that_names_them(run: Run, tmp_path: Path) -> None:
    folder = export_run(run, tmp_path / "dataset", "dataset")
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*")) == [
        "README.md",
        "data",
        "data/edits.parquet",
        "data/estimates.parquet",
        "data/scores.parquet",
        "data/traces.parquet",
    ]
    assert header(folder)["configs"] == [
        {"config_name": "scores", "data_files": "data/scores.parquet", "default": True},
        {"config_name": "estimates", "data_files": "data/estimates.parquet"},
        {"config_name": "traces", "data_files": "data/traces.parquet"},
        {"config_name": "edits", "data_files": "data/edits.parquet"},
    ]
    assert "license" not in header(folder)
    for name in DATASET_TABLES:
        table = pq.read_table(folder / "data" / f"{name}.parquet")
        assert table.schema.equals(SCHEMAS[name])
        pd.testing.assert_frame_equal(
            table.to_pandas(), pq.read_table(run.path / f"{name}.parquet").to_pandas(), check_exact=True
        )


def test_the_card_explains_every_column_and_how_the_numbers_were_made(run: Run, tmp_path: Path) -> None:
    text = (export_run(run, tmp_path / "dataset", "dataset") / "README.md").read_text()
    for name in DATASET_TABLES:
        section = text.split(f"### {name}\n")[1].split("\n#")[0]
        assert [line.split("`")[1] for line in section.strip().splitlines()] == SCHEMAS[name].names
        assert set(SCHEMAS[name].names) <= set(COLUMN_MEANINGS[name])
    assert all(f"- `{unit}`: " in text for unit in UNITS)
    assert set(run.read("scores")["unit"]) <= set(UNITS)
    assert f"- `mediation.content_share`: {get_measure('mediation.content_share').meaning}" in text
    assert "- O5 scratchpad on planted: trust" in text
    assert json.loads(text.split("```json\n")[1].split("\n```")[0]) == run.origin


def test_the_command_lines_ask_for_the_same_run() -> None:
    config = AuditConfig(subjects=(Subject("O5", "running-sum"), Subject("my model", "a.jsonl")), n=7, seed=3)
    first, second = list_commands(config.to_dict())
    assert first == (
        "faithlens audit --model O5 --task running-sum -n 7 --suite standard --samples 1 --editor task "
        "--regenerations 3 --points 32 --ends 8 --batch 20 "
        "--seed 3 --temperature 0.0 "
        "--top-p 1.0 --dtype auto --sampler own --backend auto --max-unfaithful 0.1"
    )
    assert second.startswith("faithlens audit --model 'my model' --task a.jsonl -n 7")
    assert {flag.lstrip("-").replace("-", "_") for flag in _OPTION_FLAGS.values()} <= set(audit.__annotations__)


def test_datasets_reads_the_folder(run: Run, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    folder = export_run(run, tmp_path / "dataset", "dataset")
    read = datasets.load_dataset(str(folder), "scores", split="train", cache_dir=str(tmp_path / "cache"))
    scores = run.read("scores")
    assert read.column_names == list(scores.columns)
    assert read["measure"] == list(scores["measure"])
    assert [v for v in read["value"] if v is not None] == list(scores["value"].dropna())
    steps = datasets.load_dataset(str(folder), "traces", split="train", cache_dir=str(tmp_path / "cache"))[0]["steps"]
    assert len(steps) == 5


def test_places_in_use_are_refused_and_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(RunError, match="a folder that is not empty"):
        export_run(run, tmp_path / "mine", "dataset")
    with pytest.raises(RunError, match="it is a file already"):
        export_run(run, tmp_path / "mine" / "notes.txt", "parquet")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"
    (tmp_path / "empty").mkdir()
    assert (export_run(run, tmp_path / "empty", "dataset") / "README.md").is_file()


def test_what_cannot_be_exported_leaves_nothing_behind(run: Run, tmp_path: Path) -> None:
    (run.path / "estimates.parquet").unlink()
    with pytest.raises(RunError, match=r"estimates\.parquet cannot be read"):
        export_run(run, tmp_path / "out", "dataset")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


def test_forms_are_named() -> None:
    assert (parse_form("parquet"), parse_form("dataset")) == ("parquet", "dataset")
    with pytest.raises(ConfigError, match="Did you mean 'parquet'"):
        parse_form("parket")


@pytest.mark.parametrize("name", ["scores.csv", "scores.JSONL"])
def test_a_parquet_file_has_no_name_of_another_format(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"written as parquet, and .*{name} has the name.*\n.*scores\.parquet"):
        write_rows(pa.table({"value": [1.0]}), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
