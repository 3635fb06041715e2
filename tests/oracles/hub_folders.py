"""Random Hugging Face folders, and what transformers and PEFT make of each: tokens of the prompt, logits after it, greedy text.

    python tests/oracles/hub_folders.py --out DIR [--seed N] [--count N] [--ours PROGRAM]
    python tests/oracles/hub_folders.py --out crates/tp-language/tests/fixtures/hub --small     # the committed ones

Each folder is a tiny random decoder (family × rope × tied tables × grouped queries × window × biases × number format ×
shards), a tokenizer (byte level, or of SentencePiece's kinds), with or without a chat template, and with or without an
adapter. `cases.json` lists them with a prompt and the answer. With `--ours` the program (`target/debug/examples/hub_folders`
or another that speaks as it does: a case in JSON a line, an answer in JSON a line) is asked for each, and what differs is
printed. Greedy tokens are drawn again until the second best is 1e-3 away, so that rounding decides none of them.
"""

import argparse
import json
import random
import subprocess
import sys
import warnings
from pathlib import Path

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from fixture import fill, generator

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

WRITTEN = 16
TEXTS = [
    "what is a hoof? the hard foot of a horse, a cow or a sheep, on which it stands and walks.",
    "the quick brown fox jumps over the lazy dog, [INST] how are you today? [/INST] they do.",
    "user assistant system: hello, you are a helpful assistant.\n",
]
PROMPTS = ["what is a hoof of a horse, and where does it stand?", "  the cow  ", "Größe – 耳?", "a < b [x] & 'c' \"d\"\n\ne", "the sheep"]
CHATML = "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n'}}{% endfor %}{% if add_generation_prompt %}{{'<|im_start|>assistant\n'}}{% endif %}"
# As publishers write them: each shows something that templates do.
CHATS = {
    "chatml": CHATML,
    "bos": "{{ bos_token }}" + CHATML,
    "trim": CHATML.replace("m['content']", "m['content'] | trim"),
    "llama2": "{% for m in messages %}{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + m['content'].strip() + ' [/INST]' }}{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}",
    "llama3": "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|im_start|>' + message['role'] + '\n\n'+ message['content'] | trim + '<|im_end|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{{ '<|im_start|>assistant\n\n' }}",
    "tools": "{%- if tools is not none and tools %}tools{%- endif %}{%- if documents %}documents{%- endif %}{%- if tools is defined %}defined{% endif %}\n" + CHATML,
    "qwen3": "{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}\n{%- for message in messages[::-1] %}\n    {%- set index = (messages|length - 1) - loop.index0 %}\n    {%- if ns.multi_step_tool and message.role == \"user\" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}\n        {%- set ns.multi_step_tool = false %}\n        {%- set ns.last_query_index = index %}\n    {%- endif %}\n{%- endfor %}\n{%- for message in messages %}\n    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n    {%- if enable_thinking is defined and enable_thinking is false %}\n        {{- '<think>\\n\\n</think>\\n\\n' }}\n    {%- endif %}\n{%- endif %}",
    "deepseek": "{% set ns = namespace(is_first=false, system_prompt='') %}{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}{{bos_token}}{{ns.system_prompt}}{%- for message in messages %}{%- if message['role'] == 'user' %}{{'<|im_start|>' + message['content'].split('</think>')[-1]}}{%- endif %}{%- endfor -%}{% if add_generation_prompt %}{{'<|im_end|><think>\\n'}}{% endif %}",
    "gemma": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<|im_start|>' + role + '\n' + message['content'] | trim + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<|im_start|>model\n'}}{% endif %}",
    "generation": "{% for m in messages %}{{'<|im_start|>'+m['role']+'\n'}}\n  {%- if m['role']=='assistant' %}\n  {% generation %}\n{{ m['content']+'<|im_end|>\n' }}{% endgeneration %}\n{% else %}{{ m['content']+'<|im_end|>\n' }}{% endif %}\n{% endfor %}{{'<|im_start|>assistant\n'}}",
    "json": "{{ messages | tojson }}{{ messages[0] | tojson(indent=2) }}{% for k, v in messages[0].items() %}{{ k ~ v }}{% endfor %}" + CHATML,
    "blocks": "\n  {# a comment #}\n  {%- for m in messages -%}\r\n    {% if loop.first %}\r\n      <|im_start|>{{ m.role | upper }}:\n    {% endif %}\n  {{ m.content.replace('a', 'o').title() }}\r\n\t{% if not loop.last %}{% continue %}{% endif %}\n<|im_end|>\n  {%- endfor %}\n  \n",
    "python": "{{ messages[0].content[:5] }}|{{ messages[0]['content'][-3:] }}|{{ messages[0].content.lstrip().upper() }}|{{ messages | map(attribute='role') | join(',') }}|{{ messages | selectattr('role', 'equalto', 'user') | list | length }}|{{ messages[0].content.find('o') }}|{{ 7 // 2 }}|{{ 'x' * 3 }}|{{ true }}{{ none }}|{{ messages[0].get('name', 'nobody') }}|{{ 'name' in messages[0] }}|{{ messages[0].content.split() | length }}<|im_end|>",
    "macro": "{% macro turn(role, text='-') %}<|im_start|>{{ role }}\n{{ caller() if caller else text }}<|im_end|>\n{% endmacro %}{% for m in messages %}{{ turn(m.role, m.content) }}{{ turn(m.role) }}{% endfor %}",
}


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<unk>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(vocab_size=300, min_frequency=2, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.add_tokens([AddedToken("<think>", special=False, normalized=False)])
    return tokenizer


def sentencepiece(kind: str) -> Tokenizer:
    """As Llama 2 (`prepend`), as Mistral (`first`), as Gemma (`replace`), as a Unigram model (`unigram`)."""
    special = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    if kind == "unigram":
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
        trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=special, unk_token="<unk>", show_progress=False)
        tokenizer.train_from_iterator(TEXTS * 3, trainer)
    else:
        learner = Tokenizer(models.BPE(unk_token="<unk>"))
        learner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        alphabet = [f"<0x{byte:02X}>" for byte in range(256)]
        trainer = trainers.BpeTrainer(vocab_size=480, min_frequency=2, special_tokens=special + alphabet, show_progress=False)
        learner.train_from_iterator(TEXTS, trainer)
        model = json.loads(learner.to_str())["model"]
        merges = [tuple(merge) if isinstance(merge, list) else tuple(merge.split(" ")) for merge in model["merges"]]
        tokenizer = Tokenizer(models.BPE(vocab=model["vocab"], merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
        if kind == "prepend":
            tokenizer.normalizer = learner.normalizer
        elif kind == "first":
            tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        else:
            tokenizer.normalizer = normalizers.Replace(" ", "▁")
        tokenizer.add_special_tokens(special)
    if kind == "unigram":
        tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    else:
        tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))])
    return tokenizer


TOKENIZERS = {"bytes": byte_level, **{kind: lambda kind=kind: sentencepiece(kind) for kind in ("prepend", "first", "replace", "unigram")}}


def write_tokenizer(folder: Path, dice: random.Random, case: dict) -> int:
    """Tokenizer, special tokens and chat template, in one of the ways in which folders hold them; the size of the vocabulary."""
    tokenizer = TOKENIZERS[case["tokenizer"]]()
    tokenizer.save(str(folder / "tokenizer.json"))
    roles = {"bos_token": "<|endoftext|>" if case["tokenizer"] == "bytes" else "<s>", "eos_token": "<|im_end|>"}
    config = {} if case["class"] is None else {"tokenizer_class": case["class"]}
    if case["class"] == "LlamaTokenizer":
        config |= {"legacy": dice.choice([True, False, None])} if dice.random() < 0.7 else {"add_prefix_space": dice.choice([True, False])}
    template = CHATS.get(case["chat"])
    if dice.random() < 0.3:
        (folder / "special_tokens_map.json").write_text(json.dumps({role: {"content": token} for role, token in roles.items()}))
    else:
        config.update({role: {"content": token, "__type": "AddedToken", "special": True} if dice.random() < 0.3 else token for role, token in roles.items()})
    if template is not None:
        place = dice.choice(["config", "list", "file", "files"])
        if place == "config":
            config["chat_template"] = template
        elif place == "list":
            config["chat_template"] = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": template}]
        else:
            (folder / "chat_template.jinja").write_bytes(template.encode())
            config["chat_template"] = "stale"
            if place == "files":
                (folder / "additional_chat_templates").mkdir()
                (folder / "additional_chat_templates" / "rag.jinja").write_text("documents")
    if config:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return tokenizer.get_vocab_size()


def model_config(dice: random.Random, case: dict, vocab: int) -> transformers.PretrainedConfig:
    family, kv_heads = case["family"], dice.choice([1, 2, 4])
    n_layers = 2 if case["small"] else dice.choice([1, 2, 3])
    shared = dict(
        vocab_size=vocab + dice.choice([0, 3]), hidden_size=16 if case["small"] else 32, intermediate_size=24 if case["small"] else dice.choice([24, 48]), num_hidden_layers=n_layers,
        num_attention_heads=4, num_key_value_heads=kv_heads, max_position_embeddings=512, tie_word_embeddings=case["tied"],
        bos_token_id=None, eos_token_id=None, pad_token_id=None, rms_norm_eps=dice.choice([1e-6, 1e-5]),
    )
    theta = dice.choice([1e4, 5e5])
    shared["rope_parameters"] = {
        "default": {"rope_type": "default"},
        "linear": {"rope_type": "linear", "factor": 3.0},
        "dynamic": {"rope_type": "dynamic", "factor": 2.0},
        "llama3": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64},
        "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128},
        "yarn_scaled": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128, "mscale": 0.7, "mscale_all_dim": 1.0, "beta_fast": 16, "beta_slow": 2, "truncate": False},
    }[case["rope"]] | {"rope_theta": theta}
    window = case["window"]
    types = [dice.choice(["sliding_attention", "full_attention"]) for _ in range(n_layers)]
    if family == "llama":
        return transformers.LlamaConfig(**shared, attention_bias=case["bias"], mlp_bias=dice.random() < 0.3 and case["bias"], head_dim=dice.choice([None, 8, 12]))
    if family == "mistral":
        return transformers.MistralConfig(**shared, sliding_window=window, head_dim=dice.choice([None, 12]))
    if family == "ministral":
        return transformers.MinistralConfig(**shared, sliding_window=window or 6, layer_types=types, head_dim=8)
    sliding = dict(use_sliding_window=window is not None, sliding_window=window, max_window_layers=dice.choice([0, 1]))
    if window is not None and dice.random() < 0.3:
        sliding["layer_types"] = types
    if family == "qwen2":
        return transformers.Qwen2Config(**shared, **sliding)
    return transformers.Qwen3Config(**shared, **sliding, attention_bias=case["bias"], head_dim=dice.choice([8, 12]))


def random_values(model: torch.nn.Module, seed: int) -> None:
    gen = generator(seed)
    with torch.no_grad():
        fill(model, gen)


def write_model(folder: Path, dice: random.Random, case: dict, config: transformers.PretrainedConfig, seed: int) -> None:
    model = transformers.AutoModelForCausalLM.from_config(config).float()
    random_values(model, seed)
    model.to(getattr(torch, case["dtype"])).save_pretrained(folder, max_shard_size="20KB" if case["shards"] else "5GB")
    (folder / "generation_config.json").write_text("{}")
    path = folder / "config.json"
    values = json.loads(path.read_text())
    if case["spelling"] == "older":  # as files were written before `rope_parameters`
        rope = values.pop("rope_parameters")
        values["rope_theta"] = rope.pop("rope_theta")
        values["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    elif case["spelling"] == "stale":
        values["rope_theta"] = 123.0
    path.write_text(json.dumps(values, indent=1))
    if case["tied"] and case["other_head"] and not case["shards"]:
        state = load_file(folder / "model.safetensors")
        table = state["model.embed_tokens.weight"]
        state["lm_head.weight"] = torch.randn(table.shape, generator=generator(seed + 1)).to(table.dtype) / table.shape[1] ** 0.5
        save_file(state, folder / "model.safetensors", {"format": "pt"})


def write_adapter(folder: Path, dice: random.Random, case: dict, base: Path, prompt_ids: list[int], seed: int) -> None:
    """An adapter of one of the kinds that PEFT writes, with random values."""
    kind = case["adapter"]
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    chosen = sorted(dice.sample(modules, dice.randint(1, 7)))
    settings: dict = dict(r=4, lora_alpha=dice.choice([4, 8, 16]), target_modules=chosen, task_type="CAUSAL_LM")
    if kind == "regex":
        settings["target_modules"] = r".*\.(" + "|".join(chosen) + ")"
    elif kind == "all-linear":
        settings["target_modules"] = "all-linear"
    elif kind == "patterns":
        settings |= dict(target_modules=modules, rank_pattern={"q_proj": 2, r"layers\.0\.mlp\..*": 3}, alpha_pattern={"v_proj": 64, "down_proj|up_proj": 1, "layers.0.self_attn.v_proj": 2})
    elif kind == "rslora":
        settings |= dict(use_rslora=True, rank_pattern={"o_proj": 2})
    elif kind in ("pissa", "olora"):
        settings |= dict(target_modules=modules, init_lora_weights=kind)
    elif kind == "alora":
        at = dice.randrange(len(prompt_ids) - 1)
        found = prompt_ids[at : at + 2]
        settings["alora_invocation_tokens"] = found if dice.random() < 0.7 else [0, 1, 2, 3, 0]
    elif kind == "layers":
        settings |= dict(layers_to_transform=[0], target_modules=modules)
    elif kind == "exclude":
        settings |= dict(target_modules="all-linear", exclude_modules=["o_proj"])
    elif kind == "head":
        settings |= dict(target_modules=["q_proj", "lm_head"])
    model = peft.get_peft_model(model, peft.LoraConfig(**settings))
    gen = generator(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=gen) / parameter.shape[-1] ** 0.5 * 0.7)
    model.save_pretrained(folder)
    # What says where this was made.
    (folder / "README.md").unlink()
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": None}, indent=1))


ADAPTERS = ["list", "regex", "all-linear", "patterns", "rslora", "pissa", "olora", "alora", "layers", "exclude", "head"]


def made_up(dice: random.Random, index: int) -> dict:
    """One case; the first ones go through every kind, so that small counts have them all."""
    def kind(values: list, chance: float = 1.0):
        return values[index % len(values)] if index < 2 * len(values) else dice.choice(values) if dice.random() < chance else None

    adapter = kind(ADAPTERS) if index % 2 else None
    tied = dice.random() < 0.4 and adapter != "head"
    family = kind(["llama", "mistral", "qwen2", "qwen3", "ministral"])
    tokenizer = "bytes" if family == "qwen2" else kind(list(TOKENIZERS))
    classes = ["PreTrainedTokenizerFast", "PreTrainedTokenizerFast"]
    if tokenizer in ("prepend", "first") and family in ("llama", "mistral"):
        classes += ["LlamaTokenizer", "LlamaTokenizer"]
    if tokenizer == "bytes" and family in ("qwen2", "qwen3"):
        classes += ["Qwen2Tokenizer", None]
    return dict(
        family=family,
        rope=kind(["default", "linear", "llama3", "yarn", "dynamic", "yarn_scaled"]),
        spelling=dice.choice(["newer", "older", "stale"]),
        tied=tied, other_head=dice.random() < 0.4,
        window=dice.choice([None, 2, 4, 9, 100]), bias=dice.random() < 0.3,
        dtype=dice.choice(["float32", "bfloat16", "float16"]), shards=dice.random() < 0.3,
        tokenizer=tokenizer, chat=(list(CHATS)[index % len(CHATS)] if index % 4 != 3 else None),
        adapter=adapter, prompt=PROMPTS[index % len(PROMPTS)], small=False, **{"class": dice.choice(classes)},
    )


# The committed cases: what each is about, beside what was drawn for it.
SMALL = [
    dict(family="mistral", window=4, tokenizer="first", chat="llama2", adapter=None, **{"class": "PreTrainedTokenizerFast"}, rope="default", dtype="bfloat16"),
    dict(family="qwen3", window=9, tokenizer="bytes", chat="qwen3", adapter="patterns", rope="yarn", dtype="bfloat16"),
    dict(family="llama", window=None, tokenizer="prepend", **{"class": "LlamaTokenizer"}, chat="llama3", adapter="pissa", rope="llama3", bias=True, dtype="bfloat16"),
    dict(family="qwen2", window=None, tokenizer="bytes", chat="json", adapter="alora", rope="default", spelling="stale", dtype="float16", shards=False),
    dict(family="llama", window=None, tokenizer="unigram", chat=None, adapter="olora", rope="linear", tied=True, other_head=True, shards=False, dtype="float32"),
]


@torch.no_grad()
def answer(folder: Path, adapter: Path | None, case: dict) -> tuple[dict, float]:
    """What transformers says, and how clear its choice of every token was."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = prompt_of(tokenizer, case)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    if adapter is not None:
        model = peft.PeftModel.from_pretrained(model, adapter).eval()
    input_ids = torch.tensor([ids])
    written = model.generate(input_ids=input_ids, attention_mask=torch.ones_like(input_ids), max_new_tokens=WRITTEN, do_sample=False, output_logits=True, return_dict_in_generate=True)
    logits = torch.stack(written.logits)[:, 0]
    best = logits.topk(2).values
    text = tokenizer.decode(written.sequences[0, len(ids) :], skip_special_tokens=True)
    return dict(prompt_ids=ids, logits=[round(value, 6) for value in logits[0].tolist()], text=text), float((best[:, 0] - best[:, 1]).min())


def prompt_of(tokenizer, case: dict) -> list[int]:
    if case["chat"] is None:
        return tokenizer(case["prompt"])["input_ids"]
    return tokenizer.apply_chat_template([{"role": "user", "content": case["prompt"]}], add_generation_prompt=True)["input_ids"]


def made(out: Path, seed: int, index: int, settings: dict) -> dict:
    for attempt in range(50):
        dice = random.Random(f"{seed} {index} {attempt}")
        case = made_up(random.Random(f"{seed} {index}"), index) | settings
        folder = out / f"{index:03}"
        adapter = folder / "adapter" if case["adapter"] else None
        if folder.exists():
            for path in sorted(folder.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
        folder.mkdir(parents=True, exist_ok=True)
        vocab = write_tokenizer(folder, dice, case)
        write_model(folder, dice, case, model_config(dice, case, vocab), 1000 * seed + 50 * index + attempt)
        if adapter is not None:
            ids = prompt_of(transformers.AutoTokenizer.from_pretrained(folder), case)
            write_adapter(adapter, dice, case, folder, ids, 7 + 1000 * seed + 50 * index + attempt)
        expected, margin = answer(folder, adapter, case)
        if margin > 1e-3:
            name = adapter and f"{index:03}/adapter"
            return dict(case, model=f"{index:03}", adapter_folder=name, expected=expected)
    raise RuntimeError(f"case {index}: no clear answer")


def compared(out: Path, cases: list[dict], program: Path) -> int:
    """How many cases the program answers otherwise; each is told."""
    lines = [
        json.dumps(dict(model=str(out / case["model"]), adapter=case["adapter_folder"] and str(out / case["adapter_folder"]), prompt=case["prompt"], plain=case["chat"] is None, max_new_tokens=WRITTEN))
        for case in cases
    ]
    result = subprocess.run([program], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(answers) == len(cases), f"{len(answers)} answers to {len(cases)} cases"
    equal = dict(prompt_ids=0, logits=0, text=0, all=0)
    largest = 0.0
    for case, ours in zip(cases, answers):
        expected = case["expected"]
        told = {key: value for key, value in case.items() if key != "expected"}
        if "error" in ours:
            print("refused:", ours["error"], told)
            continue
        far = max((abs(a - b) for a, b in zip(ours["logits"], expected["logits"])), default=0.0) if len(ours["logits"]) == len(expected["logits"]) else float("inf")
        same = dict(prompt_ids=ours["prompt_ids"] == expected["prompt_ids"], logits=far < 1e-3, text=ours["text"] == expected["text"])
        for key, is_same in same.items():
            equal[key] += is_same
        equal["all"] += all(same.values())
        if all(same.values()):
            largest = max(largest, far)
        else:
            print("differs:", [key for key in same if not same[key]], f"logits by {far:.1e}", told)
            if not same["prompt_ids"]:
                print("  ids", ours["prompt_ids"], "\n  not", expected["prompt_ids"])
            elif not same["text"]:
                print("  text", repr(ours["text"]), "\n  not ", repr(expected["text"]))
    print(f"of {len(cases)} folders: the same tokens of the prompt in {equal['prompt_ids']}, the same logits in {equal['logits']} (to {largest:.1e}), the same text in {equal['text']}, everything in {equal['all']}")
    return len(cases) - equal["all"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--small", action="store_true", help="the few committed ones, in place of --count")
    parser.add_argument("--ours", type=Path, help="the program to compare")
    args = parser.parse_args()
    torch.set_num_threads(1)
    listed = args.out / "cases.json"
    if listed.exists():
        cases = json.loads(listed.read_text())
    else:
        settings = [dict(case, small=True) for case in SMALL] if args.small else [{}] * args.count
        cases = [made(args.out, args.seed, index, case) for index, case in enumerate(settings)]
        listed.write_text(json.dumps(cases, ensure_ascii=False))
    if args.ours:
        sys.exit(compared(args.out, cases, args.ours) > 0)


if __name__ == "__main__":
    main()
