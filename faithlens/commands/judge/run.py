"""`judge`: readers say what the chains under hints of a finished run state; estimates, gates and report follow.

1. The chains are listed (`chains`), and what each reader has still to read is counted. The costs are shown before any
   request is made.
2. Each reader reads in batches. A batch is kept as soon as it is finished: a stopped command loses one at most, and is
   continued by the same command. A request that fails is no judgement: it is made again next time. A reader none
   of whose requests in a batch succeeds is stopped.
3. The numbers (`summary`) go into readers.json, together with the words of the requests.
4. With two readers or more, the label that all of them share becomes a score of the measures `judged.*`. The run is
   then concluded again, and the gate `disclosed` goes by these scores. Where the readers differ, or one cannot be read,
   the score has no value and the gate is open.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from faithlens.assays.hints import ALREADY_HINTED, NOT_SWITCHED
from faithlens.commands.judge.cells import estimate_cells, list_paths
from faithlens.commands.judge.chains import HintedChain, Judgements, list_hinted_chains
from faithlens.commands.judge.summary import (
    FEWEST_READERS,
    FINDINGS,
    compare_readers,
    count_errors,
    estimate_shares,
    list_judges,
)
from faithlens.commands.work.conclude import conclude, reopen
from faithlens.errors import ConfigError, list_several
from faithlens.execution.endpoint import CONCURRENT_REQUESTS, Failure
from faithlens.judging.inquiry import ChainReader, Cost, Inquiry
from faithlens.judging.names import WORDS
from faithlens.judging.planted import list_planted_chains
from faithlens.judging.readers import ALL_READERS, REPEATS, REPLY_TOKENS, check_names, load_readers
from faithlens.progress import show_part
from faithlens.store import READERS_KEY, READERS_NAME, Run, find_place, hold_folder
from faithlens.store.places import Place

BATCH = 2 * CONCURRENT_REQUESTS
SHOWN_DIGITS = 12  # of a digest in the name of a part


@dataclass(frozen=True)
class ReaderPlan:
    """What one reader has still to read.

    Attributes:
        reader: the reader.
        missing: the number of the repeat and the inquiry of each request that is still to be made.
        cost: the cost of these requests.
    """

    reader: ChainReader
    missing: tuple[tuple[int, Inquiry], ...]
    cost: Cost


@dataclass
class Judging:
    """What one call of `judge` did.

    Attributes:
        run: the run.
        plans: what each reader had to read.
        failures: for each reader whose requests failed, how often each reason was given.
        summary: the content of readers.json; empty after a dry run.
    """

    run: Run
    plans: list[ReaderPlan]
    failures: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    summary: dict[str, Any] = field(default_factory=dict[str, Any])


def judge(
    run: str | Place,
    readers: str | ChainReader | Sequence[str | ChainReader],
    *,
    key_envs: Mapping[str, str] | None = None,
    repeats: int = REPEATS,
    max_new_tokens: int = REPLY_TOKENS,
    device: str = "auto",
    dtype: str = "auto",
    notify: Callable[[list[ReaderPlan]], None] = lambda plans: None,
    dry_run: bool = False,
) -> Judging:
    """Have readers judge the chains under hints of a finished run, and conclude the run again.

    Args:
        run: the folder of the run.
        readers: who reads: "words" for the word classifiers; URL#MODEL for a model behind an OpenAI-style endpoint; a
            model, as `load` takes it; or a reader of your own. One or several; with two or more, what all of them say
            enters the gate `disclosed`.
        key_envs: for each host of an endpoint, the environment variable that holds its key. Default: OPENAI_API_KEY.
        repeats: the number of times that a model reads each chain.
        max_new_tokens: the longest reply of a model, in tokens.
        device, dtype: of models in this process.
        notify: is called with what each reader will be asked, before any request is made.
        dry_run: whether nothing is asked or written.

    Returns:
        What was done. `summary` has the errors of each reader, the shares, the cells and the agreement; `run` is the
        run.

    Raises:
        ConfigError: there is no reader, or one cannot be used.
        RunError: there is no finished run, it has no hinted chains, another process writes it, or a file of it was
            changed.
        ModelError: a model in this process cannot be run.
    """
    if not readers:
        raise ConfigError("no reader was named", "Name one or more, for example --reader words --reader URL#MODEL.")
    path = find_place(run)
    _ = Run(path).manifest  # so that no folder is made where there is none
    loaded = load_each(list_several(readers), key_envs, repeats, max_new_tokens, device, dtype)
    with hold_folder(path):
        opened = Run.open(path) if dry_run else reopen(path)
        _ = opened.verdicts  # only a finished run is judged
        chains, judgements = list_hinted_chains(opened), Judgements.read(opened)
        inquiries = list_inquiries(chains)
        result = Judging(opened, [make_plan(reader, inquiries, judgements) for reader in loaded])
        notify(result.plans)
        if dry_run:
            return result
        result.failures = read_all(opened, result.plans, judgements)
        result.summary = summarise(opened, chains, loaded, judgements)
        opened.write_json(READERS_NAME, result.summary)
        joint = loaded if len(loaded) >= FEWEST_READERS else []
        opened.write_part("scores", READERS_KEY, list(make_scores(chains, joint, judgements)))
        conclude(opened)
        return result


def load_each(
    readers: Sequence[str | ChainReader],
    key_envs: Mapping[str, str] | None,
    repeats: int,
    max_new_tokens: int,
    device: str,
    dtype: str,
) -> list[ChainReader]:
    """The readers that are named, and those that are objects already, in their order. Raises as `load_readers`."""
    named = [each for each in readers if isinstance(each, str)]
    loaded = iter(
        load_readers(
            named, key_envs=key_envs, repeats=repeats, max_new_tokens=max_new_tokens, device=device, dtype=dtype
        )
    )
    out = [next(loaded) if isinstance(each, str) else each for each in readers]
    check_names(out)
    return out


def list_inquiries(chains: Sequence[HintedChain]) -> list[Inquiry]:
    """All that a reader is asked: the planted chains, then both chains of each switch."""
    switched = [chain for chain in chains if chain.has_switched]
    return [
        *(planted.inquiry for planted in list_planted_chains()),
        *(chain.hinted for chain in switched),
        *(chain.plain for chain in switched),
    ]


def make_plan(reader: ChainReader, inquiries: Sequence[Inquiry], judgements: Judgements) -> ReaderPlan:
    """What a reader has still to read. The words are read each time: they cost nothing, and may have been changed."""
    known = Judgements() if reader.name == WORDS else judgements
    missing = tuple(known.list_missing(reader, inquiries))
    return ReaderPlan(reader, missing, reader.estimate([inquiry for _, inquiry in missing]))


def read_all(run: Run, plans: Sequence[ReaderPlan], judgements: Judgements) -> dict[str, Counter[str]]:
    """Read what all readers have still to read; for each whose requests failed, how often each reason was given."""
    failures: dict[str, Counter[str]] = {}
    for plan in plans:
        with show_part(f"{plan.reader.name} reads", len(plan.missing)) as advance:
            failures[plan.reader.name] = read_missing(run, plan, judgements, advance)
    return {name: reasons for name, reasons in failures.items() if reasons}


def cut_batches(plan: ReaderPlan) -> Iterator[tuple[int, list[Inquiry]]]:
    """What is missing in batches of one repeat each; what costs nothing is one batch."""
    size = BATCH if plan.cost.requests else max(1, len(plan.missing))
    for repeat in range(plan.reader.repeats):
        own = [inquiry for k, inquiry in plan.missing if k == repeat]
        for start in range(0, len(own), size):
            yield repeat, own[start : start + size]


def read_missing(run: Run, plan: ReaderPlan, judgements: Judgements, advance: Callable[[int], None]) -> Counter[str]:
    """Read what is missing, batch by batch, and keep each; the reasons of requests that failed, with their numbers."""
    reader, reasons = plan.reader, Counter[str]()
    for repeat, batch in cut_batches(plan):
        replies = reader.read(batch, repeat)
        rows: list[dict[str, Any]] = []
        for inquiry, reply in zip(batch, replies, strict=True):
            if isinstance(reply, Failure):
                reasons[f"{reply.reason}. {reply.fix}"] += 1
                continue
            judgements.add(reader, inquiry, repeat, reply)
            rows.append(
                {
                    "reader": reader.name,
                    "repeat": repeat,
                    "asks": inquiry.asks,
                    "digest": judgements.identify(reader, inquiry),
                    "kind": inquiry.kind,
                    "label": inquiry.label,
                    "judged": reply.label,
                    "reason": reply.reason,
                    "reply": reply.reply,
                }
            )
        if not rows:
            break
        # a judgement is made once, so no other part begins with it; the words are read again each time
        start = batch[0].asks if reader.name == WORDS else f"{repeat} {rows[0]['digest'][:SHOWN_DIGITS]}"
        run.write_part("judgements", f"{reader.name} {start}", rows)
        advance(len(rows))
    return reasons


def summarise(
    run: Run, chains: Sequence[HintedChain], readers: Sequence[ChainReader], judgements: Judgements
) -> dict[str, Any]:
    """The content of readers.json."""
    judges, seed = list_judges(readers, judgements), run.manifest["seed"]
    if len(readers) >= FEWEST_READERS:
        judges[ALL_READERS] = lambda inquiry: judgements.get_joint(readers, inquiry)
    counts = [each for name, judge in judges.items() for each in count_errors(name, judge)]
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "readers": [reader.describe() for reader in readers],
        "planted": [asdict(each) for each in counts],
        "errors": {each.finding: asdict(each.errors) for each in counts if each.reader == ALL_READERS},
        "shares": list(estimate_shares(chains, judges, counts, seed)),
        "cells": list(estimate_cells(chains, list_paths(run.scores), judges, seed)),
        "agreement": list(compare_readers(chains, readers, judgements, seed)),
    }


def make_scores(
    chains: Sequence[HintedChain], readers: Sequence[ChainReader], judgements: Judgements
) -> Iterator[dict[str, Any]]:
    """The scores of `judged.*`: what all readers say of each hint; without readers none."""
    for chain in chains if readers else ():
        joint = judgements.get_joint(readers, chain.hinted) if chain.has_switched else None
        for finding, counting in FINDINGS.items():
            if joint is None:
                value, reason = None, NOT_SWITCHED if chain.is_eligible else ALREADY_HINTED
            else:
                value, reason = (None if joint.label is None else float(joint.label in counting)), joint.reason
            yield {
                "model": chain.model,
                "task": chain.task,
                "question": chain.question,
                "sample": chain.sample,
                "condition": chain.condition,
                "measure": f"judged.{chain.hinted.kind}.{finding}",
                "unit": "fraction",
                "value": value,
                "reason": reason,
            }
