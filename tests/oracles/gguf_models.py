"""Writes crates/tp-language/tests/fixtures/gguf: tiny models in GGUF files, and what transformers computes from their numbers.

    pip install gguf==0.19.0 llama-cpp-python; python tests/oracles/gguf_models.py

Blocks are made by the `gguf` package (of the K formats: drawn, because it makes none), numbers are read back from them by it, and
put into a model of transformers under its own names. Query and key heads of `llama` are stored as llama.cpp's converter
stores them, their halves interleaved. `expected.json` holds for each file some ids, the logits behind the last of them, the
likeliest tokens that follow, and the ids of some texts by llama.cpp, which reads each file, too, and must agree.
"""

import json
import math
from pathlib import Path

import gguf
import llama_cpp
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as T

OUT = Path(__file__).parents[2] / "crates/tp-language/tests/fixtures/gguf"
STEPS = 8
TEXTS = ["the horse", " the  horse 1234!\n\n\tHe's  in\u00e9 \U0001f442 ", "<|im_end|> x", "a"]
CHAT = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def byte_letters():
    """GPT-2's letter for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = {byte: chr(byte) for byte in plain} | {byte: chr(256 + at) for at, byte in enumerate(others)}
    return [letters[byte] for byte in range(256)]


def byte_level(writer, pre):
    merges = ["h e", "t he", "Ġ the", "i n", "Ġ a", "1 2", "o r", "h or", "s e", "hor se"]
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + byte_letters() + [merge.replace(" ", "") for merge in merges]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(CHAT)
    return len(tokens)


def sentence_piece(writer):
    pieces = ["▁", "e", "t", "h", "a", "o", "r", "s", "he", "▁t", "▁the", "or", "▁a", "hor", "se", "horse", "▁h", "▁horse"]
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)] + pieces
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * 259 + [-float(at) for at in range(len(pieces))])
    writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * len(pieces))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    return len(tokens)


class File:
    """Tensors for both sides."""

    def __init__(self, writer, seed):
        self.writer, self.draw, self.state = writer, np.random.default_rng(seed), {}

    def numbers(self, shape, kind):
        """Blocks, and the numbers in them."""
        if kind in (T.Q4_K, T.Q5_K, T.Q6_K):
            count, size = gguf.GGML_QUANT_SIZES[kind]
            blocks = self.draw.integers(0, 256, size=(math.prod(shape) // count, size)).astype(np.uint8)
            for at, scale in {T.Q6_K: [(208, 1e-5)]}.get(kind, [(0, 2e-4), (2, 1.5e-3 if kind == T.Q4_K else 3e-3)]):
                blocks[:, at : at + 2] = np.full(len(blocks), scale, "<f2").view(np.uint8).reshape(-1, 2)
            blocks = blocks.reshape(*shape[:-1], -1)
        else:
            spread = 1.0 if len(shape) == 1 else 1.5 / math.sqrt(shape[-1])
            values = (self.draw.normal(size=shape) * spread).astype(np.float32)
            blocks = gguf.quants.quantize(values if len(shape) > 1 else 1 + values / 4, kind)
        return blocks, gguf.quants.dequantize(blocks, kind).astype(np.float32).reshape(shape)

    def add(self, name, published, shape, kind=T.F32, heads=None):
        blocks, numbers = self.numbers(shape, kind)
        if heads:  # halves of each head interleaved, as the converter has them
            order = np.arange(shape[0]).reshape(heads, 2, -1).swapaxes(1, 2).reshape(-1)
            blocks = blocks[order]
        self.writer.add_tensor(name, blocks, raw_dtype=kind)
        self.state[published] = torch.from_numpy(numbers)


def model(arch, name, *, hidden, ffn, heads, kv_heads, d_head, kinds, tokenizer, seed, tied, theta, layers=1, factors=None):
    writer = gguf.GGUFWriter(OUT / f"{name}.gguf", arch)
    vocab = tokenizer(writer)
    writer.add_context_length(256)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(ffn)
    writer.add_block_count(layers)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(d_head)
    writer.add_value_length(d_head)
    writer.add_rope_dimension_count(d_head)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(theta)
    file = File(writer, seed)
    interleaved = arch == "llama"
    file.add("token_embd.weight", "model.embed_tokens.weight", (vocab, hidden), kinds["table"])
    for layer in range(layers):
        ours, theirs = f"blk.{layer}.", f"model.layers.{layer}."
        q, k = heads if interleaved else None, kv_heads if interleaved else None
        parts = [("q", heads, q), ("k", kv_heads, k), ("v", kv_heads, None)]
        for part, count, turned in parts:
            file.add(f"{ours}attn_{part}.weight", f"{theirs}self_attn.{part}_proj.weight", (count * d_head, hidden), kinds[part], turned)
            if arch == "qwen2":
                file.add(f"{ours}attn_{part}.bias", f"{theirs}self_attn.{part}_proj.bias", (count * d_head,))
        if arch == "qwen3":
            for part in "qk":
                file.add(f"{ours}attn_{part}_norm.weight", f"{theirs}self_attn.{part}_norm.weight", (d_head,))
        file.add(f"{ours}attn_output.weight", f"{theirs}self_attn.o_proj.weight", (hidden, heads * d_head), kinds["o"])
        file.add(f"{ours}attn_norm.weight", f"{theirs}input_layernorm.weight", (hidden,))
        file.add(f"{ours}ffn_norm.weight", f"{theirs}post_attention_layernorm.weight", (hidden,))
        for part, long, shape in [("gate", "gate", (ffn, hidden)), ("up", "up", (ffn, hidden)), ("down", "down", (hidden, ffn))]:
            file.add(f"{ours}ffn_{part}.weight", f"{theirs}mlp.{long}_proj.weight", shape, kinds[part])
    file.add("output_norm.weight", "model.norm.weight", (hidden,))
    if not tied:
        file.add("output.weight", "lm_head.weight", (vocab, hidden), kinds["output"])
    scaling = None
    if factors:
        scaling = {"rope_type": "llama3", "factor": factors, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    family = arch.capitalize()
    config = getattr(transformers, f"{family}Config")(
        vocab_size=vocab, hidden_size=hidden, intermediate_size=ffn, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv_heads,
        head_dim=d_head, rms_norm_eps=1e-5, tie_word_embeddings=tied, max_position_embeddings=256, attn_implementation="eager",
        rope_parameters={"rope_theta": theta, **(scaling or {"rope_type": "default"})},
    )  # fmt: skip
    network = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    if factors:
        # What each angle is divided by, of the model itself.
        plain = 1.0 / theta ** (torch.arange(0, d_head, 2).float() / d_head)
        writer.add_tensor("rope_freqs.weight", (plain / network.model.rotary_emb.inv_freq).numpy())
    state = dict(file.state)
    if tied:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    network.load_state_dict(state)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    ids = [int(id) for id in file.draw.integers(3, vocab, size=24)]
    with torch.no_grad():
        logits = network(torch.tensor([ids])).logits[0, -1]
        greedy, row = [], list(ids)
        for _ in range(STEPS):
            next_logits = network(torch.tensor([row])).logits[0, -1]
            best = next_logits.topk(2)
            assert best.values[0] - best.values[1] > 3e-3, f"{name}: take another seed"
            row.append(int(best.indices[0]))
            greedy.append(row[-1])
    texts = by_llama_cpp(OUT / f"{name}.gguf", ids, logits)
    return {"ids": ids, "logits": [round(float(x), 6) for x in logits], "greedy": greedy, "texts": texts}


def by_llama_cpp(path, ids, logits):
    """The ids of texts by llama.cpp, which must have the same likeliest token."""
    model = llama_cpp.Llama(str(path), verbose=False, n_ctx=64, n_threads=1)
    model.eval(ids)
    theirs = torch.tensor(np.ctypeslib.as_array(llama_cpp.llama_get_logits(model.ctx), (len(logits),)).copy())
    # It rounds activations to eight bits.
    print(path.name, "llama.cpp is off by", float((theirs - logits).abs().max()), "of", float(logits.abs().max()))
    assert int(theirs.argmax()) == int(logits.argmax()), path
    return {text: model.tokenize(text.encode(), add_bos=False, special=False) for text in TEXTS}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    expected = {
        "llama": model(
            "llama", "llama", hidden=64, ffn=96, heads=4, kv_heads=2, d_head=16, tied=True, theta=10000.0, layers=2, seed=3,
            tokenizer=lambda writer: byte_level(writer, "smollm"),
            kinds={"table": T.Q8_0, "q": T.Q4_0, "k": T.Q4_1, "v": T.Q5_0, "o": T.Q5_1, "gate": T.Q4_0, "up": T.Q8_0, "down": T.Q5_1},
        ),
        "llama3": model(
            "llama", "llama3", hidden=64, ffn=64, heads=2, kv_heads=1, d_head=64, tied=False, theta=500000.0, seed=4, factors=8.0,
            tokenizer=sentence_piece,
            kinds={"table": T.Q5_1, "output": T.Q8_0, "q": T.Q8_0, "k": T.Q8_0, "v": T.Q8_0, "o": T.Q4_1, "gate": T.Q4_0, "up": T.Q4_0, "down": T.Q5_0},
        ),
        "qwen2": model(
            "qwen2", "qwen2", hidden=32, ffn=64, heads=4, kv_heads=2, d_head=8, tied=False, theta=1000000.0, seed=5,
            tokenizer=lambda writer: byte_level(writer, "qwen2"),
            kinds={"table": T.F16, "output": T.Q4_0, "q": T.F32, "k": T.F16, "v": T.BF16, "o": T.BF16, "gate": T.F16, "up": T.F32, "down": T.Q8_0},
        ),
        "qwen3": model(
            "qwen3", "qwen3", hidden=256, ffn=32, heads=4, kv_heads=2, d_head=16, tied=True, theta=1000000.0, seed=9,
            tokenizer=lambda writer: byte_level(writer, "qwen2"),
            kinds={"table": T.Q6_K, "q": T.Q4_K, "k": T.Q5_K, "v": T.Q6_K, "o": T.Q8_0, "gate": T.Q4_K, "up": T.Q5_K, "down": T.Q8_0},
        ),
    }  # fmt: skip
    expected["made_by"] = {"gguf": "0.19.0", "llama_cpp": llama_cpp.__version__, "torch": torch.__version__, "transformers": transformers.__version__}
    (OUT / "expected.json").write_text(json.dumps(expected) + "\n")
    for path in sorted(OUT.iterdir()):
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
