"""`faithlens view`: finished and growing runs as one page, in a file or from a small server on this machine.

1. `find_runs` turns what the user names into run folders: a run, or a sweep with its audits.
2. `read_page` makes the page from what the folders hold now. For a run that is still being written the page shows the
   counts of its gates and no word: a word that is read repeatedly while questions come in would err more often than
   its level allows.
3. `read_version` tells whether the folders have changed since. `commands.view_server` serves the page.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from time import sleep
from typing import Any

import pandas as pd

from faithlens.commands.decide import judge_subjects
from faithlens.errors import RunError, list_several, suggest_path
from faithlens.report.page import Served, make_page
from faithlens.report.subjects import ReportedSubject, make_subjects, read_subjects, read_tables
from faithlens.stats.estimate import compute_estimates
from faithlens.stats.verdict import Criteria
from faithlens.store import MANIFEST_NAME, REPORT_NAME, VERDICT_NAME, Run, find_place, write_atomically
from faithlens.store.places import Place, exists, is_address, read_content

N_TRIES = 5
"""The number of times that a folder is read if it changes while it is read."""
PAUSE = 0.2
"""Seconds between two tries."""
GROWING = "unfinished"
"""What stands in place of the verdict of a run that is still being written."""


def view(runs: str | Place | Run | Sequence[str | Place | Run], file: str | Place) -> Place:
    """Write one page about one run or several, with every chain of thought.

    Args:
        runs: a run or its folder, a sweep's folder, or several of these. A run may still be being written.
        file: the HTML file; it is replaced if it exists.

    Returns:
        The path of the file.

    Raises:
        RunError: there is no run, a file of it was changed, or the file cannot be written.
    """
    page = read_page(
        find_runs([each.path if isinstance(each, Run) else find_place(each) for each in list_several(runs)])
    )
    place = find_place(file)
    with write_atomically(place) as temporary:
        temporary.write_bytes(page.encode("utf-8", "replace"))
    return place


def find_runs(paths: Sequence[Place]) -> list[Place]:
    """The folders of the runs in `paths`; of a sweep, those of its audits; of a folder of runs, all of these.

    Raises:
        RunError: one of `paths` is no run, or no audit of a sweep has begun.
    """
    folders: list[Place] = []
    for path in paths:
        if not exists(path / MANIFEST_NAME):
            inside = sorted(each.parent for each in path.glob(f"*/{MANIFEST_NAME}"))
            if not inside:
                fix = f"{suggest_path(str(path))}Name the folder of a run, of several runs or of a sweep."
                raise RunError(f"there is no run in {path}", fix)
            folders += find_runs(inside)
            continue
        audits = sorted(each.parent for each in (path / "runs").glob(f"*/{MANIFEST_NAME}"))
        if not audits and (path / "runs").is_dir():
            raise RunError(f"no audit of the sweep in {path} has begun yet", "Wait until its first audit is written.")
        folders += audits or [path]
    return list(dict.fromkeys(folders))


def read_page(folders: Sequence[Place], served: Served | None = None) -> str:
    """The page about the runs in `folders` as they are now. Raises RunError as `Run.open`."""
    names = name_folders(folders)
    return make_page(
        [subject for folder, name in zip(folders, names, strict=True) for subject in read_run(folder, name)], served
    )


def name_folders(folders: Sequence[Place]) -> list[str]:
    """The name of each folder; its whole path where another has the same name."""
    names = [folder.resolve().name for folder in folders]
    return [name if names.count(name) == 1 else str(folder) for folder, name in zip(folders, names, strict=True)]


def read_run(folder: Place, name: str) -> list[ReportedSubject]:
    """The models and tasks of a run, finished or growing.

    A writer may replace files while they are read here, so a folder that does not fit its manifest is read again.
    """
    for _ in range(N_TRIES - 1):
        try:
            return _read_run_once(folder, name)
        except RunError:
            sleep(PAUSE)
    return _read_run_once(folder, name)


def _read_run_once(folder: Place, name: str) -> list[ReportedSubject]:
    run = Run(folder)  # `Run.open` would refuse files of a growing run that are newer than its manifest
    if VERDICT_NAME in run.manifest["files"]:
        return read_subjects(Run.open(folder), name)
    run.restore_measures()
    tables = read_tables(run)
    scores = tables["scores"]
    if not scores.empty:
        tables["estimates"] = compute_estimates(scores, run.manifest["seed"])
    entries = [_make_growing_entry(run, subject, tables) for subject in run.manifest["config"].get("subjects", [])]
    return make_subjects(run, entries, tables, name, is_finished=False)


def _make_growing_entry(run: Run, subject: Mapping[str, str], tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """What an entry of verdict.json holds, with counts so far and without a word and its intervals."""
    model, task = subject["model"], subject["task"]
    scores = tables["scores"]
    done = scores[(scores["model"] == model) & (scores["task"] == task)]["question"].nunique()
    n_planned = run.manifest["config"].get("n")
    words = f"{done}{'' if n_planned is None else f' of {n_planned}'} questions are scored so far."
    entry: dict[str, Any] = {"model": model, "task": task, "truth": None, "gates": [], "cells": {}, "measures": {}}
    if done:
        [entry] = judge_subjects(tables, [(model, task, None)], Criteria())
    without = {"low": None, "high": None, "p_value": None, "example": None}
    gates = [
        {**gate, **without, "status": gate["status"] if gate["status"].startswith("not ") else "so far"}
        for gate in entry["gates"]
    ]
    unknown = {"verdict": GROWING, "reasons": [words], "questions_needed": None, "strata": None, "kind": ""}
    return {**entry, **unknown, "gates": gates}


def read_version(folders: Sequence[Place]) -> str:
    """A text that changes when one of the runs does."""
    digest = sha256()
    for folder in folders:
        if is_address(folder):  # each file that is written there enters the manifest
            digest.update(read_content(folder / MANIFEST_NAME))
            continue
        for name in (MANIFEST_NAME, VERDICT_NAME, REPORT_NAME):
            try:
                stat = (folder / name).stat()
                state = f"{stat.st_mtime_ns} {stat.st_size}"
            except OSError:
                state = "missing"
            digest.update(f"{folder / name} {state}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
