"""Inputs that are broken or meant to do harm, and what a user sees: the rows of docs/hostile.md.

`CASES` maps a kind of input to its cases. A case gets a new folder, makes its input there, and uses it as a command
does; what the user sees is the error that it raises, or the text that it returns.
"""

import json
import os
import pickle
import shutil
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from threading import Thread
from typing import Any
from unittest.mock import patch

import torch
from safetensors.torch import load_file, save_file

from faithlens.commands.sweep.config import read_sweep_config
from faithlens.console import SafeConsole
from faithlens.execution.endpoint import Endpoint
from faithlens.execution.execute import execute
from faithlens.model import templates
from faithlens.model.load import load
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition
from faithlens.plan.memory import plan_passes
from faithlens.store import Run, hold_folder, make_manifest
from faithlens.store.manifest import SCHEMA_VERSION, write_manifest
from faithlens.tasks.transcripts import read_transcripts
from tests.conftest import byte_tokenizer
from tests.execution.http_server import Reply, Request, serve
from tests.model.gguf_files import random_model, write

Case = Callable[[Path], object]
PART = "parts/scores/a%20t%200.parquet"
INDEX = "model.safetensors.index.json"


@cache
def find_whole_model() -> Path:
    folder = Path(mkdtemp()) / "model"
    random_model("llama").save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@cache
def get_gguf() -> bytes:
    return write(Path(mkdtemp()) / "a.gguf", random_model("llama"), "llama").read_bytes()


# --- folders of models ---


def use_model(change: Callable[[Path], object]) -> Case:
    """A folder of a model with a change is loaded, and asked for one answer."""

    def use(folder: Path) -> object:
        shutil.copytree(find_whole_model(), folder / "model")
        change(folder / "model")
        model = load(str(folder / "model"))
        condition = Condition("clean", (Piece("prompt", (5, 9)), Piece("stem", (7,))), ((65,), (66,)))
        return execute(model, plan_passes(model, [condition]))

    return use


def set_config(**entries: object) -> Case:
    return use_model(lambda folder: edit_json(folder / "config.json", entries))


def edit_json(file: Path, entries: dict[str, Any]) -> None:
    file.write_text(json.dumps((json.loads(file.read_text()) if file.exists() else {}) | entries))


def change_weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Case:
    def do(folder: Path) -> None:
        weights = {name: each.clone() for name, each in load_file(folder / "model.safetensors").items()}
        change(weights)
        save_file(weights, folder / "model.safetensors", {"format": "pt"})

    return use_model(do)


def name_shard(shard: str) -> Case:
    def do(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        shutil.copy(folder / "model.safetensors", folder.parent / "outside.safetensors")
        (folder / "x.bin").write_bytes(pickle.dumps({}))
        (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(weights, shard)}))
        (folder / "model.safetensors").rename(folder / "unused.safetensors")

    return use_model(do)


def replace_by_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({}))


def link_outside(folder: Path) -> None:
    shutil.move(folder / "model.safetensors", folder.parent / "outside.safetensors")
    (folder / "model.safetensors").symlink_to(folder.parent / "outside.safetensors")


def truncate_weights(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 1000)


def use_template(template: str) -> Case:
    def use(folder: Path) -> object:
        shutil.copytree(find_whole_model(), folder / "model")
        model = load(str(folder / "model"))
        model.tokenizer.chat_template = template
        with patch.object(templates, "_SECONDS", 1.0):
            return model.render("What is 2 + 3?")

    return use


MODELS: dict[str, Case] = {
    "only a pickle (`pytorch_model.bin`)": use_model(replace_by_pickle),
    "the index of the weights names a pickle": name_shard("x.bin"),
    "the index names a file outside the folder": name_shard("../outside.safetensors"),
    "the weights are a link out of the folder": use_model(link_outside),
    "the weights are cut": use_model(truncate_weights),
    "the configuration names Python code": set_config(auto_map={"AutoModel": "evil.Model"}),
    "10,000,000 layers": set_config(num_hidden_layers=10**7),
    "a vocabulary of 2^62": set_config(vocab_size=2**62),
    "no attention heads": set_config(num_attention_heads=0),
    "a configuration nested 10,000 deep": use_model(lambda f: (f / "config.json").write_text('{"a":' * 10_000)),
    "one weight is NaN": change_weights(lambda w: w["model.norm.weight"][0].fill_(float("nan"))),
    "a weight is missing": change_weights(lambda w: w.pop("model.norm.weight")),
    "a weight has another shape": change_weights(lambda w: w.update({"model.norm.weight": torch.ones(3)})),
    "a chat template of nested loops": use_template(
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    ),
    "a chat template without the question": use_template("Hello.{% if add_generation_prompt %}A:{% endif %}"),
    "a chat template that reaches for Python": use_template("{{ ''.__class__.__mro__[1].__subclasses__() }}"),
    "a chat template whose error holds escapes": use_template("{{ raise_exception('\x1b[2J\x07') }}"),
}


# --- GGUF files ---


def use_gguf(change: Callable[[bytearray], object]) -> Case:
    def use(folder: Path) -> object:
        content = bytearray(get_gguf())
        change(content)
        (folder / "a.gguf").write_bytes(content)
        with patch.dict(os.environ, {"FAITHLENS_CACHE": str(folder / "cache")}):
            return load(str(folder / "a.gguf"))

    return use


def set_number(key: str, number: int) -> Callable[[bytearray], None]:
    def do(content: bytearray) -> None:
        name = f"llama.{key}".encode()
        at = content.find(struct.pack("<Q", len(name)) + name) + 8 + len(name) + 4
        content[at : at + 4] = struct.pack("<I", number)

    return do


def cut(content: bytearray, keep: int) -> None:
    del content[keep:]


GGUFS: dict[str, Case] = {
    "2,147,483,647 layers": use_gguf(set_number("block_count", 2**31 - 1)),
    "no attention heads": use_gguf(set_number("attention.head_count", 0)),
    "another magic number": use_gguf(lambda content: content.__setitem__(0, 0)),
    "cut in its header": use_gguf(lambda content: cut(content, 500)),
    "cut in its weights": use_gguf(lambda content: cut(content, len(content) - 5000)),
    "a pickle called .gguf": use_gguf(lambda content: content.__setitem__(slice(None), pickle.dumps({}))),
}


# --- logs and chains, sweeps ---


def use_file(content: str | bytes, name: str, read: Callable[[Path], object]) -> Case:
    def use(folder: Path) -> object:
        data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        (folder / name).write_bytes(data)
        return read(folder / name)

    return use


def use_log(content: str | bytes) -> Case:
    return use_file(content, "chains.jsonl", lambda path: f"{len(read_transcripts(path))} chain, read as it is")


def write_line(**entries: object) -> str:
    return json.dumps({"question": "2 + 3?", "choices": ["4", "5"], "answer": "B", "cot": "It is 5."} | entries) + "\n"


LOGS: dict[str, Case] = {
    "empty": use_log(""),
    "no UTF-8": use_log(b"\xff\xfe\x00"),
    "a line that is no JSON": use_log(write_line() + "{broken\n"),
    "a list in place of an object": use_log("[1, 2]\n"),
    "nested 100,000 deep": use_log('{"a":' * 100_000),
    "a key without a value": use_log(write_line(cot=None)),
    "an answer that is no option": use_log(write_line(answer="Q")),
    "a misspelled kind of value": use_log(write_line(choices="4, 5")),
    "a chain with NUL characters": use_log(write_line(cot="It is \x00 5.")),
    "a chain with escape codes": use_log(write_line(cot="It is \x1b[2J 5.")),
    "a chain with half a character": use_log(write_line(cot="It is \ud800 5.")),
    "a chain of one line of 1 MB": use_log(write_line(cot="five " * 200_000)),
    "one id for two questions": use_log(write_line(id="a") + write_line(id="a", question="9 + 9?")),
}
SWEEPS: dict[str, Case] = {
    "no TOML": use_file("models = [", "sweep.toml", read_sweep_config),
    "no UTF-8": use_file(b"\xff\xfe", "sweep.toml", read_sweep_config),
    "a misspelled key": use_file('task = ["running-sum"]', "sweep.toml", read_sweep_config),
    "a number in place of a list": use_file("tasks = 3", "sweep.toml", read_sweep_config),
    "a name with escape codes": use_file('"\\u001b[2J" = 3', "sweep.toml", read_sweep_config),
}


# --- run folders ---


def write_run(path: Path, n: int = 2) -> Run:
    run = Run.create(path, make_manifest({"n": 2}, 0, "cpu"))
    at = {"model": "a", "task": "t", "condition": "full", "measure": "accuracy.full", "unit": "fraction"}
    for i in range(n):
        run.write_part("scores", f"a t {i}", [{**at, "question": f"q{i}", "value": 1 / (i + 1)}])
    run.finish()
    run.write_json("verdict.json", {"subjects": [{"model": "a", "task": "t", "verdict": "trust", "reasons": ["x"]}]})
    return run


def use_run(change: Callable[[Path], object]) -> Case:
    def use(folder: Path) -> object:
        path = write_run(folder / "run").path
        change(path)
        return Run.open(path)

    return use


def rewrite(name: str, before: str, after: str) -> Callable[[Path], object]:
    return lambda run: (run / name).write_text((run / name).read_text().replace(before, after))


def raise_schema(run: Path) -> None:
    entries = json.loads((run / "manifest.json").read_text())
    write_manifest(run, {**entries, "schema_version": SCHEMA_VERSION + 1, "versions": {"faithlens": "9.0"}})


def exchange_table(run: Path) -> None:
    other = write_run(run.with_name("other"), n=9)
    shutil.copy(other.path / "scores.parquet", run / "scores.parquet")


def resume_with_others(folder: Path) -> object:
    write_run(folder / "run")
    return Run.create(folder / "run", make_manifest({"n": 3}, 0, "cpu"), resume=True)


def write_twice(folder: Path) -> None:
    with hold_folder(folder / "run"), hold_folder(folder / "run"):
        pass


RUNS: dict[str, Case] = {
    "no run": lambda folder: Run.open(folder / "nothing"),
    "a part is torn": use_run(lambda run: os.truncate(run / PART, 100)),
    "a part is missing": use_run(lambda run: (run / PART).unlink()),
    "a part was copied over another": use_run(lambda run: shutil.copy(run / PART.replace("0.", "1."), run / PART)),
    "a part of nobody": use_run(lambda run: shutil.copy(run / PART, run / "parts/scores/x.parquet")),
    "a table of another run": use_run(exchange_table),
    "a verdict that was edited": use_run(rewrite("verdict.json", "trust", "safe!")),
    "a manifest that was edited": use_run(rewrite("manifest.json", '"n": 2', '"n": 9')),
    "a manifest that is no JSON": use_run(rewrite("manifest.json", "{", "")),
    "a run of a newer faithlens": use_run(raise_schema),
    "other options with --resume": resume_with_others,
    "a second writer": write_twice,
    "an address with a key in it": lambda folder: Run.open("s3://KEY:SECRET@bucket/run"),
}


# --- endpoints ---


def use_server(status: int, headers: dict[str, str], body: bytes) -> Case:
    """An endpoint that answers every request in the same way."""

    def answer(request: Request) -> Reply:
        return status, headers, body

    def use(folder: Path) -> object:
        with serve(answer) as url:
            return Endpoint(url, "m", timeout=60.0, retries=1, first_wait=0.01).write(["a"], [0])

    return use


@contextmanager
def listen(reply: bytes, piece: bytes, pause: float) -> Iterator[str]:
    """A server that answers one request with `reply`, and then with one `piece` after the other."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        connection, _ = listener.accept()
        with connection:
            request = b""
            while not request.endswith(b"}"):
                request += connection.recv(1 << 16)
            try:
                connection.sendall(reply)
                while piece:
                    connection.sendall(piece)
                    time.sleep(pause)
            except OSError:  # the client went away
                return

    thread = Thread(target=run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    listener.close()
    thread.join()


def use_stream(reply: bytes, piece: bytes = b"", pause: float = 0.0, timeout: float = 60.0) -> Case:
    def use(folder: Path) -> object:
        with listen(reply, piece, pause) as url:
            return Endpoint(url, "m", timeout=timeout, retries=0).write(["a"], [0])

    return use


def close_port(folder: Path) -> object:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return Endpoint(f"http://127.0.0.1:{port}/v1", "m", timeout=5.0, retries=0).write(["a"], [0])


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ENDPOINTS: dict[str, Case] = {
    "nobody listens": close_port,
    "500 again and again": use_server(500, {}, b"broken \x1b[2J"),
    "429 with Retry-After": use_server(429, {"Retry-After": "0"}, b"slow down"),
    "401": use_server(401, {}, b"no"),
    "a redirect": use_server(302, {"Location": "http://127.0.0.1:1/"}, b""),
    "HTML in place of JSON": use_server(200, {}, b"<html>hello</html>"),
    "JSON without an answer": use_server(200, {}, b"{}"),
    "JSON nested 10,000 deep": use_server(200, {}, b"[" * 10_000 + b"]" * 10_000),
    "the key in the answer": use_server(200, {}, b'{"heard": "sk-secret-key"}'),
    "half an answer": use_stream(HEAD + b"Content-Length: 100\r\n\r\n{"),
    "a body without end": use_stream(HEAD + b"\r\n", b" " * (1 << 20)),
    "a byte now and then": use_stream(HEAD + b"Content-Length: 9999\r\n\r\n", b" ", pause=0.05, timeout=0.5),
    "no HTTP": use_stream(b"garbage"),
    "a password in the address": lambda folder: Endpoint("http://user:SECRET@127.0.0.1/v1", "m"),
}


# --- the terminal ---


def print_text(text: str) -> Case:
    def use(folder: Path) -> str:
        console = SafeConsole(width=200, record=True, file=(folder / "out").open("w", encoding="utf-8"))
        console.print_line(text)
        return f"shown as {console.export_text().strip()}"

    return use


TEXTS: dict[str, Case] = {
    "escape codes": print_text("\x1b[2J\x1b]0;owned\x07"),
    "brackets of rich": print_text("x[/] [bold]y"),
    "writing from right to left": print_text("a\u202eb"),
    "NUL and backspace": print_text("a\x00\x08b"),
    "half a character": print_text("a\ud800b"),
}

CASES: dict[str, dict[str, Case]] = {
    "Folders of models": MODELS,
    "GGUF files": GGUFS,
    "Chains and logs (`--traces`)": LOGS,
    "Sweeps (`sweep.toml`)": SWEEPS,
    "Run folders": RUNS,
    "Endpoints": ENDPOINTS,
    "Text on a terminal": TEXTS,
}
