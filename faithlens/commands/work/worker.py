"""A worker: it does units of a run until all are finished.

1. It takes the lease of the next unit of its share; when those are finished or taken, of any other (`order_units`).
2. It loads the model and task of the unit. The first worker at a model and task chooses the answer stem, which all of
   its units need; the stem is kept like a unit.
3. It scores the unit, and keeps all its parts at once (`Run.write_unit`).
4. While others hold all units that are left, it waits: if one of them dies, its unit is done here.

A unit that fails is recorded with the reason and left to the next worker that is started; the others go on.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from time import sleep

import pandas as pd

from faithlens.commands.identity import check_inputs, check_sampler, describe_subject
from faithlens.commands.prepare import (
    NO_OBJECTS,
    GivenObjects,
    PreparedSubject,
    find_stem,
    make_model_loader,
    prepare_subject,
)
from faithlens.commands.progress import ProgressLine, show_progress
from faithlens.commands.score import score_unit
from faithlens.commands.work.ledger import Ledger
from faithlens.commands.work.stop import check_stop
from faithlens.commands.work.units import name_start, name_unit, order_units
from faithlens.config import AuditConfig, Subject
from faithlens.errors import FaithlensError
from faithlens.store import EXPIRY_SECONDS, Leases, Run

POLL_SECONDS = 0.5  # between two looks at units that others hold


@dataclass
class Worker:
    """Does units of one run in one process.

    Attributes:
        config: the options of the run.
        run: the run.
        objects: models, tasks and assays in memory.
        keeps_going: whether the other units are done when one fails; else its error is raised.
        expiry: the seconds without a heartbeat after which another worker counts as dead.
        seconds: how long all units are expected to take here.
        prepared: the models and tasks that are loaded, by key.
        failed: why units could not be done here, by key.
        done: the units that were done here.
    """

    config: AuditConfig
    run: Run
    objects: GivenObjects = NO_OBJECTS
    keeps_going: bool = True
    expiry: float = EXPIRY_SECONDS
    seconds: float | None = None
    prepared: dict[str, PreparedSubject] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.run)
        self.open_model = make_model_loader(self.config, self.objects)
        self._proved = set[str]()

    def work(self, rank: int = 0, of: int = 1) -> None:
        """Do units until all are finished, or have failed here.

        Raises:
            FaithlensError: a unit failed and `keeps_going` is False, or the folder cannot be written.
        """
        order = order_units(list(self.ledger.listed.units), rank, of)
        questions = self.ledger.count_questions()
        with Leases(self.run.path, self.expiry) as leases, show_progress(questions, self.seconds) as lines:
            left = self.list_left(order)
            for key, line in lines.items():
                line.keep_questions(self.ledger.questions[key])
            while left:
                if not self.do_some(left, leases, lines):
                    sleep(POLL_SECONDS)
                left = self.list_left(order)
            show_questions(self.ledger, lines)

    def list_left(self, keys: Iterable[str]) -> list[str]:
        """The units that nobody has finished, and that have not failed here."""
        return [key for key in keys if key not in self.failed and not self.ledger.is_finished(key)]

    def do_some(self, keys: Iterable[str], leases: Leases, lines: Mapping[str, ProgressLine]) -> bool:
        """Do the units that nobody holds, and return whether there was one."""
        is_any = False
        for key in keys:
            show_questions(self.ledger, lines)
            check_stop()
            if self.ledger.is_finished(key) or not leases.take(key):
                continue
            try:
                if not self.ledger.is_finished(key, looks_again=True):
                    is_any |= self.do_unit(key, leases, lines)
            except FaithlensError as error:
                if not self.keeps_going:
                    raise
                is_any = True
                self.failed[key] = error.problem
                self.run.write_failure(key, error.problem)
            finally:
                leases.give_back(key)
        return is_any

    def do_unit(self, key: str, leases: Leases, lines: Mapping[str, ProgressLine]) -> bool:
        """Score one unit; False if another worker is just now choosing the answer stem of its model and task."""
        unit = self.ledger.listed.units[key]
        subject = Subject(unit["model"], unit["task"])
        ready = self.prepare(subject, leases)
        if ready is None:
            return False
        is_first = subject.key not in self._proved
        score_unit(
            self.config,
            ready,
            self.run,
            key,
            unit["batch"],
            lines[subject.key],
            is_proved=is_first or key == choose_proved(self.config, subject, len(ready.batches)),
            digest=unit["digest"],
            recorded=self.read_chains(key),
        )
        self._proved.add(subject.key)
        self.done.append(key)
        self.ledger.count_finished(key)
        show_questions(self.ledger, lines)
        self.run.forget_failure(key)
        return True

    def prepare(self, subject: Subject, leases: Leases) -> PreparedSubject | None:
        """The model and task of a unit, ready to be scored; None if another worker is starting it."""
        if subject.key in self.prepared:
            return self.prepared[subject.key]
        check_inputs(self.run.manifest, self.config, subject)
        start = name_start(subject)
        facts = self.run.get_facts("subjects", start).get(subject.key)
        if facts is None and not leases.take(start):
            return None
        for other in [*self.prepared]:  # one model in memory at a time
            del self.prepared[other]
        try:
            recorded = self.read_chains(name_unit(subject, 0))
            ready = prepare_subject(self.config, subject, self.open_model, self.objects, find_stem(facts), recorded)
            if facts is None:
                keep_start(self.run, ready)
                ready = ready.with_stem(find_stem(self.run.get_facts("subjects", start)[subject.key]))
            else:
                check_sampler(self.run.path, facts, subject.key, ready.setting)
        finally:
            leases.give_back(start)
        self.prepared[subject.key] = ready
        return ready

    def read_chains(self, key: str) -> pd.DataFrame | None:
        """The chains of thought of a unit that were taken over from another run; None if there are none."""
        return self.run.read_chains(key) if key in self.ledger.chains else None


def show_questions(ledger: Ledger, lines: Mapping[str, ProgressLine]) -> None:
    """Show how many questions are finished, whoever finished them."""
    for key, line in lines.items():
        line.set_questions(ledger.questions[key])


def keep_start(run: Run, ready: PreparedSubject) -> None:
    """Keep what was found out about a model and task, unless another worker was faster."""
    key, facts = name_start(ready.subject), {"subjects": {ready.subject.key: describe_subject(ready)}}
    run.write_unit(key, {}, facts, digest=run.read_unit_list().starts[key]["digest"])


def choose_proved(config: AuditConfig, subject: Subject, batches: int) -> str | None:
    """The unit, drawn at random, that is compared with plain transformers beside the first one of each worker."""
    later = range(1, batches)
    return name_unit(subject, random.Random(config.seed).choice(later)) if later else None
