"""Stage `convnext`: CLIP's ConvNeXt as the backbone of OMG-Seg, against timm (the trunk that open_clip builds on).

    python tests/oracles/convnext.py --out DIR [--seed N] [--random | --variant NAME]

In: `image [b, 3, h, w]`. Out: `res2 … res5`, the raw outputs of the four stages. Weights under `backbone.`, as in an OMG-Seg
checkpoint, the unused head included; the variant `open_clip` has them under `visual.`, as in an open_clip file.
Computed in f64, stored as F32.
"""

import torch
from timm.models.convnext import ConvNeXt
from torch import nn

from fixture import arguments, check, fill, generator, made_by, normal, read, write


class Clip(nn.Module):
    """timm's trunk, and the pooled head in which CLIP's image tower ends."""

    def __init__(self, config: dict):
        super().__init__()
        dims, eps = config["backbone_dims"], config["backbone_ln_eps"]
        # timm's ConvNeXt takes its own eps, 1e-6, unless it is told another one.
        self.trunk = ConvNeXt(depths=config["backbone_depths"], dims=dims, num_classes=0, norm_eps=eps)
        self.fc1 = nn.Linear(dims[3], dims[3])
        self.fc2 = nn.Linear(dims[3], config["class_embed_dim"], bias=False)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.trunk.stem(image)
        features = {}
        for index, stage in enumerate(self.trunk.stages):
            x = features[f"res{index + 2}"] = stage(x)
        return features


def open_clip_name(name: str) -> str:
    return f"visual.{name}" if name.startswith("trunk.") else f"visual.head.mlp.{name}"


def omg_seg_name(name: str) -> str:
    """`stages.0` of timm is `layer1` of OMG-Seg; the head becomes a list of two."""
    if name.startswith("fc"):
        return f"backbone.head.1.mlp.{name}"
    name = name.removeprefix("trunk.").replace("head.norm.", "head.0.norm.")
    for stage in range(4):
        name = name.replace(f"stages.{stage}.", f"layer{stage + 1}.")
    return f"backbone.{name}"


def main() -> None:
    args = arguments(__doc__, ("omg_seg", "open_clip"))
    config = {
        "stage": "convnext",
        "backbone_dims": [8, 12, 16, 24],
        "backbone_depths": [1, 1, 3, 1],
        "backbone_ln_eps": 1e-6,
        "class_embed_dim": 12,
    }
    batch, height, width = 2, 32, 64
    if args.variant == "open_clip":
        config |= {"backbone_dims": [6, 12, 10, 14], "backbone_depths": [2, 1, 1, 2], "backbone_ln_eps": 1e-3}
        batch, height, width = 1, 96, 32
    if args.random:
        dice = args.dice
        config["backbone_dims"] = [4 * dice.randint(1, 8) for _ in range(4)]
        config["backbone_depths"] = [dice.randint(1, 3) for _ in range(4)]
        config["backbone_ln_eps"] = dice.choice([1e-6, 1e-5, 1e-3])
        batch, height, width = dice.randint(1, 2), 32 * dice.randint(1, 3), 32 * dice.randint(1, 3)

    gen = generator(args.seed)
    peer = Clip(config).eval()
    fill(peer, gen)
    rename = open_clip_name if args.variant == "open_clip" else omg_seg_name
    weights = {rename(name): value for name, value in peer.state_dict().items()}
    image = normal(gen, batch, 3, height, width)
    expected = peer.double()(image)
    config["made_by"] = made_by(args, "timm", "torch")
    write(args.out, config, weights, {"image": image}, expected)

    stored = read(args.out, "weights", torch.float32)
    again = Clip(config).eval()
    again.load_state_dict({name: stored[rename(name)] for name in again.state_dict()})
    check("timm in f32", again(read(args.out, "inputs", torch.float32)["image"]), read(args.out, "expected"), 1e-5)
    # gelu(1) is 0.8413447 in the exact form, 0.8411920 in the approximation by tanh.
    gelu = again.trunk.stages[0].blocks[0].mlp.act(torch.ones(1))
    assert abs(gelu - 0.8413447) < 1e-6, gelu


if __name__ == "__main__":
    main()
