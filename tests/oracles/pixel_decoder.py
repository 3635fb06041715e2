"""Stage `pixel_decoder`: multi-scale deformable encoder and feature pyramid, against transformers' Mask2FormerPixelDecoder.

    python tests/oracles/pixel_decoder.py --out DIR [--seed N] [--random | --variant NAME]

In: `res2 … res5`. Out: `mask_features` and the memories `level0 level1 level2`, coarse first. Weights under
`panoptic_head.pixel_decoder.`; the README says how the peer's differ. Maps are not square. Computed in f64, stored as F32.
"""

from functools import partial
from unittest import mock

import torch
from torch import nn
from transformers import Mask2FormerConfig
from transformers.models.mask2former import modeling_mask2former as mask2former

import omg
from fixture import Tensors, arguments, check, fill, generator, made_by, normal, read, write

PREFIX = "panoptic_head.pixel_decoder."

NAMES = [
    ("input_projections.{}.0.", "input_convs.{}.conv."),
    ("input_projections.{}.1.", "input_convs.{}.gn."),
    ("adapter_1.0.", "lateral_convs.0.conv."),
    ("adapter_1.1.", "lateral_convs.0.gn."),
    ("layer_1.0.", "output_convs.0.conv."),
    ("layer_1.1.", "output_convs.0.gn."),
    ("mask_projection.", "mask_feature."),
    ("self_attn_layer_norm.", "norms.0."),
    ("final_layer_norm.", "norms.1."),
    ("fc1.", "ffn.layers.0.0."),
    ("fc2.", "ffn.layers.1."),
]


def published_name(name: str) -> str:
    if name == "level_embed":  # a bare parameter of the peer, an embedding of the original
        return PREFIX + "level_encoding.weight"
    for ours, theirs in NAMES:
        for index in range(3):
            name = name.replace(ours.format(index), theirs.format(index))
    return PREFIX + name


def peer_for(config: dict) -> mask2former.Mask2FormerPixelDecoder:
    """The peer, freed of the sizes that are constants of its code: groups, points, eps, temperature and scale."""
    feat = config["feat_channels"]
    own = Mask2FormerConfig(
        feature_size=feat,
        mask_feature_size=feat,
        num_attention_heads=config["encoder_heads"],
        encoder_layers=config["encoder_layers"],
        encoder_feedforward_dim=config["encoder_ffn"],
    )
    group_norm = partial(nn.GroupNorm, config["gn_groups"])
    with mock.patch.object(nn, "GroupNorm", lambda _, channels: group_norm(channels)):
        peer = mask2former.Mask2FormerPixelDecoder(own, config["backbone_dims"])
    peer.position_embedding.temperature = config["pe_temperature"]
    peer.position_embedding.scale = config["pe_scale"]
    for layer in peer.encoder.layers:
        layer.self_attn = mask2former.Mask2FormerPixelDecoderEncoderMultiscaleDeformableAttention(
            feat, config["encoder_heads"], config["encoder_levels"], config["encoder_points"]
        )
    for module in peer.modules():
        if isinstance(module, (nn.GroupNorm, nn.LayerNorm)):
            module.eps = config["norm_eps"]
    return peer.eval()


def run(peer: mask2former.Mask2FormerPixelDecoder, inputs: Tensors) -> Tensors:
    out = peer([inputs[f"res{index}"] for index in range(2, 6)], return_dict=True)
    return {"mask_features": out.mask_features, **{f"level{i}": level for i, level in enumerate(out.multi_scale_features)}}


def main() -> None:
    args = arguments(__doc__, ("default", "odd"))
    config = {
        "stage": "pixel_decoder",
        "backbone_dims": [8, 12, 16, 20],
        "feat_channels": 24,
        "gn_groups": 8,
        "norm_eps": 1e-5,
        "encoder_layers": 2,
        "encoder_heads": 4,
        "encoder_points": 4,
        "encoder_levels": 3,
        "encoder_ffn": 48,
        "pe_temperature": 10000,
        "pe_scale": 2 * torch.pi,
        "pe_eps": 1e-6,
        "pe_offset": 0.0,
    }
    batch, height, width = 2, 2, 3  # of res5
    if args.variant == "odd":
        config |= {"backbone_dims": [4, 6, 10, 7], "feat_channels": 20, "gn_groups": 5, "norm_eps": 1e-3, "encoder_layers": 3}
        config |= {"encoder_heads": 2, "encoder_points": 3, "encoder_ffn": 30, "pe_temperature": 100, "pe_scale": 5.0}
        batch, height, width = 1, 5, 1
    if args.random:
        dice = args.dice
        heads, groups = dice.choice([1, 2, 3, 4]), dice.choice([1, 2, 4])
        config |= {"backbone_dims": [dice.randint(3, 24) for _ in range(4)], "feat_channels": 4 * heads * groups}
        config |= {"gn_groups": groups, "encoder_heads": heads, "norm_eps": dice.choice([1e-5, 1e-3])}
        config |= {"encoder_layers": dice.randint(1, 4), "encoder_points": dice.randint(1, 5), "encoder_ffn": dice.randint(5, 80)}
        batch, height, width = dice.randint(1, 2), dice.randint(1, 3), dice.randint(1, 3)

    gen = generator(args.seed)
    peer = peer_for(config)
    fill(peer, gen)
    for layer in peer.encoder.layers:  # offsets of a few cells, so that places fall inside, outside and between levels
        layer.self_attn.sampling_offsets.bias.mul_(5)
    # The embedding of the levels has its own width: as a matrix it would fade.
    peer.level_embed.copy_(normal(gen, *peer.level_embed.shape).float())
    weights = {published_name(name): value for name, value in peer.state_dict().items()}
    sizes = [(height << shift, width << shift) for shift in (3, 2, 1, 0)]
    inputs = {
        f"res{index + 2}": normal(gen, batch, channels, *size) for index, (channels, size) in enumerate(zip(config["backbone_dims"], sizes))
    }
    expected = run(peer.double(), inputs)
    config["made_by"] = made_by(args, "transformers", "torch")
    write(args.out, config, weights, inputs, expected)

    stored, again = read(args.out, "weights"), peer_for(config)
    again.load_state_dict({name: stored[published_name(name)] for name in again.state_dict()})
    inputs, expected = read(args.out, "inputs"), read(args.out, "expected")
    check("transformers in f32", run(again, read(args.out, "inputs", torch.float32)), expected, 3e-5)
    features = [inputs[f"res{index}"] for index in range(2, 6)]
    check("formulas in f64", omg.pixel_decoder(omg.below(PREFIX, stored), features, config), expected, 1e-6)


if __name__ == "__main__":
    main()
