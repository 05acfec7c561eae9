"""Seeds that depend on nothing but a text, so that what is drawn for one question never depends on another."""

from hashlib import sha256


def derive_seed(text: str) -> int:
    """A seed for `text`, 48 bits: the first six bytes of its SHA-256."""
    return int.from_bytes(sha256(text.encode()).digest()[:6])
