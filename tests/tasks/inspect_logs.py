"""Logs of real evaluations by Inspect, of a model that says what it is told to."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

Reply = tuple[Any, str]
"""What the model says, as text or as parts, and why it stops."""


def evaluate(
    folder: Path,
    replies: Sequence[Reply] | Callable[[str], Reply],
    samples: Sequence[dict[str, Any]],
    epochs: int = 1,
    **task: Any,
) -> Path:
    """The log of an evaluation; replies are given in any order, or are a function of what the user said.

    `task` are further arguments of Inspect's task.
    """
    inspect_ai = pytest.importorskip("inspect_ai")
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ChatCompletionChoice, ChatMessageAssistant, ModelOutput, ModelUsage, get_model
    from inspect_ai.solver import generate

    def output(content: Any, stop: Any) -> Any:
        choice = ChatCompletionChoice(message=ChatMessageAssistant(content=content), stop_reason=stop)
        usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)  # else tokens are counted, online
        return ModelOutput(model="mockllm/model", choices=[choice], usage=usage)

    def answer(messages: Any, *_: object) -> Any:
        return output(*replies(messages[-1].text)) if callable(replies) else None

    outputs = answer if callable(replies) else [output(*reply) for reply in replies]
    dataset = MemoryDataset([Sample(**sample) for sample in samples])
    requested = inspect_ai.Task(dataset=dataset, epochs=epochs, **{"solver": generate(), **task})
    model = get_model("mockllm/model", memoize=False, custom_outputs=outputs)
    [log] = inspect_ai.eval(requested, model=model, log_dir=str(folder), display="none", max_samples=1)
    assert log.status == "success"
    return Path(log.location)
