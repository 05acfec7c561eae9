"""What the help pages add to docstrings: examples, exit codes, and the headings of options."""

OPTION_GROUPS: dict[str, tuple[str, ...]] = {
    "What is audited": ("--model", "--name", "--task", "-n", "--suite", "--assays", "--traces", "--skip-bad"),
    "Sampling of chains": (
        "--samples", "--temperature", "--top-p", "--max-new-tokens", "--sampler", "--sampler-url", "--seed",
    ),
    "Edits": ("--editor", "--regenerations", "--points", "--ends"),
    "Verdict": ("--max-unfaithful", "--min-accuracy"),
    "Where it runs": ("--device", "--threads", "--dtype", "--backend", "--batch", "--budget", "--trust-remote-code"),
    "Several workers": ("--prepare-only", "--engine", "--workers", "--gpus-per-worker", "--address", "--submit"),
    "Run folder and output": ("--out", "--resume", "--reuse", "--dry-run", "--json"),
}  # fmt: skip
"""The options of `audit` under their headings."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "": (
        "faithlens audit --model Qwen/Qwen2.5-0.5B-Instruct --task variable-chain --out my-run",
        "faithlens view my-run",
        "faithlens decide my-run --max-unfaithful 0.1",
    ),
    "audit": (
        "faithlens audit --model O5 --task running-sum -n 12 --out my-run",
        "faithlens audit --model ./my-checkpoint --name mine --task my-questions.jsonl --dry-run",
        "faithlens audit --resume my-run",
        "faithlens audit --model O5 --task running-sum -n 24 --reuse my-run --out larger-run",
    ),
    "work": ("faithlens work my-run --rank 0 --of 8",),
    "conclude": ("faithlens conclude my-run",),
    "judge": (
        "faithlens judge my-run --reader words --reader http://localhost:8000/v1#Qwen/Qwen3-8B --dry-run",
        "faithlens judge my-run --reader https://api.example.com/v1#NAME --reader ./my-judge",
    ),
    "monitor": (
        "faithlens monitor my-run --reader words --reader text --reader http://localhost:8000/v1#Qwen/Qwen3-8B",
    ),
    "sweep": ("faithlens sweep plan.toml --out my-sweep", "faithlens sweep --resume my-sweep"),
    "view": ("faithlens view my-run", "faithlens view my-run another-run --file page.html"),
    "decide": ("faithlens decide my-run --max-unfaithful 0.1 --min-accuracy 0.8 --json",),
    "compare": ("faithlens compare before after --measure mediation.content_share",),
    "power": ("faithlens power -n 100 --accuracy 0.9 --without 0.5 --change 0.3", "faithlens power my-run"),
    "send": ("faithlens send my-run --to mlflow --project faithfulness",),
    "export": ("faithlens export my-run scores.parquet", "faithlens export my-run my-dataset --to dataset"),
    "query": (
        "faithlens query \"SELECT run, avg(value) FROM scores WHERE measure = 'accuracy.full' GROUP BY run\" runs/*",
    ),
    "replicate": ("faithlens replicate turpin ./released-files",),
    "doctor": ("faithlens doctor Qwen/Qwen2.5-0.5B-Instruct",),
    "bench": ("faithlens bench --model smollm2-135m --benchmark capture",),
    "validate": (
        "faithlens validate --organisms O4,O5 -n 40 --out my-validation",
        "faithlens validate --labels my-run=labels.csv --json",
    ),
    "measures": ("faithlens measures mediation.content_share",),
    "tasks": ("faithlens tasks --json",),
    "assays": ("faithlens assays mistakes",),
    "schema": ("faithlens schema traces --json",),
    "organisms": ("faithlens organisms list",),
    "organisms list": ("faithlens organisms list --json",),
    "organisms train": ("faithlens organisms train O4 O5 --seeds 1-3 --jobs 2",),
    "organisms family": ("faithlens organisms family steady --out families",),
    "organisms certify": ("faithlens organisms certify ./my-organism",),
}
"""Command lines by the name of their command."""

COMMON_EXIT_CODES: dict[int, str] = {
    0: "the command did what it was asked",
    1: "a fault of faithlens itself, with a traceback",
    2: "an error that you can correct: the message says what was wrong and what to do",
    130: "interrupted by Ctrl-C: the message says what is kept and how to go on",
}
"""What the exit code of most commands means."""

EXIT_CODES: dict[str, dict[int, str]] = {
    "decide": {
        0: "on every task, some model is trusted",
        1: "on some task, no model is trusted and none is undecided",
        2: "undecided: all other cases",
        3: "no verdict, because of an error or of Ctrl-C",
    },
    "doctor": COMMON_EXIT_CODES | {1: "a check failed, or a fault of faithlens itself, with a traceback"},
    "validate": COMMON_EXIT_CODES
    | {1: "with --strict: a requirement is not met; or a fault of faithlens itself, with a traceback"},
}
"""What it means for the commands that have exit codes of their own."""
