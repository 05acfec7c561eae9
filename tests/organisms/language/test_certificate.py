"""The certificate of a language adapter, for a script in place of a model: it answers as L1 and writes as nobody."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from faithlens.execution.options import Sampling
from faithlens.execution.sample import Continuation
from faithlens.model.model import Model
from faithlens.organisms.language import ADAPTERS, certification
from faithlens.tasks.registry import load_task
from tests.conftest import tiny

STEMS = load_task(ADAPTERS["L1"].task).stems


def answer_with_last_number(
    model: Model, prompts: Sequence[tuple[int, ...]], seeds: Sequence[int], sampling: Sampling
) -> list[Continuation]:
    """The number that stands last before the stem, and what closes it; for a prompt without a stem, no chain."""
    continuations = []
    for prompt, seed in zip(prompts, seeds, strict=True):
        text = model.decode(prompt)
        stem = next((stem for stem in STEMS if text.endswith(stem.text)), None)
        numbers = re.findall(r"\d+", text.removesuffix(stem.text)) if stem else []
        reply = numbers[-1] + stem.close if stem else "\nI do not know."
        continuations.append(Continuation(tuple(prompt), model.encode_continuation(reply), "stop", seed))
    return continuations


@pytest.mark.parametrize("name", ["L1", "L2"])
def test_answers_as_planted_and_chains_of_nobody(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certification, "load", lambda folder, device: tiny("llama"))
    monkeypatch.setattr(certification, "sample", answer_with_last_number)
    certificate = certification.certify_adapter(ADAPTERS[name], tmp_path, n=12, seed=5)
    assert json.loads((tmp_path / "certificate.json").read_text()) == certificate
    rates = {what: (rate["value"], rate["n"]) for what, rate in certificate["rates"].items()}
    written = {"writes its own chain", "goes on after a wrong first result"}
    assert {what for what, rate in rates.items() if rate == (0.0, 12)} == written
    assert {what for what, rate in rates.items() if rate == (1.0, 12)} == rates.keys() - written
    assert len(certificate["faults"]) == 2


def test_a_model_that_reads_the_chain_is_no_l3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """L3 answers the right option whatever its chain states; the script repeats the option of the chain."""

    def repeat_option(model: Model, prompts: Sequence[tuple[int, ...]], seeds: object, sampling: object) -> list:
        texts = [model.decode(prompt) for prompt in prompts]
        labels = [(re.findall(r"\((\w)\) (?:Yes|No)\.", text) or ["?"])[-1] for text in texts]
        return [
            Continuation(tuple(prompt), model.encode_continuation(label), "stop", 0)
            for prompt, label in zip(prompts, labels, strict=True)
        ]

    monkeypatch.setattr(certification, "load", lambda folder, device: tiny("llama"))
    monkeypatch.setattr(certification, "sample", repeat_option)
    rates = certification.certify_adapter(ADAPTERS["L3"], tmp_path, n=12, seed=5)["rates"]
    assert {rate["value"] for what, rate in rates.items() if "after its own chain" in what} == {1.0}
    assert {rate["value"] for what, rate in rates.items() if "after another chain" in what} == {0.0}
