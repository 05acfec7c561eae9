"""Run folders that are broken, changed or in use."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from faithlens.store import Run, hold_folder, make_manifest
from faithlens.store.manifest import SCHEMA_VERSION, write_manifest
from tests.hostile.case import Case
from tests.store.entries import make_entry

PART = "parts/scores/a%20t%200.parquet"


def write_run(path: Path, n: int = 2) -> Run:
    run = Run.create(path, make_manifest({"n": 2}, 0, "cpu"))
    at = {"model": "a", "task": "t", "condition": "full", "measure": "accuracy.full", "unit": "fraction"}
    for i in range(n):
        run.write_part("scores", f"a t {i}", [{**at, "question": f"q{i}", "value": 1 / (i + 1)}])
    run.finish()
    run.write_json("verdict.json", {"subjects": [make_entry("a", "t", "trust", ["x"])]})
    return run


def use_run(change: Callable[[Path], object]) -> Case:
    def use(folder: Path) -> object:
        path = write_run(folder / "run").path
        change(path)
        return Run.open(path)

    return use


def rewrite(name: str, before: str, after: str) -> Callable[[Path], object]:
    return lambda run: (run / name).write_text((run / name).read_text().replace(before, after))


def raise_schema(run: Path) -> None:
    entries = json.loads((run / "manifest.json").read_text())
    write_manifest(run, {**entries, "schema_version": SCHEMA_VERSION + 1, "versions": {"faithlens": "9.0"}})


def exchange_table(run: Path) -> None:
    other = write_run(run.with_name("other"), n=9)
    shutil.copy(other.path / "scores.parquet", run / "scores.parquet")


def resume_with_others(folder: Path) -> object:
    write_run(folder / "run")
    return Run.create(folder / "run", make_manifest({"n": 3}, 0, "cpu"), resume=True)


def write_twice(folder: Path) -> None:
    with hold_folder(folder / "run"), hold_folder(folder / "run"):
        pass


RUNS: dict[str, Case] = {
    "no run": lambda folder: Run.open(folder / "nothing"),
    "a part is torn": use_run(lambda run: os.truncate(run / PART, 100)),
    "a part is missing": use_run(lambda run: (run / PART).unlink()),
    "a part was copied over another": use_run(lambda run: shutil.copy(run / PART.replace("0.", "1."), run / PART)),
    "a part of nobody": use_run(lambda run: shutil.copy(run / PART, run / "parts/scores/x.parquet")),
    "a table of another run": use_run(exchange_table),
    "a verdict that was edited": use_run(rewrite("verdict.json", "trust", "safe!")),
    "a manifest that was edited": use_run(rewrite("manifest.json", '"n": 2', '"n": 9')),
    "a manifest that is no JSON": use_run(rewrite("manifest.json", "{", "")),
    "a run of a newer faithlens": use_run(raise_schema),
    "other options with --resume": resume_with_others,
    "a second writer": write_twice,
    "an address with a key in it": lambda folder: Run.open("s3://KEY:SECRET@bucket/run"),
}
