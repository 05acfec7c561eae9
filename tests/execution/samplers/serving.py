"""A real server for the tests of samplers: `transformers serve` in a process of its own, on the loopback."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import torch

from faithlens.model.model import Model
from tests.conftest import tiny

_START = "from transformers.cli.transformers import main; main()"


def make_served_model(family: str = "llama") -> Model:
    """A tiny random model that writes ASCII alone, so that its texts say which bytes it wrote."""
    model = copy_model(tiny(family))
    head = model.hf_model.get_output_embeddings().weight
    texts = [model.tokenizer.decode([i]) for i in range(len(head))]
    others = [i for i, text in enumerate(texts) if not (len(text) == 1 and " " <= text <= "~")]
    with torch.no_grad():
        head[[i for i in others if i != model.tokenizer.eos_token_id]] = 0
    for settings in (model.hf_model.generation_config, model.hf_model.config):
        settings.bos_token_id, settings.eos_token_id = 0, model.tokenizer.eos_token_id
    return model


def copy_model(model: Model) -> Model:
    """A model of its own, since tests share the tiny ones."""
    return replace(model, hf_model=deepcopy(model.hf_model))


@contextmanager
def serve(folder: Path, log: Path, *options: str) -> Iterator[str]:
    """The address of a server that runs the model in `folder`, until the end of the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", _START, "serve", str(folder), "--device", "cpu", "--host", "127.0.0.1"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("w") as output:
        server = subprocess.Popen(
            [*command, "--port", str(port), *options], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            while not is_healthy(port):
                assert server.poll() is None, log.read_text()
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/v1#{folder}"
        finally:
            server.terminate()
            server.wait()


def is_healthy(port: int) -> bool:
    """Whether the server answers yet."""
    try:
        with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
            return reply.status == 200
    except (URLError, OSError):
        return False
