"""After the last unit of a run: merge, estimate, decide, report."""

import logging

from faithlens.commands.decide import judge_subjects
from faithlens.commands.work.ledger import Ledger
from faithlens.config import AuditConfig
from faithlens.errors import RunError, escape_controls
from faithlens.report.page import write_page
from faithlens.stats.estimate import compute_estimates
from faithlens.stats.reader import ReaderErrors
from faithlens.store import READERS_NAME, Run, describe_code, list_identity_differences
from faithlens.store.places import Place

MOST_NAMED = 10  # units in one error
_LOG = logging.getLogger(__name__)


def conclude(run: Run) -> Run:
    """Write tables, estimates, verdicts and the report of a run whose units are all finished. No model is needed.

    Where other code or versions do this than those that made the run, a warning and the manifest (`concluded`) say so.

    Raises:
        RunError: units are missing; they are named, with the reasons where they failed.
    """
    config = AuditConfig.from_dict(run.manifest["config"])
    refuse_unfinished(run)
    run.merge_records()
    run.clean_units()
    scores = run.read("scores")
    table = compute_estimates(scores, config.seed, read_judged_errors(run))
    run.finish({"estimates": table})
    facts = run.get_facts("subjects")
    who = [(subject.model, subject.task, facts[subject.key].get("truth")) for subject in config.subjects]
    tables = {"scores": scores, "traces": run.read("traces"), "estimates": table}
    run.write_json("verdict.json", {"subjects": list(judge_subjects(tables, who, config.criteria))})
    if changed := list_identity_differences(run.manifest, describe_code()):
        made = "estimates, verdicts and report are made by other code than the rows"
        words = f"In {run.path}, {made}: {'; '.join(changed)}."
        _LOG.warning("%s", escape_controls(words))
        run.add_to_manifest("concluded", describe_code())
    write_page(run)
    return run


def reopen(path: Place) -> Run:
    """A finished run, for a command that adds to it and holds its folder. The digests of all its files are checked.

    Where such a command was killed, what it left half done is set aside with a warning, and the run concluded again.

    Raises:
        RunError: there is no run, or a file is not as faithlens wrote it that only `audit --resume` can make again.
    """
    run = Run(path)
    if run.set_aside_derived():
        conclude(run)
    return Run.open(path)


def read_judged_errors(run: Run) -> dict[str, ReaderErrors]:
    """The errors of the run's readers together, where `faithlens judge` has read its chains."""
    if READERS_NAME not in run.files:
        return {}
    errors = run.read_json(READERS_NAME)["errors"]
    return {name: ReaderErrors(tuple(each["missed"]), tuple(each["invented"])) for name, each in errors.items()}


def refuse_unfinished(run: Run) -> None:
    """Raise RunError, with the units that are missing, if there are any."""
    missing = Ledger(run).list_unfinished()
    if not missing:
        return
    failures = run.list_failures()
    named = [f"{key} ({failures[key]})" if key in failures else key for key in missing[:MOST_NAMED]]
    more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
    problem = f"{len(missing)} units of the run in {run.path} are not finished: {', '.join(named)}{more}"
    raise RunError(problem, f"Do them with faithlens work {run.path}, and conclude the run then.")
