"""Stage `ms_deform_attn`: the sampling core of deformable attention and its gradients, against transformers' Mask2Former.

    python tests/oracles/ms_deform_attn.py --out DIR [--seed N] [--random]

In: `value [b, cells, heads, d]`, `sampling_locations [b, q, heads, levels, points, 2]` as (x, y) in the unit square, some of
them outside, `attention_weights [b, q, heads, levels, points]`, `spatial_shapes [levels, 2]` as (height, width), and
`grad_output`. Out: `output [b, q, heads · d]`, `grad_value`, `grad_sampling_locations`, `grad_attention_weights`: the gradients
of `sum(output · grad_output)`. There are no weights. Computed in f64, stored as F32.
"""

import torch
from transformers.models.mask2former.modeling_mask2former import multi_scale_deformable_attention

import omg
from fixture import arguments, check, generator, made_by, normal, read, rounded, write


def off_the_kinks(locations: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """Moves places away from the lines through the cell centres, where the slope jumps: there f32 and f64 may disagree."""
    scale = sizes.flip(-1).double()[:, None]
    pixel = locations * scale - 0.5
    near = (pixel - pixel.round()).abs() < 1e-3
    return rounded((pixel + 0.01 * near + 0.5) / scale)


def main() -> None:
    args = arguments(__doc__)
    batch, queries, heads, d_head, points = 2, 9, 3, 5, 4
    sizes = [(2, 3), (4, 6), (7, 12)]
    if args.random:
        dice = args.dice
        batch, queries, heads, d_head, points = (dice.randint(1, n) for n in (3, 20, 4, 9, 5))
        sizes = [(dice.randint(1, 9), dice.randint(1, 9)) for _ in range(dice.randint(1, 4))]

    gen = generator(args.seed)
    shapes = torch.tensor(sizes)
    inputs = {
        "value": normal(gen, batch, sum(h * w for h, w in sizes), heads, d_head),
        "sampling_locations": off_the_kinks(torch.rand(batch, queries, heads, len(sizes), points, 2, generator=gen) * 1.2 - 0.1, shapes),
        "attention_weights": rounded(normal(gen, batch, queries, heads, len(sizes) * points).softmax(-1)),
        "grad_output": normal(gen, batch, queries, heads * d_head),
    }
    inputs["attention_weights"] = inputs["attention_weights"].unflatten(-1, (len(sizes), points))
    leaves = [inputs[name].clone().requires_grad_() for name in ("value", "sampling_locations", "attention_weights")]
    with torch.enable_grad():
        output = multi_scale_deformable_attention(leaves[0], sizes, leaves[1], leaves[2])
        gradients = torch.autograd.grad((output * inputs["grad_output"]).sum(), leaves)
    names = ("grad_value", "grad_sampling_locations", "grad_attention_weights")
    expected = {"output": output, **dict(zip(names, gradients))}
    config = {"stage": "ms_deform_attn", "encoder_heads": heads, "encoder_levels": len(sizes), "encoder_points": points}
    config["made_by"] = made_by(args, "transformers", "torch")
    write(args.out, config, None, inputs | {"spatial_shapes": shapes}, expected)

    again = read(args.out, "inputs")
    outside = (again["sampling_locations"] < 0) | (again["sampling_locations"] > 1)
    print(f"  {outside.any(-1).double().mean():.0%} of the places lie outside of their map")
    own = omg.deformable_attention(again["value"], sizes, again["sampling_locations"], again["attention_weights"])
    check("formula in f64", {"output": own}, read(args.out, "expected"), 1e-6)


if __name__ == "__main__":
    main()
