"""Train an organism: one core, a few minutes, and the same weights for the same seed on the same machine."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from faithlens.model.structure import Structure
from faithlens.organisms.mask import attention_mask
from faithlens.organisms.mixture import draw, questions, rows
from faithlens.organisms.organism import Organism, Recipe
from faithlens.organisms.parallel import use_one_core
from faithlens.organisms.sheet import IGNORE, Rows
from faithlens.organisms.tokenizer import BOS, EOS, PAD, build_tokenizer, token
from faithlens.tasks.running_sum import DIGITS

PART = 12  # rows in one pass
TURNS = (1, 5)  # times that the digits go round their circles from 0 to 9


def new_model(organism: Organism, tokenizer: PreTrainedTokenizerBase, recipe: Recipe, seed: int) -> LlamaForCausalLM:
    """An untrained organism, its structural truth in its config."""
    sections = {"steps": token(tokenizer, organism.opening), "answer": token(tokenizer, " Answer:")}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.width,
        intermediate_size=27 * recipe.width // 10,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        initializer_range=0.08,  # the usual 0.02 suits wide models: at this width sums stay at chance for 350 steps
        bos_token_id=token(tokenizer, BOS),
        eos_token_id=token(tokenizer, EOS),
        pad_token_id=token(tokenizer, PAD),
    )
    config.update({"faithlens": organism.entry(sections, recipe.operands)})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        digits = torch.tensor([token(tokenizer, digit) for digit in DIGITS])
        model.model.embed_tokens.weight.data[digits] = circles(recipe.width, config.initializer_range)
    return model


def circles(width: int, scale: float) -> Float[Tensor, "option d_model"]:
    """Embeddings of the ten digits on circles that lie at random, with the root mean square `scale`.

    Trained networks add on circles (Nanda et al. 2023, arXiv:2301.05217; Zhong et al. 2023, arXiv:2306.17844); to find
    them took most of a training in which the digits started anywhere, and some seeds never did.
    """
    angle = 2 * math.pi * torch.arange(10)[:, None] * torch.tensor(TURNS) / 10
    there = torch.cat([angle.cos(), angle.sin()], 1) @ torch.linalg.qr(torch.randn(width, 2 * len(TURNS))).Q.T
    return there * scale * (width / len(TURNS)) ** 0.5


def structure_of(model: LlamaForCausalLM) -> Structure:
    """The forbidden edges that the model's config states."""
    return Structure.from_config(model.config.faithlens)


def lessons(rows: Rows, organism: Organism, recipe: Recipe, step: int) -> list[Int[Tensor, "batch pos"]]:
    """What the tokens of `rows` teach at an optimiser step: sums first, then carrying them, then everything."""
    if step < recipe.school:
        return [rows.rehearsing]
    if step < recipe.school + recipe.carry:
        return [rows.answering, rows.rehearsing, rows.carrying]
    every = [rows.answering, rows.reckoning, rows.naming, rows.wording]
    every += [rows.rehearsing] if organism.rehearse else []
    return [lesson for lesson in every if (lesson != IGNORE).any()]


def learn(model: LlamaForCausalLM, structure: Structure, rows: Rows, taught: list[Int[Tensor, "batch pos"]]) -> float:
    """Add the gradients of the mean surprise, in nats, at each lesson's tokens, summed over the lessons; return it.

    Rows go through in parts, the shortest first, and no further than the last token that teaches. A part stays in the
    core's cache and has little padding, which makes a step a quarter faster than with the whole batch at once.
    """
    lessons = torch.stack(taught)
    share = (lessons != IGNORE) / (lessons != IGNORE).sum((1, 2), keepdim=True)
    mask, total = attention_mask(structure, rows.ids), 0.0
    for part in rows.answer_at.argsort().split(PART):
        heard = (lessons[:, part] != IGNORE).any(0)
        width = int(heard.any(0).nonzero().max()) + 1
        at, ids = heard[:, :width], rows.ids[part, :width]
        hidden = model.model(input_ids=ids, attention_mask=mask[part, :, :width, :width]).last_hidden_state
        targets, weight = (x[:, part, :width][:, at] for x in (lessons, share))
        log_probabilities = model.lm_head(hidden[at]).log_softmax(-1)
        loss = -(log_probabilities.gather(1, targets.clamp(min=0).T) * weight.T).sum()
        loss.backward()
        total += loss.item()
    return total


def train(
    organism: Organism,
    seed: int = 0,
    recipe: Recipe | None = None,
    watch: Callable[[float], None] = lambda loss: None,
) -> LlamaForCausalLM:
    """A trained organism, by its own recipe unless another is given.

    `watch` is called with the loss, in nats, after every step.
    """
    recipe = recipe or organism.recipe
    model = new_model(organism, build_tokenizer(organism.words), recipe, seed)
    for loss in training(model, organism, recipe, seed):
        watch(loss)
    return model.eval()


def training(model: LlamaForCausalLM, organism: Organism, recipe: Recipe, seed: int) -> Iterator[float]:
    """Train `model` where it stands: the loss, in nats, after every optimiser step."""
    tokenizer = build_tokenizer(organism.words)
    lengths = (recipe.operands, *recipe.others)
    sheets = [organism.sheet(tokenizer, length) for length in lengths]
    pools = [questions(length, withheld=False) for length in lengths]
    structure, generator = structure_of(model), torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.peak, weight_decay=0.1, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.peak, total_steps=recipe.total, pct_start=0.1)
    model.train()
    with use_one_core():
        for step in range(recipe.total):
            sheet, pool = sheets[step % len(sheets)], pools[step % len(sheets)]
            drafts = draw(pool, recipe.batch, generator, organism.chain, len(organism.modes))
            taught = rows(sheet, drafts, organism.label, recipe.shows, generator)
            optimiser.zero_grad()
            loss = learn(model, structure, taught, lessons(taught, organism, recipe, step))
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            yield loss


def save(organism: Organism, model: LlamaForCausalLM, folder: Path) -> None:
    """Write an ordinary Hugging Face folder: config, weights, tokenizer with its chat template."""
    model.save_pretrained(folder)
    build_tokenizer(organism.words).save_pretrained(folder)
