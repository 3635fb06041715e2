"""Stage `localizer`: hidden state of [SEG] to a point, the paper's regression head, in plain PyTorch layers.

    python tests/oracles/localizer.py --out DIR [--seed N] [--random | --variant NAME]

In: `hidden [k, hidden_size]`, after the language model's final norm. Out: `point [k, 2]` as (x, y) in the unit square of the
model's input; `seg_vector [k, text2vision_dim]`, the projected state; and for `target [k, 2]` the `loss`, the mean over all
numbers of the squared error, with `grad_hidden`. Weights: `projector_text2vision.model.{0,2}` as published;
`point_head.{0,2}` is a name of ours, since the paper's head is not public. It has one hidden layer with a GELU between, and
`point_activation` at the end: `sigmoid` or `linear`. Computed in f64, stored as F32.
"""

import torch
from torch import nn

from fixture import Tensors, arguments, check, fill, generator, made_by, normal, read, rounded, write


class Localizer(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        d_state, d_hidden = config["text2vision_dim"], config["point_hidden_size"]
        layers = nn.Sequential(nn.Linear(config["hidden_size"], d_state), nn.GELU(), nn.Linear(d_state, d_state))
        self.projector_text2vision = nn.ModuleDict({"model": layers})
        self.point_head = nn.Sequential(nn.Linear(d_state, d_hidden), nn.GELU(), nn.Linear(d_hidden, 2))
        self.last = torch.sigmoid if config["point_activation"] == "sigmoid" else nn.Identity()

    def forward(self, inputs: Tensors) -> Tensors:
        with torch.enable_grad():
            hidden = inputs["hidden"].clone().requires_grad_()
            state = self.projector_text2vision["model"](hidden)
            point = self.last(self.point_head(state))
            loss = ((point - inputs["target"]) ** 2).mean()
            (gradient,) = torch.autograd.grad(loss, hidden)
        return {"point": point, "seg_vector": state, "loss": loss, "grad_hidden": gradient}


def main() -> None:
    args = arguments(__doc__, ("sigmoid", "linear"))
    config = {"stage": "localizer", "hidden_size": 40, "text2vision_dim": 24, "point_hidden_size": 16, "point_activation": args.variant}
    count = 5
    if args.random:
        dice = args.dice
        config |= {"hidden_size": dice.randint(4, 96), "text2vision_dim": 8 * dice.randint(1, 8), "point_hidden_size": dice.randint(2, 64)}
        config |= {"point_activation": dice.choice(["sigmoid", "linear"])}
        count = dice.randint(1, 9)

    gen = generator(args.seed)
    localizer = Localizer(config)
    fill(localizer, gen)
    weights = localizer.state_dict()
    inputs = {"hidden": normal(gen, count, config["hidden_size"]), "target": rounded(torch.rand(count, 2, generator=gen))}
    expected = localizer.double()(inputs)
    config["made_by"] = made_by(args, "torch")
    write(args.out, config, weights, inputs, expected)

    again = Localizer(config)
    again.load_state_dict(read(args.out, "weights", torch.float32))
    check("PyTorch in f32", again(read(args.out, "inputs", torch.float32)), read(args.out, "expected"), 1e-5)


if __name__ == "__main__":
    main()
