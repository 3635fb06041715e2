"""Tokens per second of `generate` beside Hugging Face transformers: same weights, same threads, turn by turn in one run.

    cargo build -p talking-points-cli
    python benches/against_transformers.py target/debug/talking-points FOLDER [--rounds 5]

FOLDER receives random Llamas of 0.1 B and 0.5 B parameters in f32, made once. A prompt of 256 tokens is read and 64 are
written, for one row and for eight. `read` is the time to the first token, `write` what the others took.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

parser = argparse.ArgumentParser()
parser.add_argument("command", type=Path)
parser.add_argument("folder", type=Path)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--threads", type=int, default=os.cpu_count())
args = parser.parse_args()

torch.set_num_threads(args.threads)
environment = {**os.environ, "RAYON_NUM_THREADS": str(args.threads), "RUST_LOG": "off"}
READ, WRITTEN = 256, 64
SHAPES = {"0.1B": dict(hidden_size=768, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=12, num_key_value_heads=12),
          "0.5B": dict(hidden_size=1536, intermediate_size=4096, num_hidden_layers=16, num_attention_heads=12, num_key_value_heads=12)}


def made(name):
    """A folder with a random model and the tokenizer of `--random tiny`."""
    folder = args.folder / name
    if not (folder / "config.json").exists():
        tiny = args.folder / "tiny"
        if not tiny.exists():
            subprocess.run([args.command, "generate", "--random", "tiny", "--model", tiny, "--prompt", "a", "--json"], check=True, env=environment, stdout=subprocess.DEVNULL)
        torch.manual_seed(0)
        config = LlamaConfig(vocab_size=32000, max_position_embeddings=2048, tie_word_embeddings=False, eos_token_id=None, bos_token_id=None, pad_token_id=None, **SHAPES[name])
        LlamaForCausalLM(config).save_pretrained(folder)
        (folder / "tokenizer.json").write_bytes((tiny / "tokenizer.json").read_bytes())
        # Random weights would end an answer at random: no token ends one.
        (folder / "generation_config.json").write_text("{}")
    return folder


def ours(folder, rows, extra=()):
    prompt = "a " * (READ - 1)
    command = [args.command, "generate", "--model", folder, "--prompt", prompt, "--plain", "--answers", str(rows), "--max-new-tokens", str(WRITTEN), "--json", *extra]
    result = json.loads(subprocess.run(command, check=True, env=environment, capture_output=True, text=True).stdout)
    read = result["seconds_to_first_token"]
    return read, result["seconds"] - read, result["prompt_tokens"]


@torch.inference_mode()
def theirs(model, rows, n_prompt):
    ids = torch.full((rows, n_prompt), 5)
    began = time.perf_counter()
    output = model(ids, use_cache=True, logits_to_keep=1)
    token = output.logits[:, -1].argmax(-1, keepdim=True)
    read = time.perf_counter() - began
    cache = output.past_key_values
    began = time.perf_counter()
    for _ in range(WRITTEN - 1):
        output = model(token, past_key_values=cache, use_cache=True)
        token = output.logits[:, -1].argmax(-1, keepdim=True)
    return read, time.perf_counter() - began


for name in SHAPES:
    folder = made(name)
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    gigabytes = 4 * (sum(p.numel() for p in model.parameters()) - model.get_input_embeddings().weight.numel()) / 1e9
    for rows in (1, 8):
        times = {"ours": [], "ours q8_0": [], "transformers": []}
        for _ in range(args.rounds):
            read, write, n_prompt = ours(folder, rows)
            times["ours"].append((read, write))
            times["ours q8_0"].append(ours(folder, rows, ["--weights", "q8_0"])[:2])
            times["transformers"].append(theirs(model, rows, n_prompt))
        medians = {who: [statistics.median(column) for column in zip(*rounds)] for who, rounds in times.items()}
        base_read, base_write = medians["transformers"]
        for who, (read, write) in medians.items():
            rate = rows * (WRITTEN - 1) / write
            # Blocks of 32 bytes with a scale of two hold 32 numbers of four bytes.
            moved = gigabytes * 34 / 128 if "q8_0" in who else gigabytes
            print(f"{name} rows {rows}: {who:12}  read {n_prompt} tokens {read:6.3f} s ({base_read / read:4.2f} of transformers)"
                  f"  write {rate:7.1f} tokens/s ({base_write / write:4.2f})  weights read at {moved * (WRITTEN - 1) / write:5.1f} GB/s", flush=True)
    del model
