"""Stage `point_prompt`: a point as a query of the masked decoder, written from the published formulas (`omg.py`).

    python tests/oracles/point_prompt.py --out DIR [--seed N] [--random | --variant RULE]

In: `mask_features level0 level1 level2`, `points [p, 2]` as (x, y) in the unit square of the model's input, `image_index [p]`.
Out: `point_features [p, 2 · feat_channels]`: content after the last layer (before `post_norm`), then the position query;
`content_query [feat]` and `position_query [p, feat]`, the queries before the first layer. Config: `mask_rule` is
`{"threshold": t}`, `{"log_bias": {"floor": f}}`, `"object"` (the mask the query predicts) or `"open"`; `sigma` is a fraction
of the side. No public peer has prompts; with the rule `object` the layers are those of transformers' Mask2Former, run beside
these. Computed in f64, stored as F32.
"""

import math

import torch

import mask_decoder
import omg
from fixture import Tensors, arguments, check, generator, made_by, read, rounded, write

RULES = {
    "threshold": {"threshold": math.exp(-2)},
    "log_bias": {"log_bias": {"floor": 1e-3}},
    "object": "object",
    "open": "open",
}


def random_points(count: int, gen: torch.Generator) -> torch.Tensor:
    points = torch.rand(count, 2, generator=gen).double()
    border = torch.tensor([[0.0, 0.0], [1.0, 1.0], [1.0, 0.25]], dtype=torch.float64)
    points[: min(count - 1, 3)] = border[: min(count - 1, 3)]
    return rounded(points)


def peer_with_object_rule(w: Tensors, inputs: Tensors, config: dict) -> torch.Tensor:
    """The decoder of the peer on one query per batch item, in place of its learned ones."""
    peer = mask_decoder.load(mask_decoder.peer_for(config).double(), w)
    index = inputs["image_index"]
    content, position = omg.prompt_queries(w, inputs["points"], config)
    levels = [level[index] for level in mask_decoder.levels_of(inputs)]
    codes = [omg.map_code(*level.shape[-2:], config, level)[:, None].expand(-1, len(index), -1) for level in levels]
    embeddings = peer.level_embed.weight
    memories = [level.flatten(2).permute(2, 0, 1) + embeddings[i] for i, level in enumerate(levels)]
    out = peer.decoder(
        inputs_embeds=content.transpose(0, 1),
        multi_stage_positional_embeddings=codes,
        pixel_embeddings=inputs["mask_features"][index],
        encoder_hidden_states=memories,
        query_position_embeddings=position.transpose(0, 1),
        feature_size_list=[level.shape[-2:] for level in levels],
        return_dict=True,
    )
    return torch.cat([out.last_hidden_state, position], -1)[:, 0]


def outputs(w: Tensors, inputs: Tensors, config: dict, seen: list | None = None) -> Tensors:
    levels = mask_decoder.levels_of(inputs)
    features = omg.prompt(w, levels, inputs["mask_features"], inputs["points"], inputs["image_index"], config, seen)
    content, position = omg.prompt_queries(w, inputs["points"], config)
    return {"point_features": features, "content_query": content[0, 0], "position_query": position[:, 0]}


def main() -> None:
    args = arguments(__doc__, tuple(RULES))
    # The pseudo box of ±3 pixels is taken of an input of this size.
    prompt_config = {"image_size": 128, "prompt_radius_px": 3, "prompt_label": 0, "sigma": 1 / 16, "mask_rule": RULES[args.variant]}
    config = mask_decoder.small_config("point_prompt") | {"feat_channels": 16, "num_queries": 3, **prompt_config}
    batch, side, count = 2 if args.variant == "threshold" else 1, 4, 5
    if args.random:
        dice = args.dice
        batch, side, count = dice.randint(1, 2), dice.randint(1, 4), dice.randint(1, 6)
        rule = dice.choice([{"threshold": dice.uniform(0.05, 0.9)}, {"log_bias": {"floor": dice.uniform(1e-4, 0.5)}}, "object", "open"])
        config = mask_decoder.random_config("point_prompt", dice) | prompt_config
        config |= {"image_size": 32 * side, "mask_rule": rule, "sigma": dice.choice([1e-3, 1 / 32, 0.1, 0.4])}

    gen = generator(args.seed)
    for _ in range(1000):
        weights = mask_decoder.random_weights(config, gen)
        inputs = mask_decoder.random_inputs(config, batch, (side, side), gen)
        inputs |= {"points": random_points(count * batch, gen), "image_index": torch.arange(batch).repeat_interleave(count)}
        w, seen = {name: value.double() for name, value in weights.items()}, []
        expected = outputs(w, inputs, config, seen)
        sizes = [level.shape[-2:] for level in mask_decoder.levels_of(inputs)]
        gaussian = isinstance(config["mask_rule"], dict)
        if mask_decoder.same_in_f32(seen) and not (gaussian and min(omg.closest_cut(inputs["points"], s, config) for s in sizes) < 1e-4):
            break
    else:
        raise SystemExit("no draw keeps its masks away from their cut")
    config["made_by"] = made_by(args, "transformers", "torch")
    write(args.out, config, mask_decoder.named(weights), inputs, expected)

    if gaussian:
        is_open = [omg.gaussian_bias(inputs["points"], size, config).isfinite().sum(-1).flatten().tolist() for size in sizes]
        print(f"  open cells of each point, level by level: {is_open}")
    again = read(args.out, "inputs", torch.float32)
    w32 = mask_decoder.head_of(read(args.out, "weights", torch.float32))
    check("formulas in f32", outputs(w32, again, config), read(args.out, "expected"), 3e-5)
    if config["mask_rule"] == "object":
        check("transformers in f64", {"point_features": peer_with_object_rule(w, inputs, config)}, read(args.out, "expected"), 1e-6)


if __name__ == "__main__":
    main()
