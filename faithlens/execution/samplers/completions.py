"""The requests and replies of POST /v1/completions, as the common servers take and give them.

A request has one of three forms, tried in this order:

- "tokens": the prompt in tokens, and every setting named, so that nothing is taken from the model's own generation
  settings (vLLM, SGLang, llama.cpp).
- "text": the prompt as text, and settings as `transformers serve` takes them.
- "plain": the prompt as text, and the settings of OpenAI alone.

A reply states tokens as ``token_ids`` (vLLM), as names ``token_id:17``, as ``logprobs.content[].id`` (llama.cpp), or
not at all; then they are those that its text is encoded to.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast

from faithlens.execution.options import Sampling
from faithlens.execution.sample import SampleRequest
from faithlens.model import library
from faithlens.model.model import Model
from faithlens.model.trace import Finish

Form = Literal["tokens", "text", "plain"]
FORMS: tuple[Form, ...] = ("tokens", "text", "plain")
FINISHES: dict[Any, Finish] = {"stop": "stop", "eos": "stop", "length": "length"}
LARGEST_SEED = 2**31  # some servers take no larger ones


@dataclass(frozen=True)
class Completion:
    """What a server wrote after one prompt.

    Attributes:
        text: the text.
        finish: "length" if a limit cut it off.
        model: the name of the model that the server states; None if it states none.
        ids: the tokens, perhaps with the one that ended them; None if the server does not state them.
        logprobs: the log-probability of each token, in nats; None if the server does not state them.
        prompt_tokens: the tokens of the prompt, as the server counts them; None if it does not state them.
        new_tokens: the tokens that were written, counted likewise, with the one that ended them.
    """

    text: str
    finish: Finish
    model: str | None
    ids: tuple[int, ...] | None
    logprobs: tuple[float, ...] | None
    prompt_tokens: int | None
    new_tokens: int | None


def make_body(
    form: Form, served: str, model: Model, prompt: str | tuple[int, ...], request: SampleRequest, sampling: Sampling
) -> dict[str, Any]:
    """One request in a form.

    Args:
        form: the form.
        served: the name of the model at the server.
        model: the local model, whose end tokens the server gets.
        prompt: the prompt, as text or in tokens.
        request: its seed and the most tokens to add.
        sampling: temperature and nucleus.
    """
    stop_ids = sorted(model.stop_ids)
    body: dict[str, Any] = {
        "model": served,
        "prompt": list(prompt) if isinstance(prompt, tuple) else prompt,
        "max_tokens": request.limit,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": request.seed % LARGEST_SEED,
    }
    if form == "tokens":
        body |= {
            "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "stop_token_ids": stop_ids, "logprobs": 1,
            "return_token_ids": True, "return_tokens_as_token_ids": True, "skip_special_tokens": False,
        }  # fmt: skip
    if form == "text":
        draws = {"do_sample": True, "top_k": 0} if sampling.temperature else {"do_sample": False}
        body["generation_config"] = json.dumps(draws | ({"eos_token_id": stop_ids} if stop_ids else {}))
    return body


def write_prompt(model: Model, ids: tuple[int, ...]) -> str | None:
    """The text that a server reads as the tokens `ids`: it adds special tokens as the tokenizer does by default.

    None if no text is read as these tokens.
    """
    for text in (model.decode(ids), model.decode(ids[1:])):
        if library.encode_text(model.tokenizer, text, add_special_tokens=True) == ids:
            return text
    return None


def parse_completion(reply: bytes) -> Completion:
    """The completion in a reply.

    Raises:
        ValueError: the reply is no completion of one prompt.
    """
    try:
        whole = json.loads(reply)
        [choice] = whole["choices"]
        text, reason = choice["text"], choice.get("finish_reason") or "stop"
        stated, usage = choice.get("logprobs") or {}, whole.get("usage") or {}
        content = stated.get("content") or ()
        ids = choice.get("token_ids") or [each.get("id") for each in content] or read_names(stated.get("tokens") or ())
        logprobs = stated.get("token_logprobs") or [each.get("logprob") for each in content]
        counts = [usage.get("prompt_tokens"), usage.get("completion_tokens")]
        model = whole.get("model")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("it is no completion") from error
    if not isinstance(text, str) or reason not in FINISHES:
        raise ValueError(f"it ended with {reason!r}")
    return Completion(
        text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
        FINISHES[reason],
        model if isinstance(model, str) else None,
        tuple(ids) if ids and is_list_of(ids, int) else None,
        tuple(map(float, logprobs)) if logprobs and is_list_of(logprobs, (int, float)) else None,
        *(count if isinstance(count, int) else None for count in counts),
    )


def read_names(names: Iterable[object]) -> list[int] | None:
    """Tokens that are named as ``token_id:17``; None if one has another name."""
    words = [name.removeprefix("token_id:") if isinstance(name, str) else "" for name in names]
    is_named = all(isinstance(name, str) and name.startswith("token_id:") for name in names)
    return [int(word) for word in words] if words and is_named and all(map(str.isdecimal, words)) else None


def is_list_of(values: object, kind: type | tuple[type, ...]) -> bool:
    """Whether `values` is a list of numbers of this kind, and no truth values."""
    return isinstance(values, list) and all(
        isinstance(each, kind) and not isinstance(each, bool) for each in cast("list[object]", values)
    )
