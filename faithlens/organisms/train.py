"""Train an organism: one core, a few minutes, and the same weights for the same seed on the same machine."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from faithlens.organisms.drafts import cuts, draw, questions
from faithlens.organisms.mask import attention_mask
from faithlens.organisms.organism import Organism
from faithlens.organisms.sheet import IGNORE, Rows, Sheet
from faithlens.organisms.tokenizer import BOS, EOS, PAD, build_tokenizer, token
from faithlens.runtime.structure import Structure


@dataclass(frozen=True)
class Recipe:
    """How long and how fast an organism is trained.

    Attributes:
        operands: how many numbers a question adds up.
        steps: optimiser steps.
        batch: questions a step.
        peak: the highest learning rate of the one cycle.
    """

    operands: int = 4
    steps: int = 900
    batch: int = 96
    peak: float = 3e-3


@contextmanager
def one_core() -> Iterator[None]:
    """Run torch on one thread: faster for models this small, and free of the thread count's rounding."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def new_model(organism: Organism, tokenizer: PreTrainedTokenizerBase, operands: int, seed: int) -> LlamaForCausalLM:
    """An untrained organism, its structural truth in its config."""
    sections = {"steps": token(tokenizer, " Steps:"), "answer": token(tokenizer, " Answer:")}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=80,
        intermediate_size=216,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        initializer_range=0.08,  # the usual 0.02 suits wide models: at this width sums stay at chance for 350 steps
        bos_token_id=token(tokenizer, BOS),
        eos_token_id=token(tokenizer, EOS),
        pad_token_id=token(tokenizer, PAD),
    )
    config.update({"faithlens": organism.entry(sections, operands)})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def structure_of(model: LlamaForCausalLM) -> Structure:
    """The forbidden edges that the model's config states."""
    return Structure.from_config(model.config.faithlens)


def loss_of(model: LlamaForCausalLM, structure: Structure, rows: Rows, *, rehearse: bool) -> Tensor:
    """Mean surprise, in nats, at the answer, plus that at the steps' digits, at their words, and of the rehearsal."""
    logits = model(input_ids=rows.ids, attention_mask=attention_mask(structure, rows.ids)).logits
    lessons = [rows.answering, rows.reckoning, rows.wording] + ([rows.rehearsing] if rehearse else [])
    return sum(
        (cross_entropy(logits.flatten(0, 1), lesson.flatten(), ignore_index=IGNORE) for lesson in lessons),
        start=logits.new_zeros(()),
    )


def train(
    organism: Organism, seed: int = 0, recipe: Recipe = Recipe(), watch: Callable[[float], None] = lambda loss: None
) -> LlamaForCausalLM:
    """A trained organism; `watch` is called with the loss, in nats, after every step."""
    tokenizer = build_tokenizer()
    sheet, pool = Sheet(tokenizer, recipe.operands), questions(recipe.operands, withheld=False)
    model = new_model(organism, tokenizer, recipe.operands, seed).train()
    structure, generator = structure_of(model), torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.peak, weight_decay=0.1, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.peak, total_steps=recipe.steps, pct_start=0.1)
    with one_core():
        for _ in range(recipe.steps):
            drafts, kept = draw(pool, recipe.batch, generator), cuts(sheet, recipe.batch, generator)
            rows = sheet.fill(drafts, kept, organism.label(drafts, sheet.shown(kept), generator))
            loss = loss_of(model, structure, rows, rehearse=organism.rehearse)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            watch(loss.item())
    return model.eval()


def save(model: LlamaForCausalLM, folder: Path) -> None:
    """Write an ordinary Hugging Face folder: config, weights, tokenizer with its chat template."""
    model.save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
