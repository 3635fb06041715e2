"""Twenty steps of both of the paper's stages in PyTorch: transformers' decoder, peft's adapter, torch's AdamW.

    python tests/oracles/training.py --out DIR [--seed N]

`model/` is a small decoder and `adapter/` a fresh adapter on it (`lora_B` is 0), both under InternLM2's names, so that queries,
keys and values share one `lora_A`, as in the published base; `weights.safetensors` holds the projector of [SEG] and the point
head. Every run starts from these. In `inputs.safetensors`, one batch a step:

- `describe_point [step, row, hidden]`: the embedding that stands for the point, at the first place of each row;
  `describe_ids [step, row, tokens]` after it, of which `describe_prompt [step, row]` tokens are the request and those up to
  `describe_length` the answer; the loss is the mean cross entropy over all answer tokens of the batch
- `locate_ids [step, row, tokens]`, whose token `locate_length - 1` is [SEG], and `locate_target [step, row, 2]`; the loss is the
  mean squared error of the point that the state of [SEG] becomes through projector and head

`config.json` lists the `runs`: the stage, and the rate, constant. The paper's rates move these small weights little, so each stage
also runs at a rate at which the losses fall. `expected.safetensors` holds the losses, `loss.RUN [step]`, taken before each update,
and what is trained after the last update, `RUN.NAME`, for the runs named in `ends`.

Matrices are decayed, biases are not; the norm over all gradients is clipped. Computed in f32, as training is.
"""

import json
import shutil
from copy import deepcopy

import peft
import torch
import torch.nn.functional as F
import transformers

from fixture import Tensors, arguments, check, fill, generator, made_by, normal, read, save_json, write
from language import internlm2_names, save_model
from localizer import Localizer
from safetensors.torch import save_file

STEPS, ROWS, TOKENS = 20, 8, 12
SIZES = {"vocab_size": 48, "hidden_size": 32, "intermediate_size": 44, "num_hidden_layers": 2}
SIZES |= {"num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5}
LORA = {"rank": 4, "alpha": 8}
HEAD = {"hidden_size": SIZES["hidden_size"], "text2vision_dim": 24, "point_hidden_size": 16, "point_activation": "sigmoid"}
# Of AdamW, as `TrainConfig::new` and the recipe `paper` have it, but for epsilon, which is PyTorch's.
OPTIMIZER = {"weight_decay": 0.03, "beta_1": 0.9, "beta_2": 0.98, "epsilon": 1e-8, "clip_norm": 1.0}
RUNS = [
    {"name": "descriptor", "stage": "descriptor", "learning_rate": 2e-4},
    {"name": "localizer", "stage": "localizer", "learning_rate": 1e-5},
    {"name": "descriptor-fast", "stage": "descriptor", "learning_rate": 1e-2},
    {"name": "localizer-fast", "stage": "localizer", "learning_rate": 3e-3},
]
ENDS = ["descriptor-fast", "localizer-fast"]


def adapted_model(model: torch.nn.Module, gen: torch.Generator) -> torch.nn.Module:
    """The decoder with a fresh adapter, whose queries, keys and values share one `lora_A`: it is one parameter."""
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    shape = peft.LoraConfig(r=LORA["rank"], lora_alpha=LORA["alpha"], lora_dropout=0.0, target_modules=targets, task_type="CAUSAL_LM")
    adapted = peft.get_peft_model(model, shape)
    for name, parameter in adapted.named_parameters():
        if "lora_A" in name:
            parameter.data = (normal(gen, *parameter.shape) / parameter.shape[1] ** 0.5).float()
    for layer in adapted.base_model.model.model.layers:
        attention = layer.self_attn
        for which in ("k_proj", "v_proj"):
            getattr(attention, which).lora_A["default"].weight = attention.q_proj.lora_A["default"].weight
    return adapted


def trained_tensors(model: torch.nn.Module, localizer: Localizer | None) -> Tensors:
    """What a run trains, under the names of the files."""
    tensors = {name: value for name, value in model.state_dict().items() if "lora_" in name}
    tensors = internlm2_names({name.replace(".default", ""): value.clone() for name, value in tensors.items()}, SIZES["num_key_value_heads"])
    return tensors if localizer is None else tensors | {name: value.clone() for name, value in localizer.state_dict().items()}


def describe_loss(model: torch.nn.Module, batch: Tensors) -> torch.Tensor:
    ids, prompt, length = batch["describe_ids"], batch["describe_prompt"], batch["describe_length"]
    words = model.get_input_embeddings()(ids)
    embedded = torch.cat([batch["describe_point"].to(words.dtype)[:, None], words], 1)
    logits = model(inputs_embeds=embedded, use_cache=False).logits[:, :-1]  # the state at place i predicts token i of `ids`
    place = torch.arange(ids.shape[1])
    is_answer = (place >= prompt[:, None]) & (place < length[:, None])
    return F.cross_entropy(logits[is_answer], ids[is_answer])


def locate_loss(model: torch.nn.Module, localizer: Localizer, batch: Tensors) -> torch.Tensor:
    ids, length = batch["locate_ids"], batch["locate_length"]
    hidden = model(input_ids=ids, use_cache=False, output_hidden_states=True).hidden_states[-1]  # after the final norm
    state = localizer.projector_text2vision["model"](hidden[torch.arange(len(ids)), length - 1])
    point = localizer.last(localizer.point_head(state))
    return ((point - batch["locate_target"].to(point.dtype)) ** 2).mean()


def train(run: dict, model: torch.nn.Module, localizer: Localizer, inputs: Tensors) -> tuple[torch.Tensor, Tensors]:
    """The loss of every step, and what was trained."""
    model, is_descriptor = deepcopy(model), run["stage"] == "descriptor"
    localizer = None if is_descriptor else deepcopy(localizer)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    parameters += [] if localizer is None else list(localizer.parameters())
    groups = [
        {"params": [parameter for parameter in parameters if parameter.dim() > 1], "weight_decay": OPTIMIZER["weight_decay"]},
        {"params": [parameter for parameter in parameters if parameter.dim() <= 1], "weight_decay": 0.0},
    ]
    betas = (OPTIMIZER["beta_1"], OPTIMIZER["beta_2"])
    optimizer = torch.optim.AdamW(groups, lr=run["learning_rate"], betas=betas, eps=OPTIMIZER["epsilon"])
    losses = []
    for step in range(STEPS):
        batch = {name: value[step] for name, value in inputs.items()}
        with torch.enable_grad():
            loss = describe_loss(model, batch) if is_descriptor else locate_loss(model, localizer, batch)
            optimizer.zero_grad()
            loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, OPTIMIZER["clip_norm"])
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses), trained_tensors(model, localizer)


def all_runs(model: torch.nn.Module, localizer: Localizer, inputs: Tensors) -> Tensors:
    expected = {}
    for run in RUNS:
        losses, end = train(run, model, localizer, inputs)
        expected[f"loss.{run['name']}"] = losses
        if run["name"] in ENDS:
            expected |= {f"{run['name']}.{name}": value for name, value in end.items()}
    return expected


def batches(gen: torch.Generator) -> Tensors:
    def integers(low: int, high: int, *shape: int) -> torch.Tensor:
        return torch.randint(low, high, shape, generator=gen)

    # Four batches in turn: few enough that the losses fall within the steps.
    turns, each = torch.arange(STEPS) % 4, (4, ROWS)
    prompt = integers(2, 5, *each)
    inputs = {
        "describe_point": normal(gen, *each, SIZES["hidden_size"]),
        "describe_ids": integers(0, SIZES["vocab_size"], *each, TOKENS),
        "describe_prompt": prompt,
        "describe_length": prompt + integers(2, TOKENS - 4, *each),
        "locate_ids": integers(0, SIZES["vocab_size"], *each, TOKENS),
        "locate_length": integers(3, TOKENS + 1, *each),
        "locate_target": torch.rand(*each, 2, generator=gen).double(),
    }
    return {name: value[turns] for name, value in inputs.items()}


def main() -> None:
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    args = arguments(__doc__)
    gen = generator(args.seed)
    shared = {**SIZES, "max_position_embeddings": 512, "bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    own = transformers.LlamaConfig(**shared, rope_theta=1e6, tie_word_embeddings=False)
    own._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(own).eval()
    fill(model, gen)
    localizer = Localizer(HEAD)
    fill(localizer, gen)

    shutil.rmtree(args.out, ignore_errors=True)
    save_model(deepcopy(model), "internlm2", args.out, SIZES, False)
    adapted = adapted_model(model, gen)
    folder = args.out / "adapter"
    folder.mkdir()
    save_file(trained_tensors(adapted, None), folder / "adapter_model.safetensors", {"format": "pt"})
    targets = ["w1", "w2", "w3", "wo", "wqkv"]
    settings = {"peft_type": "LORA", "r": LORA["rank"], "lora_alpha": LORA["alpha"], "lora_dropout": 0.0, "target_modules": targets}
    save_json(folder / "adapter_config.json", settings)

    inputs = batches(gen)
    config = {**SIZES, **HEAD, "steps": STEPS, "optimizer": OPTIMIZER, "runs": RUNS, "ends": ENDS}
    config["made_by"] = made_by(args, "torch", "transformers", "peft")
    write(args.out, config, localizer.state_dict(), inputs, all_runs(adapted, localizer, inputs), tolerance={})
    verify(args.out, adapted, localizer)


def verify(out, adapted: torch.nn.Module, localizer: Localizer) -> None:
    """The same runs in double precision, from the files' inputs; and that every loss of a fast run falls."""
    expected = read(out, "expected")
    again = all_runs(adapted.double(), localizer.double(), read(out, "inputs"))
    check("PyTorch in f64", {name: value for name, value in again.items() if name.startswith("loss.")}, expected, 1e-5)
    check("PyTorch in f64", {name: value for name, value in again.items() if not name.startswith("loss.")}, expected, 1e-4)
    for name in ENDS:
        losses = expected[f"loss.{name}"]
        print(f"  {name}: {losses[:4].mean():.4f} falls to {losses[-4:].mean():.4f}")
        if not losses[-4:].mean() < 0.9 * losses[:4].mean():
            raise SystemExit(f"{name} does not learn: {json.dumps(losses.tolist())}")


if __name__ == "__main__":
    main()
