"""Writes GGUF files with sliding windows into crates/tp-language/tests/fixtures/gguf, from folders of the same package's fixtures.

    pip install gguf==0.19.0; python tests/oracles/gguf_windows.py

The numbers are those of `fixtures/hub/000` (Mistral: a window in every layer), so that what transformers computed from that folder
(`fixtures/hub/cases.json`, by `hub_folders.py`) is what the file must give, and of `fixtures/hub/001` (Qwen3: a window in the second of
two layers), without its scaling of angles, which files of this architecture do not spell. llama.cpp leaves the windows of these
architectures out.
"""

import json
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T

FIXTURES = Path(__file__).parents[2] / "crates/tp-language/tests/fixtures"
KINDS = {"F32": (T.F32, np.float32), "F16": (T.F16, np.float16), "BF16": (T.BF16, np.uint16)}
LAYER = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def tensors(path):
    """Name, type and numbers of every tensor of a safetensors file; BF16 as bits."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            kind, dtype = KINDS[entry["dtype"]]
            yield name, kind, np.frombuffer(data[8 + length + start : 8 + length + end], dtype).reshape(entry["shape"])


def name_in_file(name):
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    layer, rest = name.removeprefix("model.layers.").split(".", 1)
    part, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{LAYER[part]}.{kind}"


def letters():
    """GPT-2's letter for each byte: a vocabulary is needed, and its words are not."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + at) for at in range(len(others))]


def write(folder, arch, pre, pattern, interleaved):
    folder = FIXTURES / "hub" / folder
    config = json.loads((folder / "config.json").read_text())
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    writer = gguf.GGUFWriter(FIXTURES / f"gguf/window-{arch}.gguf", arch)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_sliding_window(config["sliding_window"])
    if pattern:
        writer.add_sliding_window_pattern(pattern)
    tokens = ["<|endoftext|>", *letters(), "he"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3] + [1] * 257)
    writer.add_token_merges(["h e"])
    writer.add_eos_token_id(0)
    for name, kind, numbers in tensors(folder / "model.safetensors"):
        if name == "lm_head.weight":
            continue  # both are tied
        count = heads if ".q_proj" in name else kv_heads if ".k_proj" in name else None
        if interleaved and count:  # halves of each head, as the converter has them
            numbers = numbers[np.arange(len(numbers)).reshape(count, 2, -1).swapaxes(1, 2).reshape(-1)]
        if numbers.ndim == 1:  # vectors are in single precision
            numbers = (numbers.astype(np.uint32) << 16).view(np.float32) if kind == T.BF16 else numbers.astype(np.float32)
            kind = T.F32
        raw = np.ascontiguousarray(numbers)
        raw = raw.view(np.uint8).reshape(*raw.shape[:-1], -1) if kind == T.BF16 else raw
        writer.add_tensor(name_in_file(name), raw, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    write("000", "llama", "smollm", None, interleaved=True)
    write("001", "qwen3", "qwen2", [False, True], interleaved=False)
