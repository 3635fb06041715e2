"""Stage `grpo_loss`: policy gradient on groups of completions, against trl's GRPOTrainer and plain autograd.

    python tests/oracles/grpo_loss.py --out DIR [--seed N] [--random | --variant NAME]

In: `log_probs`, `old_log_probs`, `ref_log_probs` and `mask`, all `[n, t]`, padding on the right and noise under it; `rewards
[n]`, group after group. Out: `loss`, `advantages [n]`, `kl` (the mean that enters the loss, before beta), `token_kl [n, t]`
(zero under the mask) and `grad_log_probs [n, t]`. Everything in f64 and stored so, to be met to 1e-10.

Per token the loss is `-min(ρ A, clip(ρ, 1 - clip_low, 1 + clip_high) A) + beta · kl`, ρ the ratio to the old policy; no clip
where `clip_low` and `clip_high` are null. Config:
  loss             grpo (the paper's: mean over the tokens of a sequence, then over sequences), dapo (mean over all tokens),
                   dr_grpo (sum over `n · max_completion_tokens`), gspo (one ρ per sequence, the exp of the mean log ratio)
  kl               k1 `log π - log ref`, k2 half its square, k3 `exp(-k1) + k1 - 1`
  advantage_scale  group or batch (divide by the standard deviation + `advantage_eps`) or none
  advantage_std    population or sample

Loss and gradient are those of trl's `GRPOTrainer._compute_loss`, sample deviations those of its `nanstd`. trl knows k3 alone:
for k1 and k2 the KL and its derivative are added here. All is compared with autograd of the formulas above.
"""

import types
from collections import defaultdict

import torch
from trl import GRPOTrainer
from trl.trainer.utils import nanstd

from fixture import Tensors, arguments, check, generator, made_by, normal, read, write

PAPER = {
    "stage": "grpo_loss",
    "loss": "grpo",
    "kl": "k3",
    "beta": 0.1,
    "clip_low": 0.2,
    "clip_high": 0.2,
    "group_size": 3,
    "advantage_scale": "group",
    "advantage_std": "population",
    "advantage_eps": 1e-4,
    "max_completion_tokens": 16,
}

VARIANTS = {
    "paper": {},
    "no_clip": {"clip_low": None, "clip_high": None},
    "sample_std": {"advantage_std": "sample", "group_size": 4},
    "batch_std": {"advantage_scale": "batch"},
    "k1": {"kl": "k1"},
    "k2": {"kl": "k2"},
    "dapo": {"loss": "dapo", "clip_high": 0.28, "beta": 0.0, "advantage_std": "sample"},
    "dr_grpo": {"loss": "dr_grpo", "advantage_scale": "none", "beta": 0.04},
    "gspo": {"loss": "gspo", "clip_low": 0.05, "clip_high": 0.08},
}


def advantages(rewards: torch.Tensor, config: dict) -> torch.Tensor:
    groups = rewards.view(-1, config["group_size"])
    centred = groups - groups.mean(1, keepdim=True)
    if config["advantage_scale"] == "none":
        return centred.flatten()
    over = {"dim": 1, "keepdim": True} if config["advantage_scale"] == "group" else {}
    if config["advantage_std"] == "sample":
        # nanstd divides two whole numbers, n / (n - 1), and torch does that in its default precision.
        torch.set_default_dtype(torch.float64)
        std = nanstd(groups, **over)
        torch.set_default_dtype(torch.float32)
    else:
        std = groups.std(correction=0, **over)
    return (centred / (std + config["advantage_eps"])).flatten()


def token_kl(log_probs: torch.Tensor, ref: torch.Tensor, kind: str) -> torch.Tensor:
    log_ratio = log_probs - ref
    if kind == "k1":
        return log_ratio
    return log_ratio**2 / 2 if kind == "k2" else (-log_ratio).exp() + log_ratio - 1


def mean_over(values: torch.Tensor, mask: torch.Tensor, config: dict) -> torch.Tensor:
    total = (values * mask).sum(1)
    if config["loss"] == "dapo":
        return total.sum() / mask.sum()
    if config["loss"] == "dr_grpo":
        return total.sum() / (len(mask) * config["max_completion_tokens"])
    return (total / mask.sum(1)).mean()


def ratios(log_probs: torch.Tensor, inputs: Tensors, config: dict) -> torch.Tensor:
    log_ratio, mask = log_probs - inputs["old_log_probs"], inputs["mask"]
    if config["loss"] == "gspo":
        log_ratio = ((log_ratio * mask).sum(1) / mask.sum(1))[:, None].expand_as(log_ratio)
    return log_ratio.exp()


def formulas(inputs: Tensors, config: dict) -> Tensors:
    mask, advantage = inputs["mask"], advantages(inputs["rewards"], config)
    with torch.enable_grad():
        log_probs = inputs["log_probs"].clone().requires_grad_()
        ratio = ratios(log_probs, inputs, config)
        gain = ratio * advantage[:, None]
        if config["clip_low"] is not None:
            gain = torch.min(gain, ratio.clamp(1 - config["clip_low"], 1 + config["clip_high"]) * advantage[:, None])
        kl_of_tokens = token_kl(log_probs, inputs["ref_log_probs"], config["kl"])
        kl = mean_over(kl_of_tokens, mask, config)
        loss = mean_over(-gain, mask, config) + config["beta"] * kl
        (gradient,) = torch.autograd.grad(loss, log_probs)
    return {"loss": loss, "advantages": advantage, "kl": kl, "token_kl": kl_of_tokens * mask, "grad_log_probs": gradient}


def by_trl(inputs: Tensors, advantage: torch.Tensor, config: dict) -> Tensors:
    """`GRPOTrainer._compute_loss` on a trainer that is nothing but its settings."""
    mask = inputs["mask"]
    batch = {
        "prompt_ids": mask[:, :1],
        "prompt_mask": mask[:, :1],
        "completion_ids": mask,
        "completion_mask": mask,
        "advantages": advantage,
        "old_per_token_logps": inputs["old_log_probs"],
        "ref_per_token_logps": inputs["ref_log_probs"],
        "num_items_in_batch": mask.sum(),
    }
    itself = lambda x, *_, **__: x  # one process: gathering and reducing change nothing
    with torch.enable_grad():
        log_probs = inputs["log_probs"].clone().requires_grad_()
        trainer = types.SimpleNamespace(
            loss_type="grpo" if config["loss"] == "gspo" else config["loss"],
            importance_sampling_level="sequence" if config["loss"] == "gspo" else "token",
            beta=config["beta"] if config["kl"] == "k3" else 0.0,
            epsilon_low=1e9 if config["clip_low"] is None else config["clip_low"],
            epsilon_high=1e9 if config["clip_high"] is None else config["clip_high"],
            max_completion_length=config["max_completion_tokens"],
            top_entropy_quantile=1.0,
            off_policy_mask_threshold=None,
            use_vllm=False,
            aux_loss_enabled=False,
            _entropy_bonus_enabled=False,
            current_gradient_accumulation_steps=1,
            args=types.SimpleNamespace(delta=None, use_bias_correction_kl=False, steps_per_generation=1),
            model=types.SimpleNamespace(training=True),
            accelerator=types.SimpleNamespace(gather=itself, reduce=itself, num_processes=1),
            _metrics=defaultdict(lambda: defaultdict(list)),
            _get_per_token_logps_and_entropies=lambda *_, **__: (log_probs, torch.zeros_like(log_probs), None),
        )
        loss = GRPOTrainer._compute_loss(trainer, None, batch)
        (gradient,) = torch.autograd.grad(loss, log_probs)
    if config["kl"] != "k3":
        log_ratio = inputs["log_probs"] - inputs["ref_log_probs"]
        kl, slope = (log_ratio, torch.ones_like(log_ratio)) if config["kl"] == "k1" else (log_ratio**2 / 2, log_ratio)
        loss = loss + config["beta"] * mean_over(kl, mask, config)
        share = {"dapo": mask.sum(), "dr_grpo": len(mask) * config["max_completion_tokens"]}
        gradient = gradient + config["beta"] * slope * mask / share.get(config["loss"], len(mask) * mask.sum(1, keepdim=True))
    return {"loss": loss, "grad_log_probs": gradient}


def random_inputs(config: dict, groups: int, tokens: int, gen: torch.Generator) -> Tensors:
    n = groups * config["group_size"]
    old = -normal(gen, n, tokens).abs()
    lengths = torch.randint(1, tokens + 1, (n,), generator=gen)
    lengths[0], lengths[-1] = tokens, 1
    rewards = -normal(gen, n, std=0.3).abs()
    if groups > 1:
        rewards[-config["group_size"] :] = -0.25  # a group without spread has nothing to say
    return {
        # Ratios on both sides of every clip, and none on the spot.
        "log_probs": old + normal(gen, n, tokens, std=0.3),
        "old_log_probs": old,
        "ref_log_probs": old + normal(gen, n, tokens, std=0.5),
        "mask": (torch.arange(tokens) < lengths[:, None]).long(),
        "rewards": rewards,
    }


def main() -> None:
    args = arguments(__doc__, tuple(VARIANTS))
    config, groups, tokens = PAPER | VARIANTS[args.variant], 3, 7
    if args.random:
        dice = args.dice
        config = PAPER | {
            "loss": dice.choice(["grpo", "dapo", "dr_grpo", "gspo"]),
            "kl": dice.choice(["k1", "k2", "k3"]),
            "beta": dice.choice([0.0, 0.04, 0.1, 1.0]),
            "group_size": dice.randint(2, 6),
            "advantage_scale": dice.choice(["group", "batch", "none"]),
            "advantage_std": dice.choice(["population", "sample"]),
            "advantage_eps": dice.choice([1e-8, 1e-4, 1e-2]),
        }
        if dice.random() < 0.7:
            config |= {"clip_low": dice.uniform(0.01, 0.4), "clip_high": dice.uniform(0.01, 0.4)}
        else:
            config |= {"clip_low": None, "clip_high": None}
        groups, tokens = dice.randint(1, 5), dice.randint(1, 30)
        config["max_completion_tokens"] = tokens + dice.randint(0, 9)

    gen = generator(args.seed)
    inputs = random_inputs(config, groups, tokens, gen)
    expected = formulas(inputs, config)
    expected |= by_trl(inputs, expected["advantages"], config)
    config["made_by"] = made_by(args, "trl", "torch")
    tolerance = {name: {"atol": 1e-10, "rtol": 1e-10} for name in expected}
    write(args.out, config, None, inputs, expected, torch.float64, tolerance)

    stored, again = read(args.out, "expected"), read(args.out, "inputs")
    check("formulas against trl", formulas(again, config), stored, 1e-13)
    assert not stored["grad_log_probs"][again["mask"] == 0].any()
    ratio = ratios(again["log_probs"], again, config)[again["mask"] == 1]
    if config["clip_low"] is not None:
        outside = (ratio < 1 - config["clip_low"]) | (ratio > 1 + config["clip_high"])
        print(f"  {outside.double().mean():.0%} of the ratios lie outside of the clip")


if __name__ == "__main__":
    main()
