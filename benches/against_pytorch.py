"""The vision model beside PyTorch eager: same weights, same input, same threads, turn by turn in one run.

    python benches/against_pytorch.py --model runs/scenes/model [--rounds 15] [--threads 2]
    python benches/against_pytorch.py --full-size [--rounds 3] [--threads 2]

Theirs is timm's ConvNeXt and transformers' Mask2Former under the weights of a model of scenes (`docs/training.md`), as `tests/oracles/` puts them
together, and its composed `grid_sample` body of deformable attention. Up to masks and classes: what the language model is told
is on our side alone. `--full-size` runs OMG-LLaVA's vision model at 1024 pixels with random weights, each side in a process of its own,
and compares the most memory that it held, too. On a machine that others use, `--threads 1` and the processor's time say more than
the clock: PyTorch's threads wait for each other in every operator.
"""

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers.models.mask2former.modeling_mask2former import multi_scale_deformable_attention

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests/oracles"))
import convnext  # noqa: E402
import mask_decoder  # noqa: E402
import omg  # noqa: E402
import pixel_decoder  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, help="15, at full size 3")
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--full-size", action="store_true")
parser.add_argument("--model", type=Path, default=Path("runs/scenes/model"), help="the folder of a model with a ConvNeXt, as `talking-points train` makes it of scenes")
parser.add_argument("--full-size-theirs", action="store_true", help=argparse.SUPPRESS)
args = parser.parse_args()
args.rounds = args.rounds or (3 if args.full_size else 15)
torch.set_num_threads(args.threads)
environment = {**os.environ, "TALKING_POINTS_MODEL": str(args.model.resolve()), "RAYON_NUM_THREADS": str(args.threads), "RUST_LOG": "off"}

FULL_SIZE = {
    "backbone_dims": [192, 384, 768, 1536], "backbone_depths": [3, 3, 27, 3], "backbone_ln_eps": 1e-6, "class_embed_dim": 768,
    "feat_channels": 256, "gn_groups": 32, "norm_eps": 1e-5, "encoder_layers": 6, "encoder_heads": 8, "encoder_points": 4,
    "encoder_levels": 3, "encoder_ffn": 1024, "pe_temperature": 10000, "pe_scale": 2 * torch.pi, "pe_eps": 1e-6, "pe_offset": 0.0,
    "num_queries": 300, "decoder_layers": 9, "decoder_heads": 8, "decoder_ffn": 2048, "num_classes": 133, "class_synonyms": 17,
    "logit_scale": 4.6052,
}  # fmt: skip


def image(side):
    """The input that both sides make for themselves."""
    y, x, c = torch.meshgrid(torch.arange(side), torch.arange(side), torch.arange(3), indexing="ij")
    return torch.sin(0.05 * x + 0.11 * y + 2.0 * c).permute(2, 0, 1)[None].contiguous()


# Our parameters → the published names that the oracles read, with the layers of PyTorch's orientation.
NAMES = [
    (r"^stages\.(\d+)\.blocks\.(\d+)\.(fc.)", r"trunk.stages.\1.blocks.\2.mlp.\3"),
    (r"^stages\.", r"trunk.stages."),
    (r"downsample\.norm", "downsample.0"),
    (r"downsample\.conv", "downsample.1"),
    (r"stem\.conv", "trunk.stem.0"),
    (r"stem\.norm", "trunk.stem.1"),
    (r"(level_encoding|query_feat|query_embed|level_embed)$", r"\1.weight"),
    (r"encoder\.(\d+)\.(sampling_offsets|attention_weights|value_proj|output_proj)", r"encoder.layers.\1.self_attn.\2"),
    (r"encoder\.(\d+)\.attention_norm", r"encoder.layers.\1.norms.0"),
    (r"encoder\.(\d+)\.ffn_norm", r"encoder.layers.\1.norms.1"),
    (r"encoder\.(\d+)\.fc1", r"encoder.layers.\1.ffn.layers.0.0"),
    (r"encoder\.(\d+)\.fc2", r"encoder.layers.\1.ffn.layers.1"),
    (r"lateral\.", "lateral_convs.0."),
    (r"output\.", "output_convs.0."),
    (r"^layers\.(\d+)\.(cross|self)_attn", r"transformer_decoder.layers.\1.\2_attn.attn"),
    (r"^layers\.(\d+)\.cross_norm", r"transformer_decoder.layers.\1.norms.0"),
    (r"^layers\.(\d+)\.self_norm", r"transformer_decoder.layers.\1.norms.1"),
    (r"^layers\.(\d+)\.ffn_norm", r"transformer_decoder.layers.\1.norms.2"),
    (r"^layers\.(\d+)\.fc1", r"transformer_decoder.layers.\1.ffn.layers.0.0"),
    (r"^layers\.(\d+)\.fc2", r"transformer_decoder.layers.\1.ffn.layers.1"),
    (r"^head\.post_norm", "transformer_decoder.post_norm"),
    (r"^head\.pool_norm", "mask_pooling_proj.0"),
    (r"^head\.pool_proj", "mask_pooling_proj.1"),
    (r"^head\.", ""),
    (r"\.first\.", ".0."),
    (r"\.second\.", ".2."),
    (r"\.third\.", ".4."),
]
PACKED = ("in_proj_weight", "class_embed", "query_feat", "query_embed", "level_embed", "level_encoding")


def part_of(tensors, part):
    """The weights of one part of the vision model by their published names."""
    found = {}
    for name, value in omg.below(f"eyes.encoder.{part}.", tensors).items():
        value = value.float()
        if value.dim() == 2 and not name.endswith(PACKED):
            value = value.T
        for ours, published in NAMES:
            name = re.sub(ours, published, name)
        found[name] = value.contiguous()
    return found


class Theirs(torch.nn.Module):
    """Image → masks and classes."""

    def __init__(self, config, tensors=None):
        super().__init__()
        self.config = config
        self.backbone = convnext.Clip(config)
        self.pixel_decoder = pixel_decoder.peer_for(config)
        self.queries = mask_decoder.peer_for(config)
        if tensors is None:
            torch.nn.init.normal_(self.pixel_decoder.level_embed)  # the peer leaves it as it finds it
            with torch.no_grad():
                head = mask_decoder.random_weights(config, torch.Generator().manual_seed(0))
        else:
            missing = self.backbone.load_state_dict(part_of(tensors, "backbone"), strict=False).missing_keys
            assert all(name.startswith(("fc", "trunk.head.")) for name in missing), missing  # the head that nothing reads
            weights = {pixel_decoder.PREFIX + name: value for name, value in part_of(tensors, "pixel_decoder").items()}
            state = self.pixel_decoder.state_dict()
            self.pixel_decoder.load_state_dict({name: weights[pixel_decoder.published_name(name)] for name in state})
            head = part_of(tensors, "query_decoder")
            head["class_embed"] = torch.nn.functional.normalize(head["class_embed"], dim=-1)
            mask_decoder.load(self.queries, head)
        used = ("cls_proj", "mask_pooling_proj", "transformer_decoder.post_norm", "class_embed")
        self.head = {name: value.requires_grad_() for name, value in head.items() if name.startswith(used)}

    def forward(self, images):
        features = self.backbone(images)
        pyramid = self.pixel_decoder([features[f"res{index}"] for index in range(2, 6)], return_dict=True)
        out = self.queries(list(pyramid.multi_scale_features), pyramid.mask_features)
        masks = out.masks_queries_logits[-1]
        classes = omg.class_logits(self.head, out.last_hidden_state, masks, pyramid.mask_features, self.config)
        return masks, classes, out.last_hidden_state


def places(sizes, heads):
    """Where the cells of all levels read: around themselves, some cells away, four places a level."""
    cells = [torch.stack([(x + 0.5) / w, (y + 0.5) / h], -1) for h, w in sizes for y, x in [torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")]]
    reference = torch.cat([level.reshape(-1, 2) for level in cells])
    count = len(reference) * heads * len(sizes) * 4 * 2
    offsets = (2 * torch.sin(0.7 * torch.arange(count).double())).float().view(1, len(reference), heads, len(sizes), 4, 2)
    return reference[None, :, None, None, None] + offsets / torch.tensor([[w, h] for h, w in sizes])[:, None]


def sampling(levels, heads, d_head):
    """Value, places and weights of one call of deformable attention."""
    sizes = [(side, side) for side in levels]
    cells = sum(h * w for h, w in sizes)
    value = torch.cos(0.3 * torch.arange(cells * heads * d_head).double()).float().view(1, cells, heads, d_head)
    return sizes, value, places(sizes, heads), torch.full((1, cells, heads, len(sizes), 4), 1 / 12)


def timed(run):
    """Seconds on the clock, seconds of all processors, and what `run` gives."""
    processor, began = time.process_time(), time.perf_counter()
    value = run()
    return time.perf_counter() - began, time.process_time() - processor, value


class Turns:
    """Our side: a process that does what a line asks for, and answers with seconds and a number to compare."""

    def __init__(self):
        command = ["cargo", "bench", "--quiet", "--profile", "dev", "--package", "tp-benches", "--bench", "eyes"]
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, task):
        self.process.stdin.write(task + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["seconds"], answer["processor"], answer["mean"]


def small():
    config = json.loads((args.model / "config.json").read_text())["vision"]
    if config.get("backbone", "ConvNext") != "ConvNext":
        sys.exit(f"error: {args.model} has another backbone, and timm's side of this comparison is a ConvNeXt")
    ours = Turns()
    eyes, picture = Theirs(config, load_file(args.model / "model.safetensors")), image(256)

    def encode():
        with torch.inference_mode():
            return float(eyes(picture)[0].abs().mean())

    def encode_backward():
        loss = sum(out.square().mean() for out in eyes(picture))
        loss.backward()
        eyes.zero_grad()
        for value in eyes.head.values():
            value.grad = None
        return loss.item()

    def deformable(levels, heads, d_head):
        sizes, *leaves = sampling(levels, heads, d_head)

        def forward():
            with torch.inference_mode():
                return float(multi_scale_deformable_attention(leaves[0], sizes, *leaves[1:]).abs().mean())

        def backward():
            inputs = [leaf.detach().requires_grad_() for leaf in leaves]
            loss = multi_scale_deformable_attention(inputs[0], sizes, *inputs[1:]).square().mean()
            loss.backward()
            return loss.item()

        return forward, backward

    tasks = {"encode": encode, "encode backward": encode_backward}
    for name, sizes in {"tiny": ((8, 16, 32), 4, 24), "full": ((32, 64, 128), 8, 32)}.items():
        tasks[f"sample {name}"], tasks[f"sample {name} backward"] = deformable(*sizes)
    for task, run in tasks.items():
        # The composition in Burn takes minutes with gradients at full size: one turn is enough there.
        rounds = max(3, args.rounds // 5) if "full" in task else args.rounds
        ours(task), run()
        turns = [(ours(task), timed(run)) for _ in range(rounds)]
        (*_, my_value), (*_, their_value) = turns[-1]
        assert abs(my_value - their_value) <= 2e-3 * abs(their_value), f"{task}: {my_value} and {their_value}"
        line = f"{task:22}"
        for column, clock in enumerate(("clock", "processor")):
            mine, theirs = (1e3 * statistics.median(turn[side][column] for turn in turns) for side in (0, 1))
            line += f"  {clock}: ours {mine:8.2f} ms, PyTorch {theirs:8.2f} ms, ratio {mine / theirs:4.2f}"
            if task.startswith("sample"):
                composed = 1e3 * ours(f"composed {task}")[column]
                line += f", composed in Burn {composed:8.1f} ms ({composed / mine:.0f} of ours)"
        print(line, flush=True)


def full_size_theirs():
    eyes, picture = Theirs(FULL_SIZE).eval(), image(1024)
    with torch.inference_mode():
        turns = [timed(lambda: eyes(picture))[0] for _ in range(args.rounds)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": statistics.median(turns), "peak_bytes": peak}))


def full_size():
    theirs = [sys.executable, __file__, "--full-size-theirs", "--rounds", str(args.rounds), "--threads", str(args.threads)]
    ours = ["cargo", "bench", "--quiet", "--profile", "dev", "--package", "tp-benches", "--bench", "full_size", "--", str(args.rounds)]
    for who, command in {"ours": ours, "PyTorch": theirs}.items():
        answer = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout
        answer = json.loads(answer.splitlines()[-1])
        print(f"full size: {who:8} {answer['seconds']:6.1f} s, at most {answer['peak_bytes'] / 1e9:5.2f} GB", flush=True)


if args.full_size_theirs:
    full_size_theirs()
elif args.full_size:
    full_size()
else:
    small()
