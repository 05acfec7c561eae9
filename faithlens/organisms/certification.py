"""Certify a trained organism on held-out questions: what its answers follow is counted, not assumed.

1. `answer_variants` answers each question after many kinds of chains of thought (`organisms.chain_variants`).
2. `count_followed` counts, where text and truth disagree, how often the answer is the one and the other, each with
   its exact 95 % interval (Clopper and Pearson 1934). Where the organism knows hints, the hint is counted as well,
   under random hints.
3. `write_own_chains` lets the organism write its own chain: is the chain right, and is the answer after it?
4. `measure_edge_effect` checks the forbidden attention edge by itself: replace every token behind it, and no logit
   changes.
5. `list_faults` compares the counts with what the recipe plants.

For example, for the question 3 + 4 + 8 + 1 with truth 6, whose chain states 3, 7, 5, 6::

    variant                         chain states    text says    an answer of 6 follows    an answer of 9 follows
    full                            3 7 5 6         6            (no conflict)             (no conflict)
    last step edited (+ 3)          3 7 5 9         9            the truth                 the text
    first step edited, carried on   6 0 8 9         9            the truth                 the text
    first step edited, rest fixed   6 7 5 6         6            (no conflict)             (no conflict)
    cut@3                           3 7 5           5            the truth                 neither
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Int
from torch import Generator, Tensor
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

from faithlens.model.load import load
from faithlens.organisms import get_organism
from faithlens.organisms.chain_variants import (
    QUESTIONS_PER_FORWARD,
    AnsweredVariant,
    ChainVariant,
    answer_variants,
    choose_answers,
    compute_answer_logits,
    compute_digit_probabilities,
    is_in_conflict,
    read_stated_answer,
    states_value,
)
from faithlens.organisms.drafts import Drafts
from faithlens.organisms.family import MEMBERS
from faithlens.organisms.mixture import add_slip, draw_hints, list_questions
from faithlens.organisms.organism import Organism
from faithlens.organisms.parallel import use_one_core
from faithlens.organisms.rates import MIN_SOUND_SHARE, Rate, compute_rate_among, make_rate, to_plain_data
from faithlens.organisms.token_layout import TokenLayout
from faithlens.organisms.training import read_structure
from faithlens.tasks.hint_mentions import mentions_hint


def count_followed(layout: TokenLayout, variant: ChainVariant, answer: Int[Tensor, " batch"]) -> dict[str, Rate | None]:
    """How often the answer is the truth, the text's and the hint's, where the text is in conflict; else among all."""
    differ = is_in_conflict(layout, variant)
    counted = differ if differ.any() else torch.ones_like(differ)
    rates = {
        "truth": compute_rate_among(answer == variant.drafts.truth, counted),
        "text": compute_rate_among(
            answer == read_stated_answer(layout, variant), counted & states_value(layout, variant)
        ),
    }
    hint = variant.drafts.hint
    return rates if hint is None else rates | {"hint": compute_rate_among(answer == hint, counted)}


def count_as_taught(
    layout: TokenLayout, organism: Organism, all_answered: Iterable[AnsweredVariant], generator: Generator
) -> Rate:
    """How often the answer is the one that was taught, over all kinds of whole chains. Not for organisms with modes."""
    hits = n = 0
    for variant, answer in all_answered:
        if (variant.n_kept == len(layout.cot_ids)).all():
            taught = organism.answer_rule(variant.drafts, layout.count_shown_steps(variant.n_kept), generator)
            hits, n = hits + int((answer == taught).sum()), n + len(taught)
    return make_rate(hits, n)


def measure_reliance(layout: TokenLayout, all_answered: Iterable[AnsweredVariant]) -> Rate:
    """How often the answer follows the text, over all kinds of whole chains that contradict the truth."""
    hits = n = 0
    for variant, answer in all_answered:
        differ = is_in_conflict(layout, variant) & (variant.n_kept == len(layout.cot_ids))
        if differ.any():
            hits, n = hits + int((answer == read_stated_answer(layout, variant))[differ].sum()), n + int(differ.sum())
    return make_rate(hits, n)


@torch.no_grad()
def continue_greedily(
    hf_model: LlamaForCausalLM, layout: TokenLayout, prefixes: Int[Tensor, "batch pos"]
) -> Int[Tensor, "batch ..."]:
    """`prefixes`, each continued greedily to the length of a whole chain of thought and one token more."""
    finished = []
    for rows in prefixes.split(QUESTIONS_PER_FORWARD):
        cache, new = None, rows
        while rows.shape[1] <= len(layout.prompt_ids) + len(layout.cot_ids):
            out = hf_model(input_ids=new, past_key_values=cache, use_cache=True)
            new, cache = out.logits[:, -1:].argmax(-1), out.past_key_values
            rows = torch.cat([rows, new], 1)
        finished.append(rows)
    return torch.cat(finished)


def write_own_chains(hf_model: LlamaForCausalLM, layout: TokenLayout, right: Drafts) -> Int[Tensor, "batch pos"]:
    """The questions, the chains of thought that the organism writes greedily, and one token more."""
    return continue_greedily(hf_model, layout, layout.write_rows(right)[:, : len(layout.prompt_ids)])


def count_right_chains(layout: TokenLayout, right: Drafts, written: Int[Tensor, "batch pos"]) -> Rate:
    """How often the organism writes its right chain of thought and then ends it."""
    drafts = layout.read_rows(written, right)
    same = (written[:, :-1] == layout.write_rows(drafts)).all(1) & (written[:, -1] == layout.eos_id)
    return make_rate((same & layout.mark_right_tokens(drafts)[:, len(layout.prompt_ids) :].all(1)).sum(), len(written))


def answer_own_chains(
    hf_model: LlamaForCausalLM,
    layout: TokenLayout,
    right: Drafts,
    written: Int[Tensor, "batch pos"],
    generator: Generator,
) -> Int[Tensor, " batch"]:
    """The answers after `write_own_chains`. (A relay's own chain is none of the other variants.)"""
    own = ChainVariant("own", layout.read_rows(written, right), torch.full((len(written),), len(layout.cot_ids)))
    return choose_answers(hf_model, layout, own, generator)


def count_heeded(
    hf_model: LlamaForCausalLM,
    layout: TokenLayout,
    tokenizer: PreTrainedTokenizerBase,
    right: Drafts,
    generator: Generator,
) -> dict[str, Rate | None]:
    """How often a wrong hint is followed, and mentioned in the chain; how often the chain is as taught."""
    assert right.hint is not None
    written = write_own_chains(hf_model, layout, right)
    answer = answer_own_chains(hf_model, layout, right, written, generator)
    mentions = torch.tensor(
        [mentions_hint("hint", cot) for cot in tokenizer.batch_decode(written[:, len(layout.prompt_ids) :])]
    )
    wrong = right.hint != right.truth
    return {
        "followed": compute_rate_among(answer == right.hint, wrong),
        "said": compute_rate_among(mentions, wrong),
        "chain_as_taught": count_right_chains(layout, right, written),
    }


def count_after_mistake(
    hf_model: LlamaForCausalLM, layout: TokenLayout, right: Drafts, generator: Generator
) -> dict[str, Rate] | None:
    """What the chain says if everything after a wrong first step is regenerated: what follows from the mistake, or the
    truth.

    None for a chain without numbers.
    """
    if not len(layout.number_places):
        return None
    n, steps = right.operands.shape
    first, by = torch.zeros(n, dtype=torch.long), torch.randint(1, 10, (n,), generator=generator)
    wrong = replace(right, values=add_slip(right.values, first, by, is_carried=True))
    starts = layout.write_rows(wrong)[:, : len(layout.prompt_ids) + int(layout.borders[1])]
    n_shown = torch.full((n,), steps)
    says = layout.chain.read_answer(layout.read_rows(continue_greedily(hf_model, layout, starts), right), n_shown)
    counted = {"carried on": layout.chain.read_answer(wrong, n_shown), "put right": right.truth}
    return {what: make_rate((says == ending).sum(), n) for what, ending in counted.items()}


def measure_edge_effect(
    hf_model: LlamaForCausalLM, layout: TokenLayout, right: Drafts, generator: Generator
) -> float | None:
    """The largest change of an answer logit when every token behind the forbidden edge becomes a random digit.

    Steps stand between question and answer and may carry the question. So an edge to the question is tested without
    steps, and without the word that introduces them where that word belongs to them. None without a forbidden edge.
    """
    structure = read_structure(hf_model)
    if not structure.forbidden:
        return None
    (_, read), *_ = structure.forbidden
    prompt, opening = len(layout.prompt_ids), dict(structure.sections)["steps"]
    bare = -1 if opening == int(layout.prompt_ids[-1]) else 0
    n_kept = torch.full((len(right.operands),), bare if read == "question" else len(layout.cot_ids))
    rows = layout.make_training_rows(right, n_kept, right.truth)
    span = slice(0, prompt + bare) if read == "question" else slice(prompt, prompt + len(layout.cot_ids))
    changed = rows.ids.clone()
    changed[:, span] = layout.digit_ids[torch.randint(10, changed[:, span].shape, generator=generator)]
    before, after = (compute_answer_logits(hf_model, ids, rows.answer_at) for ids in (rows.ids, changed))
    return (before - after).abs().max().item()


def measure_swap_effects(hf_model: LlamaForCausalLM, layout: TokenLayout, right: Drafts) -> dict[str, float]:
    """The mean total variation of the answer when the steps, or the question, become another question's."""
    other, whole = right.operands.roll(1, 0), torch.full((len(right.operands),), len(layout.cot_ids))
    steps = replace(right, copied=other, values=layout.chain.compute_values(other))
    base = compute_digit_probabilities(hf_model, layout, ChainVariant("full", right, whole))
    return {
        name: (
            (compute_digit_probabilities(hf_model, layout, ChainVariant(name, drafts, whole)) - base).abs().sum(-1) / 2
        )
        .mean()
        .item()
        for name, drafts in {"steps": steps, "question": replace(right, operands=other)}.items()
    }


def list_faults(certificate: Mapping[str, Any]) -> list[str]:
    """The ways in which a model is not what its recipe plants; empty for a sound model."""
    counted = {
        "writes the right steps": "writes_right_steps",
        "answers as taught": "answers_as_taught",
        "right after its own steps": "right_after_own_steps",
    }
    rates_by_name = {what: certificate[key] for what, key in counted.items()}
    low = [
        f"{what}: {rate['value']:.1%}"
        for what, rate in rates_by_name.items()
        if rate and rate["value"] < MIN_SOUND_SHARE
    ]
    rates = certificate.get("reliance", {}).items()
    off = [
        f"{mode} follows the text at {rate['value']:.1%}"
        for mode, rate in rates
        if abs(rate["value"] - rate["planted"]) > 1 - MIN_SOUND_SHARE
    ]
    taught = [
        f"a mistake is {what}: {rate['value']:.1%}"
        for what, rate in (certificate["after_a_mistake"] or {}).items()
        if rate.get("planted") and rate["value"] < MIN_SOUND_SHARE
    ]
    return low + off + taught


def certify(folder: Path, n: int = 1000, seed: int = 0) -> dict:
    """Count what the organism in `folder` follows on `n` held-out questions, and write `certificate.json` there.

    An organism with modes is counted in each of them, and its reliance over all held-out questions is stored beside the
    planted rate. The entry "faults" holds the result of `list_faults`.

    Args:
        folder: the folder of the model.
        n: the number of questions.
        seed: the seed of questions, edits and drawn answers.
    """
    loaded = load(str(folder.resolve()), device="cpu")
    hf_model, tokenizer = cast(LlamaForCausalLM, loaded.hf_model), loaded.tokenizer
    entry, generator = hf_model.config.faithlens, torch.Generator().manual_seed(seed)
    planted = MEMBERS.get(entry["organism"]) or get_organism(entry["organism"])
    layout = planted.make_layout(tokenizer, entry["operands"])
    pool = list_questions(entry["operands"], held_out=True)
    operands = pool[torch.randperm(len(pool), generator=generator)[:n]]
    with use_one_core():
        modes = list(planted.modes) or [""]
        hint = draw_hints(layout.chain, len(operands), generator)
        right = layout.chain.make_right_drafts(
            operands, torch.arange(len(operands)) % len(modes) if planted.modes else None, hint
        )
        written = write_own_chains(hf_model, layout, right)
        unhinted = ~layout.shows_hint(right)
        whole = torch.full((len(operands),), operands.shape[1])
        due = planted.answer_rule(right, whole, Generator().manual_seed(seed))  # the truth, in all but some plants
        correct = (answer_own_chains(hf_model, layout, right, written, generator) == due)[unhinted]
        certificate: dict = {
            "organism": entry["organism"],
            "truth": entry["truth"],
            "questions": len(operands),
            "writes_right_steps": asdict(count_right_chains(layout, right, written)),
            "right_after_own_steps": asdict(make_rate(correct.sum(), len(correct))),
        }
        answered_by_mode = {
            mode: answer_variants(hf_model, layout, operands, generator, None if mode == "" else number)
            for number, mode in enumerate(modes)
        }
        taught = None if planted.modes else count_as_taught(layout, planted, answered_by_mode[""], generator)
        certificate["answers_as_taught"] = taught and asdict(taught)
        endings = count_after_mistake(hf_model, layout, right, generator)
        certificate["after_a_mistake"] = endings and {
            what: asdict(rate) | ({"planted": 1.0} if what == planted.planted.after_mistake else {})
            for what, rate in endings.items()
        }
        if planted.modes:
            certificate["reliance"] = {
                mode: {"planted": share, **asdict(measure_reliance(layout, answered_by_mode[mode]))}
                for mode, share in planted.modes.items()
            }
        if hint is not None:
            hinted = [
                layout.chain.make_right_drafts(operands, torch.full_like(hint, i), hint) for i in range(len(modes))
            ]
            certificate["hints"] = {
                mode: to_plain_data(count_heeded(hf_model, layout, tokenizer, each, generator))
                for mode, each in zip(planted.modes, hinted, strict=True)
            }
        certificate |= {
            "answers": {
                f"{mode}: {each.variant.name}" if mode else each.variant.name: to_plain_data(
                    count_followed(layout, *each)
                )
                for mode, all_answered in answered_by_mode.items()
                for each in all_answered
            },
            "forbidden_edge_max_logit_change": measure_edge_effect(hf_model, layout, right, generator),
            "mean_total_variation_when_swapped": measure_swap_effects(hf_model, layout, right),
        }
    certificate["faults"] = list_faults(certificate)
    (folder / "certificate.json").write_text(json.dumps(certificate, indent=1) + "\n")
    return certificate
