"""Trained organisms in the user's cache. `O4@3` is O4 trained with seed 3, certified, and loaded by this name."""

import re
from pathlib import Path

from faithlens.errors import ConfigError
from faithlens.model.fetch import find_cache_dir, make_cached_folder
from faithlens.model.load import make_trained_key
from faithlens.organisms.certification import certify
from faithlens.organisms.language.adapter import LanguageAdapter
from faithlens.organisms.organism import Organism
from faithlens.organisms.training import save, train
from faithlens.progress import show_part


def find_or_train(organism: Organism, seed: int) -> Path:
    """The cached folder of `organism` trained with `seed`; trained and certified now if it is not there.

    An interrupted training leaves nothing behind.

    Raises:
        ModelError: the cache cannot be written.
    """

    def make(folder: Path) -> None:
        train_into(folder, organism, seed)

    return make_cached_folder(make_trained_key(organism.name, seed), make)


def train_into(folder: Path, organism: Organism, seed: int) -> Path:
    """Train `organism` with `seed` into `folder`, which is new or empty; certify it there, and return the folder.

    With some seeds the planted effect takes longer to learn. If the certificate names faults, the organism is trained
    again, twice as long.

    Raises:
        ConfigError: the folder is not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"the folder {folder} is not empty, so no organism is trained into it", "Name a new folder.")
    for longer in (1, 2):
        recipe = organism.recipe.lengthen(longer)
        with show_part(f"training {organism.name}@{seed}", recipe.total_steps) as advance:
            model = train(organism, seed, recipe, notify=lambda loss: advance(1))
        save(organism, model, folder)
        if not certify(folder)["faults"]:
            break
    return folder


def list_cached_seeds(organism: Organism | LanguageAdapter) -> list[int]:
    """The seeds with which `organism` was trained on this machine."""
    folders = find_cache_dir().glob(make_trained_key(organism.name, 0).removesuffix("0") + "*")
    seeds = (folder.name.partition("@")[2] for folder in folders if folder.is_dir())
    return sorted(int(seed) for seed in seeds if seed.isdecimal())  # a training under way has a name of its own


def parse_seeds(text: str) -> list[int]:
    """The seeds in `text`, such as "3", "0-9" or "1,4,7-9".

    Raises:
        ConfigError: the text names no seeds.
    """
    parts = [re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip()) for part in text.split(",")]
    numbers = [seed for part in parts if part for seed in range(int(part[1]), int(part[2] or part[1]) + 1)]
    if not all(parts) or not numbers:
        raise ConfigError(f"seeds must be numbers or ranges, got {text!r}", "Write them like 3, or 0-9, or 1,4,7.")
    return list(dict.fromkeys(numbers))
