"""Work that other runs did already: a new run takes it over, and its rows have the bytes that it would have made.

1. A unit of the other run that has the same key and digest, and is finished, is copied with its facts. Each part is
   compared with its digest on the way.
2. A unit that other assays or edits set apart, but whose chains of thought would be drawn by the same call
   (`work.units`), keeps these chains in ``chains/``. Whoever does the unit reads them and draws none.
3. Where nothing can be taken over, what differs between the runs is named and nothing is written.

For example, a run with 4 units of the assay `mistakes` is there. With ``-n`` twice as large, the new run copies 4 units
and does 4. With the assays `mistakes` and `paraphrase`, it copies none, and takes over the chains of all 4: the
conditions of all assays share packed passes, whose last digits depend on what runs together, so they run again.

A unit for which memory ran out in the other run is done again. So is one with a damaged part, and the reason is said.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from faithlens.commands.work.units import name_start
from faithlens.config import Subject
from faithlens.errors import RunError
from faithlens.store import Run, UnitList, list_identity_differences
from faithlens.store.places import Place

FACTS = ("work", "proofs", "reused")
"""Entries of the manifest to which each unit adds one of its own."""


@dataclass(frozen=True)
class Reusable:
    """What can be taken over from another run.

    Attributes:
        run: the other run.
        starts: what it found out about models and tasks before their first units, by key.
        units: the keys of finished units that the new run has too.
        chains: the keys of finished units that have only their chains of thought in common.
    """

    run: Run
    starts: Mapping[str, Mapping[str, Any]]
    units: tuple[str, ...]
    chains: tuple[str, ...]


def find_reusable(folders: Sequence[Place], manifest: Mapping[str, Any], units: UnitList) -> list[Reusable]:
    """What a new run with this identity and these units can take over from the runs in `folders`.

    Raises:
        RunError: there is no run, it has other units altogether, or none of the common ones is finished.
    """
    return [_match(Run(folder), manifest, units) for folder in folders]


def _match(other: Run, manifest: Mapping[str, Any], units: UnitList) -> Reusable:
    listed, differences = other.read_unit_list(), list_identity_differences(other.manifest, manifest)
    if other.manifest.get("threads") != torch.get_num_threads():
        differences = [f"threads: {other.manifest.get('threads')} in the folder, {torch.get_num_threads()} here"]
        listed = UnitList()
    old = {key: unit for key, unit in listed.units.items() if key in units.units}
    same = [key for key, unit in old.items() if unit["digest"] == units.units[key]["digest"]]
    drawn = [key for key, unit in old.items() if unit["chains"] and unit["chains"] == units.units[key]["chains"]]
    if not same and not drawn:
        problem = f"no work of the run in {other.path} can be taken over: {'; '.join(differences) or 'it has no units'}"
        raise RunError(problem, "Leave out --reuse, or give the options, models and code of that run.")
    finished = other.list_finished_units() - other.get_facts("retried").keys()
    if not finished & {*same, *drawn}:
        problem = f"no unit of the run in {other.path} that could be taken over is finished"
        raise RunError(problem, f"Leave out --reuse, or continue that run: faithlens audit --resume {other.path}")
    facts = other.get_facts("subjects")
    subjects = {(unit["model"], unit["task"]) for unit in old.values()}
    starts = {
        name_start(subject): {"subjects": {subject.key: facts[subject.key]}}
        for subject in (Subject(*names) for names in sorted(subjects))
        if subject.key in facts and listed.starts[name_start(subject)] == units.starts[name_start(subject)]
    }
    return Reusable(
        other,
        starts,
        tuple(key for key in same if key in finished),
        tuple(key for key in drawn if key in finished and key not in same),
    )


def take_over(run: Run, sources: Sequence[Reusable], notify: Callable[[str], None]) -> None:
    """Copy into `run` what it does not have yet; `notify` is called with what was taken over, and what was not.

    Raises:
        RunError: a file of `run` cannot be written.
    """
    listed, finished, drawn = run.read_unit_list(), run.list_finished_units(), run.list_chains()
    for source in sources:
        other, damaged, counts = source.run, list[str](), Counter[str]()
        read = other.open_parts()
        for key, facts in source.starts.items():
            run.write_unit(key, {}, facts, digest=listed.digests[key])
        origin = {"run": str(other.path), "created": other.manifest["created"]}
        entries = {name: other.get_facts(name) for name in FACTS}
        measures = {"measures": own_measures} if (own_measures := other.get_facts("measures")) else {}
        for key in (*source.units, *source.chains):
            is_whole = key in source.units
            tables = listed.tables if is_whole else ("drafts",)
            if key in finished or (not is_whole and key in drawn):
                continue
            try:
                parts = {table: read(table, key) for table in tables}
            except RunError as error:
                damaged.append(f"{key} is done again: {error.problem}.")
                continue
            if is_whole:
                own = {name: {key: each[key]} for name, each in entries.items() if key in each}
                facts = {"reused": {key: origin}, **own, **measures}
                run.keep_parts(key, parts, facts, digest=listed.digests[key])
                finished.add(key)
            else:
                run.keep_chains(key, parts["drafts"])
                drawn.add(key)
            counts["units" if is_whole else "chains"] += 1
        notify("\n".join([_describe(source, counts, len(listed.units)), *damaged]))


def _describe(source: Reusable, counts: Mapping[str, int], total: int) -> str:
    chains = f", and the chains of thought of {counts['chains']} more" if counts["chains"] else ""
    return f"Taken over from {source.run.path}: {counts['units']} of {total} units{chains}."
