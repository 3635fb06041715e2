"""Stage `efficientnet_lite`: EfficientNet-Lite as a backbone, against the package `efficientnet-lite-pytorch`.

    python tests/oracles/efficientnet_lite.py --out DIR [--seed N] [--random | --variant NAME] [--weights FILE.pth]

In: `rows [1, 3, h]`, `columns [1, 3, w]`, whose products, rounded to F32, are the image. Out: `res2 … res5`, the outputs of the
last block of each stride, at every `steps`-th cell in both directions from the last one on, in that order; `logits` of the whole
image and `dense_logits`, the last layer on every cell without the mean. Weights under the package's names, batch norms with
their statistics, the counters of updates included.

Variants `lite0`, `lite1`, `lite2`: a sixteenth of the published width at the published sizes of 224, 240 and 260 pixels; `odd`:
lite0 at 193 × 230. With `--weights` the published network itself, `odd` then being lite0's. The package takes its zeros for the
nominal size of the image; without one it counts them for the image that it gets, by a layer of its own, and that is asked for
here. At the published sizes both are compared. Computed in f64, stored as F32.
"""

import argparse

import torch
from efficientnet_lite_pytorch import EfficientNet
from efficientnet_lite_pytorch.utils import BlockDecoder, efficientnet_lite
from torch import nn

import fixture
from fixture import check, fill, generator, made_by, normal, read, write

SIZES = {"lite0": (224, 224), "lite1": (240, 240), "lite2": (260, 260), "odd": (193, 230)}
# Blocks, filters and strides of the published sizes, by the package's strings.
CHANNELS = {"lite0": [16, 24, 40, 80, 112, 192, 320], "lite2": [16, 24, 48, 88, 120, 208, 352]}
DEPTHS = {"lite0": [1, 2, 2, 3, 3, 4, 1], "lite1": [1, 3, 3, 4, 4, 5, 1]}
STRIDES, SIDES = [1, 2, 2, 2, 1, 2, 1], [3, 3, 5, 3, 5, 5, 3]
LAST_STAGES = [1, 2, 4, 6]  # of strides 4, 8, 16, 32


def network(config: dict, image_size: int | None = None) -> EfficientNet:
    """The package's network with the channels of a configuration. It multiplies every width by one coefficient, so it is given that
    of the stem, whose 32 channels are a constant there, and for the stages numbers that make up for it."""
    lite = config["backbone"]["efficientnet_lite"]
    stem, classes = lite["stem_channels"], lite["classifier"]["classes"]
    width = stem / 32
    _, params = efficientnet_lite(width_coefficient=width, image_size=image_size, num_classes=classes)
    params = params._replace(depth_divisor=1, fix_head_stem=False, drop_connect_rate=0.0)
    before = [stem, *lite["stage_channels"]]
    strings = [
        f"r{depth}_k{side}_s{stride}{stride}_e{1 if index == 0 else 6}_i{round(before[index] / width)}_o{round(to / width)}"
        for index, (to, depth, side, stride) in enumerate(zip(lite["stage_channels"], lite["stage_depths"], SIDES, STRIDES))
    ]
    model = EfficientNet(BlockDecoder.decode(strings), params)
    assert model._conv_stem.out_channels == stem and model._conv_head.out_channels == lite["classifier"]["channels"], model
    assert [block._project_conv.out_channels for block in last_blocks(model, config)] == config["backbone_dims"]
    return model.eval()


def last_blocks(model: EfficientNet, config: dict) -> list[nn.Module]:
    ends, end = [], 0
    for depth in config["backbone_depths"]:
        end += depth
        ends.append(model._blocks[end - 1])
    return ends


def outputs(model: EfficientNet, image: torch.Tensor, config: dict) -> dict[str, torch.Tensor]:
    maps: list[torch.Tensor] = []
    hooks = [block.register_forward_hook(lambda *parts: maps.append(parts[-1])) for block in last_blocks(model, config)]
    found = {"logits": model(image)}
    for hook in hooks:
        hook.remove()
    for index, (whole, step) in enumerate(zip(maps, config["steps"])):
        found[f"res{index + 2}"] = whole.flip(2, 3)[:, :, ::step, ::step]
    features = model._swish(model._bn1(model._conv_head(maps[3])))
    found["dense_logits"] = model._fc(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return found


def configuration(lite: dict) -> dict:
    channels, depths = lite["stage_channels"], lite["stage_depths"]
    first = [0, *(last + 1 for last in LAST_STAGES)]
    return {
        "stage": "efficientnet_lite",
        "backbone": {"efficientnet_lite": lite},
        "backbone_dims": [channels[last] for last in LAST_STAGES],
        "backbone_depths": [sum(depths[start : last + 1]) for start, last in zip(first, LAST_STAGES)],
        "steps": [5, 3, 1, 1],
    }


def fill_norms(model: EfficientNet, gen: torch.Generator, image: torch.Tensor) -> None:
    """Statistics near those of the image, as in a trained network, and scales at which ReLU6 is at both of its ends."""
    norms = {name: module for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)}
    for name, norm in norms.items():
        norm.momentum = 1.0  # what a forward pass sees is what the norm keeps
        if not name.endswith("_bn2"):
            norm.weight.mul_(2.0)
            norm.bias.add_(1.0)
    model.train()(image.float())
    model.eval()
    for norm in norms.values():
        norm.running_mean.add_(normal(gen, norm.num_features, std=0.1).float())
        norm.running_var.mul_((normal(gen, norm.num_features, std=0.2)).exp().float()).clamp_(min=0.05)


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--weights", help="the published weights of this size, instead of random ones in a narrow network")
    own, rest = parser.parse_known_args()
    args = fixture.arguments(__doc__, tuple(SIZES), rest)
    size = "lite0" if args.variant == "odd" else args.variant
    height, width = SIZES[args.variant]
    channels, depths = CHANNELS["lite2" if size == "lite2" else "lite0"], DEPTHS["lite0" if size == "lite0" else "lite1"]
    classifier = {"channels": 1280, "classes": 1000}
    lite = {"stem_channels": 32, "stage_channels": channels, "stage_depths": depths, "classifier": classifier}
    gen = generator(args.seed)
    if args.random and not own.weights:
        height, width = args.dice.randint(20, 150), args.dice.randint(20, 150)
    rows, columns = (normal(gen, 1, 3, side).clamp(-1, 1) for side in (height, width))
    image = (rows.float()[:, :, :, None] * columns.float()[:, :, None, :]).double()
    if own.weights:
        config = configuration(lite)
        peer = EfficientNet.from_name(f"efficientnet-{size}", image_size=None)
        peer.load_state_dict(torch.load(own.weights, weights_only=True))
    else:
        # No stage of stride 1 keeps its channels: the package compares a stride that it holds as `[1]` with 1 there, and would
        # not add the input, as TensorFlow's code does.
        narrow = [max(1, round(to / 16)) for to in channels]
        lite |= {"stem_channels": 2, "stage_channels": narrow, "classifier": {"channels": 80, "classes": 10}}
        if args.random:
            dice = args.dice
            narrow = [dice.randint(1, 4)]
            for stage in range(1, 7):
                narrow.append(dice.choice([n for n in range(1, 13) if n != narrow[-1]]))
            stem = dice.choice([n for n in range(1, 5) if n != narrow[0]])
            lite |= {"stem_channels": stem, "stage_channels": narrow, "stage_depths": [dice.randint(1, 3) for _ in range(7)]}
            lite |= {"classifier": {"channels": 40 * stem, "classes": dice.randint(1, 9)}}
        config = configuration(lite)
        peer = network(config)
        fill(peer, gen)
        fill_norms(peer, gen, image)
    peer.eval()
    weights = peer.state_dict()
    expected = outputs(peer.double(), image, config)
    config["made_by"] = made_by(args, "efficientnet-lite-pytorch", "torch")
    write(args.out, config, weights, {"rows": rows, "columns": columns}, expected)

    stored = read(args.out, "weights", torch.float32)
    if own.weights:
        again = EfficientNet.from_name(f"efficientnet-{size}", image_size=None if args.variant == "odd" else height)
    else:
        again = network(config, None if height != width or args.random else height)
    again.eval().load_state_dict(stored)
    found = outputs(again, image.float(), config)
    scale = {name: value.abs().max().clamp(min=1) for name, value in expected.items()}
    check("in f32", {name: value / scale[name] for name, value in found.items()},
          {name: value / scale[name] for name, value in expected.items()}, 1e-4)  # fmt: skip
    inside = peer._swish(peer._bn0(peer._conv_stem(image)))
    print(f"  the stem is 0 at {(inside == 0).double().mean():.0%} and 6 at {(inside == 6).double().mean():.1%} of its cells")


if __name__ == "__main__":
    main()
