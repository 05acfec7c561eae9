"""A model whose mechanism is a program over text, so that what must be found out about it is exact.

1. One GPT-2 layer attends to every visible token with the same weight. The value of a token is its id at the slot of
   its position, so the mean over n visible tokens holds each id, divided by n.
2. In place of the MLP, `_Reader` writes the ids back as text, with `HOLE` where a token is hidden, and asks a program
   what comes next.
3. The answer of the program, a probability for each next token, is written into the residual stream. The output layer
   reads it off.

So edits, swaps, cuts and knockouts reach the program as they would reach a trained model: as other visible tokens.

For example, after "Start at 3. Then add 4 to the total. Steps: Start at 3. Add 4 to get" a program that goes on with
" 7." makes the space the likeliest token; after its own chain and " Answer: " one that returns {"7": 1.0} answers 7.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from faithlens.model.model import Model
from faithlens.model.wrap import wrap
from faithlens.organisms.tokenizer import BOS, EOS, PAD, build_tokenizer

HOLE = "\0"
LEAST = 1e-13
LENGTH = 1024
"""The most tokens of a sequence."""
Program = Callable[[str], Mapping[str, float]]
"""From the visible text to the probability of each text that may come next; an empty text ends the chain."""


class _Placed(nn.Module):
    """Queries and keys that are all alike, and each token's id at the slot of its position as its value."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, hidden: Tensor) -> Tensor:
        out = hidden.new_zeros(*hidden.shape[:-1], 3 * self.width)
        place = (hidden[..., -1:].round().long() + 2 * self.width).clamp(max=2 * self.width + LENGTH - 1)
        return out.scatter(-1, place, hidden[..., -2:-1])


class _Reader(nn.Module):
    """The text that a position sees, and what a program makes of it, in place of the MLP."""

    def __init__(self, decode: Callable[[list[int]], str], tell: Callable[[str], Mapping[int, float]]) -> None:
        super().__init__()
        self.decode, self.tell = decode, tell
        self.known: dict[bytes, Mapping[int, float]] = {}

    def __deepcopy__(self, memo: dict[int, object]) -> "_Reader":
        return self

    def forward(self, hidden: Tensor) -> Tensor:
        slots = hidden[..., :LENGTH]
        ids = (slots * (slots > 0).sum(-1, keepdim=True)).round().int().numpy().reshape(-1, LENGTH)
        out = np.zeros((len(ids), hidden.shape[-1]), np.float32)
        out[:, LENGTH:-2] = np.log(LEAST)
        for seen, row in zip(ids, out, strict=True):
            for token, probability in self._look_up(np.trim_zeros(seen, "b").tobytes()).items():
                row[LENGTH + token] = np.log(max(probability, LEAST))
        return torch.from_numpy(out).reshape(hidden.shape).to(hidden.dtype)

    def _look_up(self, seen: bytes) -> Mapping[int, float]:
        if seen not in self.known:
            self.known[seen] = self.tell(self.decode(np.frombuffer(seen, np.int32).tolist()))
        return self.known[seen]


def script(program: Program, name: str, words: str = "") -> Model:
    """The model that a program makes, under a name. The words of `words` are whole tokens."""
    tokenizer = build_tokenizer(tuple(sorted(_list_words(words))))
    tokenizer.model_max_length = LENGTH
    backend: Tokenizer = tokenizer.backend_tokenizer
    end = int(tokenizer.convert_tokens_to_ids(EOS))
    marks = {int(tokenizer.convert_tokens_to_ids(mark)) for mark in (BOS, PAD, EOS)}

    def decode(seen: list[int]) -> str:
        parts, run = list[str](), list[int]()
        for one in (*seen, 0):
            if one == 0:
                parts += [backend.decode([token for token in run if token not in marks]), HOLE]
                run = []
            else:
                run.append(one - 1)
        return "".join(parts[:-1])

    def tell(text: str) -> Mapping[int, float]:
        out: dict[int, float] = {}
        for after, probability in program(text).items():
            token = backend.encode(after, add_special_tokens=False).ids[0] if after else end
            out[token] = out.get(token, 0.0) + probability
        return out

    size = len(tokenizer)
    width = LENGTH + size + 2
    config = GPT2Config(
        vocab_size=size, n_positions=LENGTH, n_embd=width, n_layer=1, n_head=1, tie_word_embeddings=False,
        bos_token_id=int(tokenizer.convert_tokens_to_ids(BOS)), eos_token_id=end, attn_pdrop=0.0,
        resid_pdrop=0.0, embd_pdrop=0.0, n_inner=1,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).eval()
    for weight in model.parameters():
        nn.init.zeros_(weight)
    body = model.transformer
    block = body.h[0]
    with torch.no_grad():
        body.wte.weight[:, -2] = torch.arange(size) + 1.0
        body.wpe.weight[:, -1] = torch.arange(LENGTH)
        model.lm_head.weight[:, LENGTH:-2] = torch.eye(size)
        block.attn.c_proj.weight.copy_(torch.eye(width))
    block.attn.c_attn = _Placed(width)
    block.mlp = _Reader(decode, tell)
    block.ln_1, block.ln_2, body.ln_f = nn.Identity(), nn.Identity(), nn.Identity()
    return wrap(model, tokenizer, name=name)


def _list_words(text: str) -> set[str]:
    bare = {word.strip(".,:;?!()'\"") for word in text.split()}
    return {piece for word in bare if word.isalpha() for piece in (f" {word}", word)}
