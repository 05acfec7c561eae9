"""Reads a report back: its text for a reader, its index, and its chains."""

import base64
import gzip
import json
import re
from html.parser import HTMLParser
from typing import Any


class Reader(HTMLParser):
    """Collects tags, what they load, and the text a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.texts: list[str] = []
        self.inside = ""
        self.attributes: list[dict[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        self.attributes.append({"tag": tag, **dict(attrs)})
        self.loads += [v for k, v in attrs if k in ("src", "href", "srcset", "data") and not (v or "").startswith("#")]

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def read_index(html: str) -> dict[str, Any]:
    """The index of the chains."""
    [text] = re.findall(r'<script type="application/json" id="index">(.*?)</script>', html, re.S)
    return json.loads(text)


def read_chains(html: str) -> list[dict[str, Any]]:
    """Every chain as the page unpacks it."""
    chunks = re.findall(r'<script type="text/plain" class="chunk">(.*?)</script>', html, re.S)
    return [chain for chunk in chunks for chain in json.loads(gzip.decompress(base64.b64decode(chunk)))]
