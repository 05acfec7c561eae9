"""Before a sweep, each model is tried out: this gives the total cost, and the tasks that it cannot do.

With held-out texts, its loss is measured too: the mean negative log-likelihood of their tokens, cut into
windows, each of which is read without the text before it. Nats per token can be compared where tokenizers are the
same, as they are in a family of models that differ in size alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from faithlens.commands.gate_costs import format_duration
from faithlens.commands.prepare import estimate_subject, make_model_loader, try_subject
from faithlens.commands.sweep.config import HeldOutText, Member, SweepConfig, read_held_out_texts
from faithlens.errors import ConfigError, ModelError, PlanError, TraceError
from faithlens.execution.execute import choose_backend, execute
from faithlens.execution.options import Backend
from faithlens.model.load import resolve_name
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition
from faithlens.plan.memory import plan_passes

WINDOW = 512  # tokens; fewer where the model reads fewer

Notify = Callable[[str], None]


@dataclass(frozen=True)
class Trial:
    """The result of trying out a model.

    Attributes:
        parameters: its number of parameters.
        loss: its loss on the held-out text, in nats per token; None if there is no text.
        seconds: the most that all its chains will take, estimated from the first of each task.
        refused: for each task that was left out, the reason.
    """

    parameters: int
    loss: float | None
    seconds: float
    refused: Mapping[str, str]


def try_out_models(config: SweepConfig, notify: Notify = lambda words: None) -> dict[str, Trial]:
    """Try out every model, one after the other, without writing anything.

    `notify` is called with the cost of each model and of all of them.

    Raises:
        FaithlensError: a model cannot be loaded, or cannot be audited with these options at all.
    """
    for member in config.members:
        resolve_name(member.model, config.options.trust_remote_code)
    trials = {member.model: try_out_model(config, member, notify) for member in config.members}
    seconds = sum(trial.seconds for trial in trials.values())
    notify(f"Models: {len(trials)}. All will take at most about {format_duration(seconds)}.")
    return trials


def try_out_model(config: SweepConfig, member: Member, notify: Notify) -> Trial:
    """Sample a few chains of each task, and score one."""
    audit_config, seconds = config.make_audit_config(member, member.tasks), 0.0
    refused: dict[str, str] = {}
    open_model = make_model_loader(audit_config)
    model, loss = open_model(member.model), None
    if config.held_out:
        loss = compute_held_out_loss(
            model,
            read_held_out_texts(Path(config.held_out.path)),
            budget=audit_config.budget,
            backend=choose_backend(model, audit_config.backend),
        )
    for subject in audit_config.subjects:
        try:
            estimated = estimate_subject(audit_config, try_subject(audit_config, subject, open_model))
        except (ModelError, PlanError, TraceError) as error:  # it was loaded: this is about the task
            refused[subject.task] = error.problem
            notify(f"{subject.key}: left out, since {error.problem}")
        else:
            seconds += estimated.seconds
            notify(str(estimated))
    return Trial(model.hf_model.num_parameters(), loss, seconds, refused)


def compute_held_out_loss(
    model: Model, texts: Sequence[HeldOutText], *, budget: int | None = None, backend: Backend = "packed"
) -> float:
    """The mean negative log-likelihood of `texts`, in nats per token; of a text without context, the first is given.

    Raises:
        ConfigError: no text has two tokens.
    """
    conditions = [
        Condition(f"window {i}", (Piece("given", context),), (predicted,))
        for i, (context, predicted) in enumerate(pair for each in texts for pair in split_into_windows(model, each))
    ]
    if not conditions:
        raise ConfigError(f"the held-out text has fewer than two tokens of {model.name}", "Give more text.")
    records = execute(model, plan_passes(model, conditions, budget=budget), backend=backend)
    predicted = sum(len(condition.options[0]) for condition in conditions)
    return -sum(float(record.logprobs[0]) for record in records) / predicted


def split_into_windows(model: Model, held_out_text: HeldOutText) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """A text in windows, what is given first and what is to be predicted after it.

    Raises:
        ConfigError: what is given leaves no room for the text.
    """
    width = min(WINDOW, model.context_length)
    context = model.encode_continuation(held_out_text.context) if held_out_text.context else ()
    ids = model.continue_ids(context, held_out_text.text) if context else model.encode_continuation(held_out_text.text)
    if context and ids:
        room = width - len(context)
        if room < 1:
            problem = (
                f"the given part of a held-out text has {len(context)} tokens; a window of {model.name} has {width}"
            )
            raise ConfigError(problem, "Give a shorter part.")
        yield context, ids[:room]
        ids = ids[room:]
    parts = (ids[i : i + width] for i in range(0, len(ids), width))
    yield from ((part[:1], part[1:]) for part in parts if len(part) > 1)
