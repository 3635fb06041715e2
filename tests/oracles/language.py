"""Stage `language`: decoders of the Llama kind against transformers, with a LoRA adapter against peft.

    python tests/oracles/language.py --out DIR [--seed N] [--random] [--variant FAMILY[-lora]]

The model stands in `model/` as Hugging Face lays it out (`config.json`, `model.safetensors`, in shards for qwen2, in bf16 for
qwen3), the adapter in `adapter/` as peft does. In: `input_ids [b, s]`, or `inputs_embeds` for internlm2-lora,
`attention_mask` with padding on the left of the last row, `position_ids`, counted from the first real token. Out: `logits`,
`hidden` (after the final norm), both zero where the mask is 0 and not to be compared there; `greedy [b, steps]`, the likeliest
tokens that follow. With an adapter they are those of the adapted model, and `logits_without_adapter` those of the base.

InternLM2 has no class in transformers: it is a Llama whose weights are stored under InternLM2's names, queries, keys and
values fused group by group; `internlm2` below reads them back by formula. transformers computes norms and rotations in f32
whatever its inputs are, so here everything is computed in f32.
"""

import json
import math
import shutil
from pathlib import Path

import peft
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file, save_file

from fixture import Tensors, arguments, check, fill, generator, made_by, normal, read, save_json, save_tensors, write

FAMILIES = ("llama", "llama3", "qwen2", "qwen3", "internlm2")
STEPS = 6

INTERNLM2_NAMES = [
    ("embed_tokens.", "tok_embeddings."),
    ("self_attn.o_proj.", "attention.wo."),
    ("mlp.gate_proj.", "feed_forward.w1."),
    ("mlp.up_proj.", "feed_forward.w3."),
    ("mlp.down_proj.", "feed_forward.w2."),
    ("post_attention_layernorm.", "ffn_norm."),
    ("input_layernorm.", "attention_norm."),
    ("lm_head.", "output."),
]


def model_config(family: str, sizes: dict) -> transformers.PretrainedConfig:
    shared = {**sizes, "max_position_embeddings": 512, "bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    if family == "llama":
        return transformers.LlamaConfig(**shared, rope_theta=1e4, tie_word_embeddings=False)
    if family == "llama3":
        scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
        # So short an original context that these few tokens meet all three bands of the scaling.
        scaling["original_max_position_embeddings"] = 32
        return transformers.LlamaConfig(**shared, rope_theta=500.0, rope_scaling=scaling, tie_word_embeddings=True)
    if family == "qwen2":
        return transformers.Qwen2Config(**shared, rope_theta=1e6, tie_word_embeddings=False)
    if family == "qwen3":
        d_head = sizes["hidden_size"] // sizes["num_attention_heads"] + 4
        return transformers.Qwen3Config(**shared, head_dim=d_head, rope_theta=1e6, tie_word_embeddings=True)
    return transformers.LlamaConfig(**shared, rope_theta=1e6, tie_word_embeddings=False)


def fused(groups: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """For each key head its query heads, the key, the value: `[groups · (queries per key + 2) · d_head, …]`."""
    return torch.cat([x.unflatten(0, (groups, -1)) for x in (q, k, v)], 1).flatten(0, 1)


def internlm2_names(state: Tensors, groups: int) -> Tensors:
    """Llama's weights, or the `lora_B` of them, under InternLM2's names."""
    out = {}
    for name, value in state.items():
        if ".k_proj." in name or ".v_proj." in name:
            continue
        if ".q_proj." in name and "lora_A" not in name:
            value = fused(groups, *(state[name.replace("q_proj", f"{which}_proj")] for which in "qkv"))
        name = name.replace("self_attn.q_proj.", "attention.wqkv.")
        for theirs, ours in INTERNLM2_NAMES:
            name = name.replace(theirs, ours)
        out[name] = value.contiguous()
    return out


def internlm2(w: Tensors, config: dict, x: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, lora: Tensors | None, scale: float):
    """InternLM2 by its published formulas, with an unmerged adapter: logits and hidden states."""
    heads, groups, eps = config["num_attention_heads"], config["num_key_value_heads"], config["rms_norm_eps"]
    d_head = config["hidden_size"] // heads

    def rms(name: str, x: torch.Tensor) -> torch.Tensor:
        return x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt() * w[f"{name}.weight"]

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        y, narrow = F.linear(x, w[f"{name}.weight"]), f"base_model.model.{name}.lora_A.weight"
        if lora is None or narrow not in lora:
            return y
        return y + scale * F.linear(F.linear(x, lora[narrow]), lora[narrow.replace("lora_A", "lora_B")])

    angle = positions[:, None, :, None] * config["rope_theta"] ** (-torch.arange(0, d_head, 2).double() / d_head)

    def rotated(x: torch.Tensor) -> torch.Tensor:
        a, b = x.chunk(2, -1)
        return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)

    length = x.shape[1]
    closed = ~(torch.ones(length, length).tril().bool() & mask[:, None, None, :].bool())
    for index in range(config["num_hidden_layers"]):
        name = f"model.layers.{index}"
        qkv = linear(f"{name}.attention.wqkv", rms(f"{name}.attention_norm", x)).unflatten(-1, (groups, -1, d_head))
        q = rotated(qkv[..., :-2, :].flatten(2, 3).transpose(1, 2))
        k, v = (qkv[..., slot, :].transpose(1, 2).repeat_interleave(heads // groups, 1) for slot in (-2, -1))
        logits = (q @ rotated(k).transpose(-1, -2) / math.sqrt(d_head)).masked_fill(closed, -1e30)
        x = x + linear(f"{name}.attention.wo", (logits.softmax(-1) @ v).transpose(1, 2).flatten(2))
        n = rms(f"{name}.ffn_norm", x)
        gated = F.silu(linear(f"{name}.feed_forward.w1", n)) * linear(f"{name}.feed_forward.w3", n)
        x = x + linear(f"{name}.feed_forward.w2", gated)
    hidden = rms("model.norm", x)
    return {"logits": linear("output", hidden), "hidden": hidden}


def with_adapter(model, family: str, rank: int, alpha: int, gen: torch.Generator):
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    if not model.config.tie_word_embeddings:
        targets.append("lm_head")
    shape = peft.LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.05, target_modules=targets, task_type="CAUSAL_LM")
    adapted = peft.get_peft_model(model, shape)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            parameter.copy_(normal(gen, *parameter.shape) / parameter.shape[1] ** 0.5)
    if family == "internlm2":  # the fused layer narrows once for queries, keys and values
        for layer in adapted.base_model.model.model.layers:
            q, k, v = (getattr(layer.self_attn, f"{which}_proj").lora_A["default"].weight for which in "qkv")
            k.copy_(q)
            v.copy_(q)
    return adapted.eval()


def save_model(model, family: str, out: Path, sizes: dict, classic: bool) -> None:
    folder = out / "model"
    if family == "internlm2":
        folder.mkdir(parents=True)
        save_tensors(folder / "model.safetensors", internlm2_names(model.state_dict(), sizes["num_key_value_heads"]))
        more = {"hidden_act": "silu", "bias": False, "tie_word_embeddings": False, "max_position_embeddings": 512}
        more |= {"rope_theta": 1e6, "rope_scaling": {"type": "dynamic", "factor": 2.0}, "torch_dtype": "float32"}
        save_json(folder / "config.json", {"architectures": ["InternLM2ForCausalLM"], "model_type": "internlm2", **sizes, **more})
        return
    model.to(torch.bfloat16 if family == "qwen3" else torch.float32)
    model.save_pretrained(folder, max_shard_size="40KB" if family == "qwen2" else "5GB")
    (folder / "generation_config.json").unlink(missing_ok=True)
    config = json.loads((folder / "config.json").read_text())
    if classic:  # as files say it that were written before transformers 5
        rope = config.pop("rope_parameters")
        config["rope_theta"], config["torch_dtype"] = rope.pop("rope_theta"), config.pop("dtype")
        config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    save_json(folder / "config.json", config)


def save_adapter(adapted, family: str, out: Path) -> None:
    folder = out / "adapter"
    adapted.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink()
    config = json.loads((folder / "adapter_config.json").read_text())
    config["target_modules"].sort()  # a set: its order changes from run to run
    if family == "internlm2":
        weights = load_file(folder / "adapter_model.safetensors")
        groups = adapted.config.num_key_value_heads
        save_file(internlm2_names(weights, groups), folder / "adapter_model.safetensors", {"format": "pt"})
        config["target_modules"] = ["output", "w1", "w2", "w3", "wo", "wqkv"]
    save_json(folder / "adapter_config.json", config)


def run(model, inputs: Tensors) -> Tensors:
    given = {name: value.float() if value.is_floating_point() else value for name, value in inputs.items()}
    out = model(**given, output_hidden_states=True, use_cache=False)
    real = inputs["attention_mask"][..., None]
    return {"logits": out.logits * real, "hidden": out.hidden_states[-1] * real}


def greedy(model, inputs: Tensors):
    """The likeliest tokens, each from a pass over all before it, and how close any was to the second likeliest."""
    inputs, tokens, margin = dict(inputs), [], math.inf
    for _ in range(STEPS):
        logits = run(model, inputs)["logits"][:, -1]
        first, second = logits.topk(2).values.unbind(-1)
        margin = min(margin, float((first - second).min()))
        tokens.append(logits.argmax(-1, keepdim=True))
        if "input_ids" in inputs:
            inputs["input_ids"] = torch.cat([inputs["input_ids"], tokens[-1]], 1)
        else:
            embedded = model.get_input_embeddings()(tokens[-1]).to(inputs["inputs_embeds"].dtype)
            inputs["inputs_embeds"] = torch.cat([inputs["inputs_embeds"], embedded], 1)
        inputs["attention_mask"] = F.pad(inputs["attention_mask"], (0, 1), value=1)
        inputs["position_ids"] = F.pad(inputs["position_ids"], (0, 1)).index_copy(
            1, torch.tensor([inputs["position_ids"].shape[1]]), inputs["position_ids"][:, -1:] + 1
        )
    return torch.cat(tokens, 1), margin


def random_inputs(config: dict, batch: int, length: int, padding: int, embeds: bool, gen: torch.Generator) -> Tensors:
    mask = torch.ones(batch, length, dtype=torch.long)
    mask[-1, :padding] = 0
    inputs = {"attention_mask": mask, "position_ids": (mask.cumsum(1) - 1).clamp(min=0)}
    if embeds:
        return inputs | {"inputs_embeds": normal(gen, batch, length, config["hidden_size"])}
    return inputs | {"input_ids": torch.randint(config["vocab_size"], (batch, length), generator=gen)}


def main() -> None:
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    args = arguments(__doc__, FAMILIES + tuple(f"{family}-lora" for family in FAMILIES))
    family, lora = args.variant.removesuffix("-lora"), args.variant.endswith("-lora")
    sizes = {"vocab_size": 61, "hidden_size": 32, "intermediate_size": 44, "num_hidden_layers": 2}
    # So large an eps as llama3's shows whether it is read at all.
    sizes |= {"num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-3 if family == "llama3" else 1e-5}
    batch, length, padding, classic, rank, alpha = 2, 9, 3, family in ("llama3", "qwen2"), 3, 6
    if args.random:
        dice = args.dice
        # Norms over fewer numbers multiply the rounding of both sides.
        groups, heads, d_head = dice.randint(1, 3), dice.randint(1, 3), 2 * dice.randint(4, 8)
        sizes |= {"num_attention_heads": heads * groups, "num_key_value_heads": groups, "hidden_size": heads * groups * d_head}
        sizes |= {"vocab_size": dice.randint(20, 300), "intermediate_size": dice.randint(8, 90), "num_hidden_layers": dice.randint(1, 4)}
        sizes |= {"rms_norm_eps": dice.choice([1e-6, 1e-5, 1e-3])}
        batch, length, classic = dice.randint(1, 3), dice.randint(2, 40), dice.random() < 0.5
        padding, rank = dice.randint(0, length - 1), dice.randint(1, 8)
        alpha = dice.randint(1, 2 * rank)

    gen = generator(args.seed)
    own = model_config(family, sizes)
    own._attn_implementation = "eager"
    for _ in range(1000):
        model = transformers.AutoModelForCausalLM.from_config(own).eval()
        fill(model, gen)
        if family == "qwen3":  # the parameters alone: rounded frequencies of the rotation would be another model
            for parameter in model.parameters():
                parameter.copy_(parameter.bfloat16())
        inputs = random_inputs(sizes, batch, length, padding, args.variant == "internlm2-lora", gen)
        base = run(model, inputs)
        state = {name: value.clone() for name, value in model.state_dict().items()}
        if lora:
            model = with_adapter(model, family, rank, alpha, gen)
        tokens, margin = greedy(model, inputs)
        if margin > 1e-3:
            break
    else:
        raise SystemExit("no draw whose greedy tokens are clear")

    for folder in ("model", "adapter"):
        shutil.rmtree(args.out / folder, ignore_errors=True)
    expected = run(model, inputs) | {"greedy": tokens}
    config = {"stage": "language", "family": family, "model": "model", "adapter": "adapter" if lora else None, **sizes}
    if lora:
        config |= {"lora_rank": rank, "lora_alpha": alpha}
        expected["logits_without_adapter"] = base["logits"]
        save_adapter(model, family, args.out)
    plain = transformers.AutoModelForCausalLM.from_config(own).eval()
    plain.load_state_dict(state)
    save_model(plain, family, args.out, sizes, classic)
    config["made_by"] = made_by(args, "transformers", "torch", *(["peft"] if lora else []))
    write(args.out, config, None, inputs, expected)
    verify(args.out, family, lora, alpha / rank)


def verify(out: Path, family: str, lora: bool, scale: float) -> None:
    """Reads the folder back: by transformers and peft, or by formula where they have no such model."""
    inputs, expected = read(out, "inputs"), read(out, "expected")
    if family != "internlm2":
        model = transformers.AutoModelForCausalLM.from_pretrained(out / "model", dtype=torch.float32, attn_implementation="eager").eval()
        if lora:
            base = {"logits_without_adapter": run(model, inputs)["logits"]}
            check("transformers from the folder", base, expected, 1e-5)
            model = peft.PeftModel.from_pretrained(model, out / "adapter").eval()
        check("peers from the folder", run(model, inputs), expected, 1e-5)
        ids = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}
        cached = model.generate(**ids, do_sample=False, max_new_tokens=STEPS, pad_token_id=0)[:, -STEPS:]
        check("generate with a cache", {"greedy": cached}, expected, 0)
        return
    w = {name: value.double() for name, value in load_file(out / "model" / "model.safetensors").items()}
    config = json.loads((out / "model" / "config.json").read_text())
    embedded = inputs.get("inputs_embeds")
    if embedded is None:
        embedded = w["model.tok_embeddings.weight"][inputs["input_ids"]]
    mask, positions = inputs["attention_mask"], inputs["position_ids"]
    adapters = [None]
    if lora:
        adapters.append({name: value.double() for name, value in load_file(out / "adapter" / "adapter_model.safetensors").items()})
    for adapter in adapters:
        got = {name: value * mask[..., None] for name, value in internlm2(w, config, embedded, mask, positions, adapter, scale).items()}
        if lora and adapter is None:
            got = {"logits_without_adapter": got["logits"]}
        check("formulas in f64", got, expected, 3e-5)


if __name__ == "__main__":
    main()
