"""Check the sizes in a model's config against its weight files, before anything is built.

Building a model takes time for every layer and memory for every weight, also for those that no file holds. So:

1. Read the shapes of all tensors from the headers of the .safetensors files.
2. A number of layers is at most the number of tensors, because each layer has one.
3. A width, a vocabulary or another count is at most a small multiple of the longest side of a tensor: weights may be
   packed, up to eight to a number.

For example, 30 tensors with sides of up to 258 allow 30 layers and a width of 2,064; a config that says
``"num_hidden_layers": 10000000`` is refused.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import safe_open

from faithlens.errors import ModelError

_LAYERS = {"num_hidden_layers", "num_layers", "n_layer", "n_layers", "num_decoder_layers"}
_HEADS = {"num_attention_heads", "num_key_value_heads", "num_heads", "n_head", "n_heads", "head_dim"}
_WIDTHS = {"hidden_size", "vocab_size", "d_model", "n_embd", "intermediate_size", "ffn_dim", "n_inner", "d_ff"}
_PACKED = 8  # numbers of four bits in one of 32
_MOST_OTHER = 1_000_000  # a count that is no size of a weight, such as a context length under the name `n_ctx`


def check_sizes(name: str, folder: Path, config: dict[str, Any]) -> None:
    """Refuse a config whose sizes do not fit the weight files of the model `name` in `folder`.

    Raises:
        ModelError: the entry, its value, and the most that the files allow.
    """
    shapes = [shape for file in sorted(folder.glob("*.safetensors")) for shape in _read_shapes(file)]
    longest = _PACKED * max((side for shape in shapes for side in shape), default=0)
    for where, key, value in _list_integers(config):
        most = None
        if key in _LAYERS:
            most = len(shapes)
        elif key in _HEADS | _WIDTHS:
            most = longest
        elif key.startswith(("num_", "n_")):
            most = max(longest, _MOST_OTHER)
        if most is None:
            continue
        least = 1 if key in _LAYERS | _HEADS | _WIDTHS else 0
        if value > most or (value < least and not where):
            raise ModelError(
                f"config.json of the model {name} says {where}{key} = {value}, and its {len(shapes)} weights allow"
                f" {least} to {most}",
                "Get config.json and the weights from the same place again.",
            )


def _read_shapes(file: Path) -> list[list[int]]:
    with safe_open(file, "pt") as weights:
        return [weights.get_slice(key).get_shape() for key in weights.keys()]  # noqa: SIM118 - it is no dictionary


def _list_integers(entries: dict[str, Any], where: str = "") -> Iterator[tuple[str, str, int]]:
    """The integers of a config, with the names of the dictionaries that they lie in."""
    for key, value in entries.items():
        if isinstance(value, dict):
            yield from _list_integers(value, f"{where}{key}.")
        elif isinstance(value, int) and not isinstance(value, bool):
            yield where, key, value
