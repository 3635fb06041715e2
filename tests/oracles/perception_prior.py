"""Stage `perception_prior`: which query claims which cell of the token grid, written from the published formulas (`omg.py`).

    python tests/oracles/perception_prior.py --out DIR [--seed N] [--random]

In, for one image: `class_logits [1, q, classes + 1]` (void last), `mask_logits [1, q, h, w]` at a quarter of the image's size,
`query_features [1, q, feat]`. Weight: `panoptic_head.query_embed.weight`. Out: `object_tokens [n, 2 · feat]`, here the *vectors*
of the kept queries in index order (their projections are the stage `projector`); `prior [1, cells, 2 · feat]`;
`claims [1, q, cells]`, the masks shrunk to the grid and weighed; `owner [cells]` and `kept [q]`, the query of each cell and
whether it owns one. Masks go the long way, enlarged to the image's size. Computed in f64, stored as F32.
"""

import torch

import omg
from fixture import Tensors, arguments, check, generator, made_by, normal, read, rounded, write


def outputs(weights: Tensors, inputs: Tensors, config: dict) -> Tensors:
    names = ("class_logits", "mask_logits", "query_features")
    out = omg.perception_prior(omg.below("panoptic_head.", weights), *(inputs[name][0] for name in names), config)
    return out | {name: out[name][None] for name in ("claims", "prior")}


def main() -> None:
    args = arguments(__doc__)
    config = {"stage": "perception_prior", "feat_channels": 12, "num_queries": 9, "num_classes": 5, "unshuffle": 2, "prior_smooth": 0.5}
    config["object_tokens"] = "query_vectors"
    rows, columns = 2, 3  # of the grid
    if args.random:
        dice = args.dice
        config |= {"feat_channels": 4 * dice.randint(1, 9), "num_queries": dice.randint(1, 40), "num_classes": dice.randint(1, 9)}
        config |= {"unshuffle": dice.choice([1, 2, 4])}
        rows, columns = dice.randint(1, 4), dice.randint(1, 4)

    gen = generator(args.seed)
    queries, side = config["num_queries"], 8 * config["unshuffle"]
    while True:
        weights = {"panoptic_head.query_embed.weight": normal(gen, queries, config["feat_channels"])}
        classes = normal(gen, 1, queries, config["num_classes"] + 1, std=3.0)
        classes[..., -1] = 0  # the logit of void
        # Blobs rather than noise, which would blur into the same grey for every query.
        blobs = omg.resize(normal(gen, 1, queries, rows, columns, std=3.0), (rows * side, columns * side))
        masks = rounded(blobs + normal(gen, *blobs.shape))
        inputs = {"class_logits": classes, "mask_logits": masks, "query_features": normal(gen, 1, queries, config["feat_channels"])}
        expected = outputs(weights, inputs, config)
        best = expected["claims"][0].topk(min(2, queries), dim=0).values
        if queries == 1 or float((best[0] - best[1]).min()) > 1e-4:  # else rounding could choose the owner
            break
    config["made_by"] = made_by(args, "torch")
    write(args.out, config, weights, inputs, expected)

    print(f"  {int(expected['kept'].sum())} of {queries} queries own one of {rows * columns} cells")
    again = outputs(read(args.out, "weights", torch.float32), read(args.out, "inputs", torch.float32), config)
    check("formulas in f32", again, read(args.out, "expected"), 1e-5)


if __name__ == "__main__":
    main()
