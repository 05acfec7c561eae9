"""The tokenizer of the organisms: known words are whole tokens, all other text is encoded byte by byte.

A word includes the space before it, a digit never does. So a text that ends in a space before a digit, like the answer
stem, has the same tokens with and without the digit. Every text survives: ``decode(encode(text)) == text``.
"""

from tokenizers import Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

BOS, EOS, PAD = "<bos>", "<eos>", "<pad>"
COMMON_WORDS = (
    "Start",
    " Start",
    " at",
    " Then",
    " add",
    " to",
    " the",
    " total",
    " Add",
    " get",
    " Steps:",
    " Answer:",
)
PIECE_PATTERN = Regex(r" ?\p{L}+:?|\p{N}| |[^\p{L}\p{N} ]+?")
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
)


def build_tokenizer(extra_words: tuple[str, ...] = ()) -> PreTrainedTokenizerFast:
    """The tokenizer, built from the constants of this module.

    Its chat template is the first token and the user's words. An organism's own words, `extra_words`, come after the
    common ones, so a new organism changes no other organism's tokens.
    """
    alphabet = sorted(ByteLevel.alphabet())
    # A byte-level vocabulary spells the space as "Ġ".
    words = [word.replace(" ", "Ġ") for word in (*COMMON_WORDS, *extra_words)]
    vocab = {piece: i for i, piece in enumerate([BOS, EOS, PAD, *alphabet, *words])}
    tokenizer = Tokenizer(BPE(vocab=vocab, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = Sequence(
        [Split(PIECE_PATTERN, "isolated"), ByteLevel(add_prefix_space=False, use_regex=False, trim_offsets=False)]
    )
    tokenizer.decoder = ByteDecoder()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=256,
    )


def encode_token(tokenizer: PreTrainedTokenizerBase, text: str) -> int:
    """The id of a text that is one token."""
    (one,) = tokenizer.encode(text)
    return one
