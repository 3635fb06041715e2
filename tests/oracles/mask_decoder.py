"""Stage `mask_decoder`: learned queries read the memories through masks, against transformers' Mask2Former.

    python tests/oracles/mask_decoder.py --out DIR [--seed N] [--random | --variant NAME]

In: `mask_features` and `level0 level1 level2`, coarse first. Out: `query_features` (after the last layer, before `post_norm`),
`class_logits` (void last; the IoU column is left out) and `mask_logits` (not enlarged). Queries and masks are the peer's; the
class head has no peer and is `omg.class_logits`. Weights: all of `panoptic_head.` but the pixel decoder, and the text vectors of
the classes as `class_embed [num_classes, class_synonyms, class_embed_dim]`. Computed in f64, stored as F32.
"""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import Mask2FormerConfig
from transformers.models.mask2former import modeling_mask2former as mask2former

import omg
from fixture import Tensors, arguments, check, fill, generator, made_by, normal, read, rounded, write

PREFIX = "panoptic_head."

NAMES = [
    ("queries_features.", "query_feat."),
    ("queries_embedder.", "query_embed."),
    ("decoder.layernorm.", "transformer_decoder.post_norm."),
    ("decoder.layers.", "transformer_decoder.layers."),
    ("cross_attn_layer_norm.", "norms.0."),
    ("self_attn_layer_norm.", "norms.1."),
    ("final_layer_norm.", "norms.2."),
    ("fc1.", "ffn.layers.0.0."),
    ("fc2.", "ffn.layers.1."),
    ("cross_attn.", "cross_attn.attn."),
    ("self_attn.", "self_attn.attn."),
    *((f"decoder.mask_predictor.mask_embedder.{index}.0.", f"mask_embed.{2 * index}.") for index in range(3)),
]


class RestOfTheHead(nn.Module):
    """What the peer lacks: classes, the IoU head that nothing reads, and the prompt's vectors."""

    def __init__(self, config: dict):
        super().__init__()
        feat = config["feat_channels"]

        def perceptron(out: int) -> nn.Sequential:
            return nn.Sequential(nn.Linear(feat, feat), nn.ReLU(), nn.Linear(feat, feat), nn.ReLU(), nn.Linear(feat, out))

        self.iou_embed, self.cls_proj = perceptron(1), perceptron(config["class_embed_dim"])
        self.mask_pooling_proj = nn.Sequential(nn.LayerNorm(feat), nn.Linear(feat, feat))
        self.mask_tokens, self.pb_embedding = nn.Embedding(1, feat), nn.Embedding(2, feat)
        self.pos_linear = nn.Linear(2 * feat, feat)


def peer_for(config: dict) -> mask2former.Mask2FormerTransformerModule:
    feat = config["feat_channels"]
    own = Mask2FormerConfig(
        hidden_dim=feat,
        mask_feature_size=feat,
        num_queries=config["num_queries"],
        num_attention_heads=config["decoder_heads"],
        dim_feedforward=config["decoder_ffn"],
        decoder_layers=config["decoder_layers"] + 1,  # it counts the prediction before the first layer, too
    )
    peer = mask2former.Mask2FormerTransformerModule(feat, own)
    peer.position_embedder.temperature, peer.position_embedder.scale = config["pe_temperature"], config["pe_scale"]
    for module in peer.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = config["norm_eps"]
    return peer.eval()


def published(peer: nn.Module) -> Tensors:
    """The peer's weights under their published names: its three projections of self-attention become rows of one."""
    state = peer.state_dict()
    for name in [name for name in state if ".self_attn.q_proj." in name]:
        rows = [state.pop(name.replace("q_proj", f"{which}_proj")) for which in "qkv"]
        state[name.replace("q_proj.", "in_proj_")] = torch.cat(rows)
    return {published_name(name): value for name, value in state.items()}


def published_name(name: str) -> str:
    for ours, theirs in NAMES:
        name = name.replace(ours, theirs)
    return name


def load(peer: nn.Module, weights: Tensors) -> nn.Module:
    state = {}
    for name in peer.state_dict():
        fused = published_name(name)
        for index, which in enumerate("qkv"):
            if f"{which}_proj." in name:
                state[name] = weights[fused.replace(f"{which}_proj.", "in_proj_")].chunk(3)[index]
        state.setdefault(name, weights.get(fused))
    peer.load_state_dict(state)
    return peer


def random_weights(config: dict, gen: torch.Generator) -> Tensors:
    """All of the head by its names below `panoptic_head.`, and `class_embed`."""
    peer, rest = peer_for(config), RestOfTheHead(config)
    fill(peer, gen)
    fill(rest, gen)
    phrases = normal(gen, config["num_classes"], config["class_synonyms"], config["class_embed_dim"])
    for index, row in enumerate(phrases):  # a class with fewer phrases repeats its first
        row[1 + index % config["class_synonyms"] :] = row[0]
    weights = published(peer) | rest.state_dict() | {"class_embed": F.normalize(phrases, dim=-1)}
    return {name: value.float() for name, value in weights.items()}


def named(head: Tensors) -> Tensors:
    return {name if name == "class_embed" else PREFIX + name: value for name, value in head.items()}


def head_of(weights: Tensors) -> Tensors:
    return omg.below(PREFIX, weights) | {"class_embed": weights["class_embed"]}


def random_inputs(config: dict, batch: int, size: tuple[int, int], gen: torch.Generator) -> Tensors:
    """`size`: of the coarsest level. A strong first channel makes some masks empty and others full."""
    feat = config["feat_channels"]
    maps = [normal(gen, batch, feat, size[0] << shift, size[1] << shift) for shift in (3, 0, 1, 2)]
    maps[0][:, 0] += 2.5 * feat**0.5
    return {name: rounded(value) for name, value in zip(("mask_features", "level0", "level1", "level2"), maps)}


def levels_of(inputs: Tensors) -> list[torch.Tensor]:
    return [inputs[f"level{index}"] for index in range(3)]


def run(peer: nn.Module, weights: Tensors, inputs: Tensors, config: dict) -> Tensors:
    out = peer(levels_of(inputs), inputs["mask_features"])
    queries, masks = out.last_hidden_state, out.masks_queries_logits[-1]
    classes = omg.class_logits(weights, queries, masks, inputs["mask_features"], config)
    return {"query_features": queries, "class_logits": classes, "mask_logits": masks}


def same_in_f32(masks: list[torch.Tensor]) -> bool:
    """Whether every precision sees the same open cells: no logit is within rounding of zero."""
    return all(bool((mask.abs() > 1e-4).all()) for mask in masks)


def special_cases(masks: list[torch.Tensor], last: torch.Tensor) -> bool:
    """Whether a query occurs that would see nothing, and one whose final mask is empty."""
    return any(bool((mask < 0).flatten(2).all(-1).any()) for mask in masks) and bool((last <= 0).flatten(2).all(-1).any())


def small_config(stage: str) -> dict:
    return {
        "stage": stage,
        "feat_channels": 24,
        "norm_eps": 1e-5,
        "encoder_levels": 3,
        "num_queries": 8,
        "decoder_layers": 4,
        "decoder_heads": 4,
        "decoder_ffn": 40,
        "num_classes": 5,
        "class_synonyms": 3,
        "class_embed_dim": 16,
        "logit_scale": 4.6052,
        "pe_temperature": 10000,
        "pe_scale": 2 * torch.pi,
        "pe_eps": 1e-6,
        "pe_offset": 0.0,
    }


def random_config(stage: str, dice) -> dict:
    heads = dice.choice([1, 2, 3, 4])
    return small_config(stage) | {
        "feat_channels": 4 * heads * dice.randint(1, 3),
        "norm_eps": dice.choice([1e-5, 1e-3]),
        "num_queries": dice.randint(1, 12),
        "decoder_layers": dice.randint(1, 7),
        "decoder_heads": heads,
        "decoder_ffn": dice.randint(5, 80),
        "num_classes": dice.randint(1, 9),
        "class_synonyms": dice.randint(1, 4),
        "class_embed_dim": dice.randint(4, 32),
        "logit_scale": dice.choice([4.6052, 0.0, 2.0]),
    }


def main() -> None:
    args = arguments(__doc__, ("default", "odd"))
    config, batch, size = small_config("mask_decoder"), 2, (2, 3)
    if args.variant == "odd":
        config |= {"feat_channels": 20, "norm_eps": 1e-3, "num_queries": 11, "decoder_layers": 7, "decoder_heads": 5}
        config |= {"decoder_ffn": 27, "num_classes": 3, "class_synonyms": 1, "class_embed_dim": 7, "pe_temperature": 100, "pe_scale": 5.0}
        batch, size = 1, (3, 1)
    if args.random:
        config = random_config("mask_decoder", args.dice)
        batch, size = args.dice.randint(1, 2), (args.dice.randint(1, 3), args.dice.randint(1, 3))

    gen = generator(args.seed)
    for _ in range(1000):
        weights, inputs, seen = random_weights(config, gen), random_inputs(config, batch, size, gen), []
        w = {name: value.double() for name, value in weights.items()}
        own = omg.query_decoder(w, levels_of(inputs), inputs["mask_features"], config, seen)
        last = own["mask_logits"]
        if same_in_f32([*seen, last]) and (args.random or special_cases(seen, last)):
            break
    else:
        raise SystemExit("no draw keeps its masks away from zero")
    expected = run(load(peer_for(config).double(), w), w, inputs, config)
    config["made_by"] = made_by(args, "transformers", "torch")
    write(args.out, config, named(weights), inputs, expected)

    for precision, tolerance in ((torch.float64, 1e-6), (torch.float32, 3e-5)):
        w, again = head_of(read(args.out, "weights", precision)), read(args.out, "inputs", precision)
        peer = load(peer_for(config).to(precision), w)
        check(f"transformers in {precision}", run(peer, w, again, config), read(args.out, "expected"), tolerance)
    check("formulas in f64", own, read(args.out, "expected"), 1e-6)


if __name__ == "__main__":
    main()
