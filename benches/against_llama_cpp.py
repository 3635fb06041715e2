"""Tokens per second of `generate` beside llama.cpp: the same GGUF file, the same threads, turn by turn in one run.

    pip install llama-cpp-python        # compiles llama.cpp for this processor
    cargo build -p talking-points-cli
    python benches/against_llama_cpp.py target/debug/talking-points FILE.gguf [FILE.gguf …] [--rows 1 8] [--threads 1 2]

`read` is a prompt until its first token, `write` are the tokens after it; each is the best of the rounds. Rows are answers
to the same prompt, which both sides read once for each row.
"""

import argparse
import json
import os
import subprocess
import time
from pathlib import Path

import llama_cpp

parser = argparse.ArgumentParser()
parser.add_argument("command", type=Path)
parser.add_argument("models", type=Path, nargs="+")
parser.add_argument("--rows", type=int, nargs="+", default=[1, 8])
parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--read", type=int, default=256)
parser.add_argument("--written", type=int, default=48)
args = parser.parse_args()


def ours(model, threads, rows):
    """Tokens read and written per second by one run of the command."""
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads), "RUST_LOG": "off"}
    command = [args.command, "generate", "--model", model, "--plain", "--prompt", " a" * args.read,
               "--answers", str(rows), "--max-new-tokens", str(args.written + 1), "--json"]
    output = subprocess.run(command, check=True, env=environment, capture_output=True, text=True).stdout
    result = json.loads(output)
    first = result["seconds_to_first_token"]
    written = sum(answer["tokens"] - 1 for answer in result["answers"])
    return rows * result["prompt_tokens"] / first, written / (result["seconds"] - first)


def decode(context, tokens):
    """Computes `(token, position, row, whether its logits are wanted)`."""
    batch = llama_cpp.llama_batch_init(len(tokens), 0, 64)
    batch.n_tokens = len(tokens)
    for at, (token, position, row, wanted) in enumerate(tokens):
        batch.token[at], batch.pos[at], batch.logits[at] = token, position, wanted
        batch.n_seq_id[at], batch.seq_id[at][0] = 1, row
    assert llama_cpp.llama_decode(context, batch) == 0
    llama_cpp.llama_synchronize(context)
    llama_cpp.llama_batch_free(batch)


def theirs(model, threads, rows):
    """The same by llama.cpp, which writes given tokens: choosing them costs it nothing."""
    options = llama_cpp.llama_context_default_params()
    options.n_ctx = (args.read + args.written + 8) * rows
    options.n_batch, options.n_seq_max = 2048, rows
    options.n_threads = options.n_threads_batch = threads
    context = llama_cpp.llama_init_from_model(model, options)
    began = time.perf_counter()
    for row in range(rows):
        decode(context, [(5 + at * 7 % 900, at, row, at == args.read - 1) for at in range(args.read)])
    read = time.perf_counter() - began
    began = time.perf_counter()
    for step in range(args.written):
        decode(context, [(17 + step, args.read + step, row, True) for row in range(rows)])
    written = time.perf_counter() - began
    llama_cpp.llama_free(context)
    return rows * args.read / read, rows * args.written / written


@llama_cpp.llama_log_callback
def silent(*_):
    pass


llama_cpp.llama_log_set(silent, None)
llama_cpp.llama_backend_init()
print("| file | rows | threads | read: ours | llama.cpp | ratio | write: ours | llama.cpp | ratio |")
print("|---|---|---|---|---|---|---|---|---|")
for path in args.models:
    settings = llama_cpp.llama_model_default_params()
    settings.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), settings)
    for rows in args.rows:
        for threads in args.threads:
            turns = [(ours(path, threads, rows), theirs(model, threads, rows)) for _ in range(args.rounds)]
            (our_read, our_write), (their_read, their_write) = [
                [max(turn[side][what] for turn in turns) for what in (0, 1)] for side in (0, 1)]
            print(f"| {path.stem} | {rows} | {threads} | {our_read:.0f} | {their_read:.0f} | {our_read / their_read:.2f} | "
                  f"{our_write:.1f} | {their_write:.1f} | {our_write / their_write:.2f} |", flush=True)
    llama_cpp.llama_model_free(model)
