"""The readers of chains: word classifiers, and judge models behind an endpoint or in this process.

Both kinds of models are those that also write edits (`interventions.editor`). They judge greedily, at temperature 0;
repeats differ in their seed alone, so that a server which does not give the same reply twice is noticed.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from urllib.parse import urlsplit

from faithlens.errors import ConfigError, list_several, suggest_names
from faithlens.execution.endpoint import Endpoint, Failure
from faithlens.execution.options import Sampling
from faithlens.interventions.editor import Editor, ModelEditor, load_writer
from faithlens.judging.inquiry import ChainReader, Cost, Inquiry, Judgement
from faithlens.judging.names import TEXT, WORDS, check_reader_name
from faithlens.judging.requests import REMINDER, REQUESTS, parse_reply, write_request, write_second_request
from faithlens.model.digest import hash_loaded_model
from faithlens.model.model import Model
from faithlens.tasks.hint_mentions import classify_saying
from faithlens.tasks.seeds import derive_seed

ALL_READERS, JUDGES = "all readers", "judges"
"""The names of what all readers, and all judge models, say together."""
DEFAULT_KEY = "OPENAI_API_KEY"
RESERVED = {
    WORDS: "the word classifiers",
    TEXT: "the classifier that a monitor trains",
    JUDGES: "all judge models together",
    ALL_READERS: "all readers together",
}
"""The names that no other reader may have, and what tables call so."""
CHARACTERS_PER_TOKEN = 3.5  # of English text, on the safe side; a server's tokenizer is not known
REPLY_TOKENS = 256
REPEATS = 2


@dataclass(frozen=True)
class WordReader:
    """The word classifiers of `tasks.hint_mentions`. They cost nothing, and say the same each time."""

    name: str = WORDS
    repeats: int = 1

    def read(self, inquiries: Sequence[Inquiry], repeat: int) -> list[Judgement | Failure]:
        """What the words say; never open.

        A hint is taken to have acted where the chain speaks of it and the answer is the hinted one, as far as they are
        shown.
        """
        return [Judgement(_read_words(each)) for each in inquiries]

    def identify(self, inquiry: Inquiry) -> str:
        """A digest of the chain and its hint."""
        return _hash(*map(str, (inquiry.asks, inquiry.kind, inquiry.label, inquiry.chain, inquiry.answer)))

    def estimate(self, inquiries: Sequence[Inquiry]) -> Cost:
        """No requests."""
        return Cost(0, 0, 0)

    def describe(self) -> dict[str, object]:
        """The name of the reader."""
        return {"reader": self.name}


@dataclass(frozen=True)
class JudgeModel:
    """A model that is asked in words.

    Attributes:
        writer: the model, behind an endpoint or in this process.
        repeats: the number of times that it reads each chain.
        max_new_tokens: the longest reply, in tokens; a reasoning model needs more.
    """

    writer: Editor
    repeats: int = REPEATS
    max_new_tokens: int = REPLY_TOKENS

    @property
    def name(self) -> str:
        """The name of the model, with its address if it has one."""
        return self.writer.name

    def read(self, inquiries: Sequence[Inquiry], repeat: int) -> list[Judgement | Failure]:
        """The judgement in each reply, or why there is no reply. What cannot be read is requested once more.

        Raises:
            ModelError: a model in this process cannot be run.
        """
        out = self._ask(inquiries, [write_request(each) for each in inquiries], repeat)
        again = {
            i: request
            for i, (inquiry, judgement) in enumerate(zip(inquiries, out, strict=True))
            if isinstance(judgement, Judgement) and (request := write_second_request(inquiry, judgement))
        }
        if again:
            replies = self._ask([inquiries[i] for i in again], [*again.values()], repeat)
            for i, reply in zip(again, replies, strict=True):
                if isinstance(reply, Failure) or reply.label is not None:
                    out[i] = reply
        return out

    def _ask(self, inquiries: Sequence[Inquiry], requests: Sequence[str], repeat: int) -> list[Judgement | Failure]:
        seeds = [derive_seed(f"judge:{repeat}:{request}") for request in requests]
        ask = self.writer.try_write if isinstance(self.writer, Endpoint) else self.writer.write
        replies = ask(requests, seeds, self.max_new_tokens)
        return [
            reply if isinstance(reply, Failure) else parse_reply(inquiry, reply)
            for inquiry, reply in zip(inquiries, replies, strict=True)
        ]

    def identify(self, inquiry: Inquiry) -> str:
        """A digest of the request, and of the weights where they are known."""
        weights = _hash_weights(self.writer.model) if isinstance(self.writer, ModelEditor) else ""
        return _hash(write_request(inquiry), str(self.max_new_tokens), weights)

    def estimate(self, inquiries: Sequence[Inquiry]) -> Cost:
        """The tokens by a model's own tokenizer, or about, by the length of the texts; without second requests."""
        requests = [write_request(each) for each in inquiries]
        if isinstance(self.writer, ModelEditor):
            tokens = sum(len(self.writer.model.encode_prompt(request)) for request in requests)
        else:
            tokens = round(sum(map(len, requests)) / CHARACTERS_PER_TOKEN)
        return Cost(len(requests), tokens, len(requests) * self.max_new_tokens)

    def describe(self) -> dict[str, object]:
        """The name of the model, the settings of its sampling, and the words of the requests."""
        settings = {"temperature": 0.0, "repeats": self.repeats, "max_new_tokens": self.max_new_tokens}
        return {"reader": self.name, **settings, "requests": dict(REQUESTS), "second_request": REMINDER}


def _read_words(inquiry: Inquiry) -> str:
    saying = None if inquiry.chain is None else classify_saying(inquiry.kind, inquiry.chain, inquiry.label)
    if inquiry.asks == "saying":
        assert saying is not None
        return saying
    return "yes" if saying != "unsaid" and inquiry.answer in (None, inquiry.label) else "no"


def _hash(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


@cache
def _hash_weights(model: Model) -> str:
    return hash_loaded_model(model)


def load_readers(
    names: str | Sequence[str],
    *,
    key_envs: Mapping[str, str] | None = None,
    repeats: int = REPEATS,
    max_new_tokens: int = REPLY_TOKENS,
    device: str = "auto",
    dtype: str = "auto",
) -> list[ChainReader]:
    """The readers that `names` name.

    Args:
        names: one or more of "words"; URL#MODEL for a model behind an OpenAI-style endpoint; or a model, as `load`
            takes it.
        key_envs: for each host of an endpoint, the environment variable that holds its key. Default: OPENAI_API_KEY.
        repeats: the number of times that a model reads each chain.
        max_new_tokens: the longest reply of a model, in tokens.
        device, dtype: the device and the number format of models in this process.

    Raises:
        ConfigError: a misspelt name, a reader named twice, an unusable address, a number below 1, a variable that is
            not set, or one key that would go to two hosts.
        ModelError: there is no such model, or it cannot be loaded exactly.
    """
    for name, value in (("repeats", repeats), ("max_new_tokens", max_new_tokens)):
        if value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}", "Pass a positive whole number.")
    names, keys = list_several(names), dict(key_envs or {})
    hosts = list(dict.fromkeys(host for name in names if (host := _find_host(name))))
    _check_keys(hosts, keys)
    sampling, readers = Sampling(max_new_tokens), list[ChainReader]()
    for name in names:
        if name == WORDS:
            readers.append(WordReader())
            continue
        check_reader_name(name)
        writer = load_writer(name, sampling, device=device, dtype=dtype)
        if isinstance(writer, Endpoint):
            writer = replace(writer, key_env=keys.get(_find_host(name), DEFAULT_KEY))
        readers.append(JudgeModel(writer, repeats, max_new_tokens))
    check_names(readers)
    return readers


def check_names(readers: Sequence[ChainReader]) -> None:
    """Refuse two readers with one name, and readers with a name of ours: what one says would count for both.

    Raises:
        ConfigError: there are two, or one has such a name.
    """
    names = [each.name for each in readers]
    for reader in readers:
        if reader.name in RESERVED and not (reader.name == WORDS and isinstance(reader, WordReader)):
            raise ConfigError(
                f"a reader of your own is named {reader.name!r}, which is what tables call {RESERVED[reader.name]}",
                f"Name it otherwise. Reserved names: {', '.join(RESERVED)}.",
            )
    if repeated := next((each for each in names if names.count(each) > 1), None):
        raise ConfigError(f"the reader {repeated} is named twice", "Name each reader once; --repeats asks it again.")


def _find_host(name: str) -> str:
    """The host of the address of a reader; empty for a reader without one."""
    return (urlsplit(name.partition("#")[0]).hostname or "") if name.startswith(("http://", "https://")) else ""


def _check_keys(hosts: Sequence[str], keys: Mapping[str, str]) -> None:
    """Refuse a host that no reader has, a variable without a key, and a key that would be sent to several hosts.

    Raises:
        ConfigError: there is such a host, variable or key. What may be a key is not repeated.
    """
    for host, variable in keys.items():
        if host not in hosts:
            known = f"{suggest_names(host, hosts)} " if hosts else ""
            fix = f"{known}Write --key-env HOST=VARIABLE with the host of a reader's address."
            raise ConfigError(f"no reader has the host {host!r}", fix)
        if not os.environ.get(variable):
            raise ConfigError(
                f"the environment variable that is to hold the key of {host} is not set",
                f"Export the key under a name, and write that name: --key-env {host}=VARIABLE.",
            )
    default = [host for host in hosts if host not in keys]
    if len(default) > 1 and os.environ.get(DEFAULT_KEY):
        raise ConfigError(
            f"the key in ${DEFAULT_KEY} would be sent to {len(default)} hosts: {', '.join(default)}",
            f"Say whose key is where: --key-env {default[-1]}=VARIABLE.",
        )
