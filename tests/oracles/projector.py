"""Stage `projector`: features to tokens of the language model, in plain PyTorch layers with OMG-LLaVA's key names.

    python tests/oracles/projector.py --out DIR [--seed N] [--random]

In, for one image: `res5 [1, c, h, w]`, `prior [1, cells, 2 · feat]`, `query_vectors [n, 2 · feat]` of the kept queries.
Out: `unshuffled [1, cells, c · unshuffle²]`, `pixel_tokens [1, cells, hidden]`, `object_tokens [n, hidden]`, here the
*projections*, and `visual_tokens [1, cells + 1 + n, hidden]`: pixel tokens, separator, object tokens. Computed in f64, stored
as F32.
"""

import torch
from torch import nn

import omg
from fixture import Tensors, arguments, check, fill, generator, made_by, normal, read, write

PREFIX = "projector.model."


def gelu_layers(depth: int, d_input: int, d_output: int) -> nn.Sequential:
    """Linear layers with an exact GELU between them, none after the last."""
    layers = [nn.Linear(d_input, d_output)]
    for _ in range(1, depth):
        layers += [nn.GELU(), nn.Linear(d_output, d_output)]
    return nn.Sequential(*layers)


class Projector(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        self.unshuffle = config["unshuffle"]
        d_pixel, d_query = config["backbone_dims"][3] * self.unshuffle**2, 2 * config["feat_channels"]
        depth, hidden = config["projector_depth"], config["hidden_size"]
        self.query_proj = nn.Linear(d_query, d_pixel)
        self.model = gelu_layers(depth, d_pixel, hidden)
        self.model_feat = gelu_layers(depth, d_pixel + d_query, hidden)
        self.seperate_embed = nn.Embedding(1, hidden)  # spelled as in the published files

    def forward(self, inputs: Tensors) -> Tensors:
        pixels = omg.pixel_unshuffle(inputs["res5"], self.unshuffle)
        pixel_tokens = self.model_feat(torch.cat([pixels, inputs["prior"]], -1))
        object_tokens = self.model(self.query_proj(inputs["query_vectors"]))
        together = torch.cat([pixel_tokens[0], self.seperate_embed.weight, object_tokens])[None]
        return {"unshuffled": pixels, "pixel_tokens": pixel_tokens, "object_tokens": object_tokens, "visual_tokens": together}


def main() -> None:
    args = arguments(__doc__)
    config = {"stage": "projector", "backbone_dims": [4, 6, 8, 10], "feat_channels": 12, "unshuffle": 2}
    config |= {"projector_depth": 2, "hidden_size": 32, "object_tokens": "projections"}
    rows, columns, kept = 2, 3, 4
    if args.random:
        dice = args.dice
        config |= {"backbone_dims": [4, 6, 8, dice.randint(3, 20)], "feat_channels": 4 * dice.randint(1, 6)}
        config |= {"unshuffle": dice.randint(1, 3), "projector_depth": dice.randint(1, 3), "hidden_size": dice.randint(8, 64)}
        rows, columns, kept = (dice.randint(1, 4) for _ in range(3))

    gen = generator(args.seed)
    projector = Projector(config)
    fill(projector, gen)
    weights = {PREFIX + name: value for name, value in projector.state_dict().items()}
    factor, d_query = config["unshuffle"], 2 * config["feat_channels"]
    inputs = {
        "res5": normal(gen, 1, config["backbone_dims"][3], rows * factor, columns * factor),
        "prior": normal(gen, 1, rows * columns, d_query),
        "query_vectors": normal(gen, kept, d_query),
    }
    expected = projector.double()(inputs)
    config["made_by"] = made_by(args, "torch")
    write(args.out, config, weights, inputs, expected)

    again = Projector(config)
    again.load_state_dict(omg.below(PREFIX, read(args.out, "weights", torch.float32)))
    check("PyTorch in f32", again(read(args.out, "inputs", torch.float32)), read(args.out, "expected"), 1e-5)
    # With two rows and columns a cell, the second block of channels is the pixel to the right.
    if factor > 1:
        channels = config["backbone_dims"][3]
        assert torch.equal(expected["unshuffled"][0, 0, channels : 2 * channels], inputs["res5"][0, :, 0, 1])


if __name__ == "__main__":
    main()
