"""Train an organism: one core, a few minutes, and the same weights for the same seed on the same machine."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from faithlens.model.structure import Structure
from faithlens.organisms.mixture import draw_drafts, list_questions, make_rows
from faithlens.organisms.organism import Organism, Recipe
from faithlens.organisms.parallel import use_one_core
from faithlens.organisms.structure_mask import make_attention_mask
from faithlens.organisms.token_layout import IGNORE_INDEX, TrainingRows
from faithlens.organisms.tokenizer import BOS, EOS, PAD, build_tokenizer, encode_token
from faithlens.tasks.running_sum import DIGITS

ROWS_PER_PASS = 12  # rows in one forward pass
CIRCLE_TURNS = (1, 5)  # turns of the digits 0 to 9 around each circle


def make_model(organism: Organism, tokenizer: PreTrainedTokenizerBase, recipe: Recipe, seed: int) -> LlamaForCausalLM:
    """An untrained organism, with its forbidden edges in its config."""
    sections = {"steps": encode_token(tokenizer, organism.opening), "answer": encode_token(tokenizer, " Answer:")}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.width,
        intermediate_size=27 * recipe.width // 10,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        initializer_range=0.08,  # with the usual 0.02, sums stay at chance for 350 steps at this width
        bos_token_id=encode_token(tokenizer, BOS),
        eos_token_id=encode_token(tokenizer, EOS),
        pad_token_id=encode_token(tokenizer, PAD),
    )
    config.update({"faithlens": organism.make_config_entry(sections, recipe.n_operands)})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        digits = torch.tensor([encode_token(tokenizer, digit) for digit in DIGITS])
        model.model.embed_tokens.weight.data[digits] = embed_digits_on_circles(recipe.width, config.initializer_range)
    return model


def embed_digits_on_circles(width: int, scale: float) -> Float[Tensor, "option d_model"]:
    """Embeddings of the ten digits on randomly oriented circles, with the root mean square `scale`.

    Trained networks add on circles (Nanda et al. 2023, arXiv:2301.05217; Zhong et al. 2023, arXiv:2306.17844). From
    random embeddings most of the training was spent on finding them, and some seeds never did.
    """
    angle = 2 * math.pi * torch.arange(10)[:, None] * torch.tensor(CIRCLE_TURNS) / 10
    there = torch.cat([angle.cos(), angle.sin()], 1) @ torch.linalg.qr(torch.randn(width, 2 * len(CIRCLE_TURNS))).Q.T
    return there * scale * (width / len(CIRCLE_TURNS)) ** 0.5


def read_structure(hf_model: LlamaForCausalLM) -> Structure:
    """The forbidden edges in the model's config."""
    return Structure.from_config(hf_model.config.faithlens)


def select_lessons(rows: TrainingRows, organism: Organism, recipe: Recipe, step: int) -> list[Int[Tensor, "batch pos"]]:
    """The lessons of one optimiser step: running totals first, then carrying them, then everything."""
    if step < recipe.rehearsal_steps:
        return [rows.rehearsal_targets]
    if step < recipe.rehearsal_steps + recipe.carry_steps:
        return [rows.answer_targets, rows.rehearsal_targets, rows.carry_targets]
    every = [rows.answer_targets, rows.digit_targets, rows.name_targets, rows.word_targets]
    every += [rows.rehearsal_targets] if organism.rehearses_totals else []
    return [lesson for lesson in every if (lesson != IGNORE_INDEX).any()]


def add_gradients(
    hf_model: LlamaForCausalLM, structure: Structure, rows: TrainingRows, lesson_targets: list[Int[Tensor, "batch pos"]]
) -> float:
    """Add the gradients of the loss, and return the loss in nats: the mean over each lesson's tokens, summed over the
    lessons.

    Rows are processed in parts, the shortest first, and only up to the last token that is trained. A part fits into the
    core's cache and has little padding, which makes a step a quarter faster than the whole batch at once.
    """
    lessons = torch.stack(lesson_targets)
    share = (lessons != IGNORE_INDEX) / (lessons != IGNORE_INDEX).sum((1, 2), keepdim=True)
    mask, total = make_attention_mask(structure, rows.ids), 0.0
    for part in rows.answer_at.argsort().split(ROWS_PER_PASS):
        live = (lessons[:, part] != IGNORE_INDEX).any(0)
        width = int(live.any(0).nonzero().max()) + 1
        at, ids = live[:, :width], rows.ids[part, :width]
        hidden = hf_model.model(input_ids=ids, attention_mask=mask[part, :, :width, :width]).last_hidden_state
        targets, weight = (x[:, part, :width][:, at] for x in (lessons, share))
        log_probabilities = hf_model.lm_head(hidden[at]).log_softmax(-1)
        loss = -(log_probabilities.gather(1, targets.clamp(min=0).T) * weight.T).sum()
        loss.backward()
        total += loss.item()
    return total


def train(
    organism: Organism,
    seed: int = 0,
    recipe: Recipe | None = None,
    notify: Callable[[float], None] = lambda loss: None,
) -> LlamaForCausalLM:
    """A trained organism.

    Args:
        organism: the organism.
        seed: the seed of weights and batches.
        recipe: how to train it; None for the organism's own recipe.
        notify: is called with the loss in nats after every step.
    """
    recipe = recipe or organism.recipe
    model = make_model(organism, build_tokenizer(organism.extra_words), recipe, seed)
    for loss in train_stepwise(model, organism, recipe, seed):
        notify(loss)
    return model.eval()


def train_stepwise(hf_model: LlamaForCausalLM, organism: Organism, recipe: Recipe, seed: int) -> Iterator[float]:
    """Train `hf_model` in place; yields the loss in nats after every optimiser step."""
    tokenizer = build_tokenizer(organism.extra_words)
    lengths = (recipe.n_operands, *recipe.other_lengths)
    layouts = [organism.make_layout(tokenizer, length) for length in lengths]
    pools = [list_questions(length, held_out=False) for length in lengths]
    structure, generator = read_structure(hf_model), torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(
        hf_model.parameters(), lr=recipe.peak_learning_rate, weight_decay=0.1, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.peak_learning_rate, total_steps=recipe.total_steps, pct_start=0.1
    )
    hf_model.train()
    with use_one_core():
        for step in range(recipe.total_steps):
            layout, pool = layouts[step % len(layouts)], pools[step % len(layouts)]
            drafts = draw_drafts(pool, recipe.batch_size, generator, organism.chain, len(organism.modes))
            taught = make_rows(layout, drafts, organism.answer_rule, recipe.shown_chains, generator)
            optimiser.zero_grad()
            loss = add_gradients(hf_model, structure, taught, select_lessons(taught, organism, recipe, step))
            torch.nn.utils.clip_grad_norm_(hf_model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            yield loss


def save(organism: Organism, hf_model: LlamaForCausalLM, folder: Path) -> None:
    """Write an ordinary Hugging Face folder: config, weights, and the tokenizer with its chat template."""
    hf_model.save_pretrained(folder)
    build_tokenizer(organism.extra_words).save_pretrained(folder)
