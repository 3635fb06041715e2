"""EfficientNet-Lite0 as a backbone beside PyTorch eager and ONNX Runtime: same weights, same picture, same threads, turn by turn.

    python benches/backbone_against.py --weights DIR [--rounds 15] [--threads 2] [--sides 256 384]

`DIR` is the folder that `tests/backends/efficientnet_lite.sh` made; the Python is that of the oracle environment, with the packages
onnx and onnxruntime besides. All three make the maps of strides 4 to 32. PyTorch runs the package efficientnet-lite-pytorch as it
is, and besides that with batch norms folded; ONNX Runtime has its own optimised graph of it. On a machine that others use the
processor's time and the least time say more than the median on the clock.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import onnxruntime
import torch
from efficientnet_lite_pytorch import EfficientNet
from torch.nn.utils import fuse_conv_bn_eval

ROOT = Path(__file__).parent.parent

parser = argparse.ArgumentParser()
parser.add_argument("--weights", type=Path, required=True)
parser.add_argument("--rounds", type=int, default=15)
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--sides", type=int, nargs="+", default=[256, 384])
args = parser.parse_args()
torch.set_num_threads(args.threads)
environment = {**os.environ, "RAYON_NUM_THREADS": str(args.threads), "RUST_LOG": "off"}


class Maps(torch.nn.Module):
    """The package's network up to its last block, with the maps of four strides as results."""

    def __init__(self, side: int):
        super().__init__()
        self.network = EfficientNet.from_name("efficientnet-lite0", image_size=side)
        self.network.load_state_dict(torch.load(args.weights / "lite0/published.pth", weights_only=True))
        self.eval()

    def forward(self, x):
        network, maps = self.network, []
        x = network._swish(network._bn0(network._conv_stem(x)))
        for index, block in enumerate(network._blocks):
            x = block(x)
            if index in (2, 4, 10, 15):
                maps.append(x)
        return maps


def folded(maps: Maps) -> Maps:
    """The same with every batch norm in its convolution."""
    network = maps.network
    pairs = [(network, "_conv_stem", "_bn0")]
    for block in network._blocks:
        pairs += [(block, "_expand_conv", "_bn0")] if hasattr(block, "_expand_conv") else []
        pairs += [(block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
    for owner, convolution, norm in pairs:
        setattr(owner, convolution, fuse_conv_bn_eval(getattr(owner, convolution), getattr(owner, norm)))
        setattr(owner, norm, torch.nn.Identity())
    return maps


def picture(side: int) -> torch.Tensor:
    """The input that both sides make for themselves."""
    y, x, c = torch.meshgrid(torch.arange(side), torch.arange(side), torch.arange(3), indexing="ij")
    return torch.sin(0.05 * x + 0.11 * y + 2.0 * c).permute(2, 0, 1)[None].contiguous()


def session(maps: Maps, image: torch.Tensor) -> onnxruntime.InferenceSession:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = str(Path(folder) / "lite0.onnx")
        torch.onnx.export(maps, image, path, input_names=["image"], dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = args.threads
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def timed(run):
    processor, began = time.process_time(), time.perf_counter()
    maps = run()
    seconds, processor = time.perf_counter() - began, time.process_time() - processor
    return seconds, processor, sum(float(torch.as_tensor(one).abs().mean()) for one in maps)


command = ["cargo", "bench", "--quiet", "--profile", "dev", "--package", "tp-benches", "--bench", "backbone", "--"]
ours = subprocess.Popen(
    [*command, str((args.weights / "lite0/model.safetensors").resolve())],
    cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
)  # fmt: skip


def of_ours(side: int):
    ours.stdin.write(f"{side}\n")
    ours.stdin.flush()
    answer = json.loads(ours.stdout.readline())
    return answer["seconds"], answer["processor"], answer["mean"]


for side in args.sides:
    image = picture(side)
    eager, norms_folded = Maps(side), folded(Maps(side))
    onnx = session(eager, image)
    runs = {
        "ours": lambda: of_ours(side),
        "PyTorch": lambda: timed(lambda: eager(image)),
        "PyTorch, norms folded": lambda: timed(lambda: norms_folded(image)),
        "ONNX Runtime": lambda: timed(lambda: onnx.run(None, {"image": image.numpy()})),
    }
    with torch.inference_mode():
        for run in runs.values():
            run()
        turns = [{name: run() for name, run in runs.items()} for _ in range(args.rounds)]
    means = {name: turns[-1][name][2] for name in runs}
    # Ours has weights of half precision.
    assert all(abs(mean - means["PyTorch"]) < 5e-3 * abs(means["PyTorch"]) for mean in means.values()), means
    for name in runs:
        line = f"{side} pixels, {args.threads} threads, {name:22}"
        for column, clock in enumerate(("clock", "processor")):
            times = {who: [1e3 * turn[who][column] for turn in turns] for who in runs}
            median, least = statistics.median(times[name]), min(times[name])
            ratio = statistics.median(times["ours"]) / median
            line += f"  {clock}: median {median:7.2f} ms, least {least:7.2f} ms, ours / it {ratio:4.2f} and {min(times['ours']) / least:4.2f}"
        print(line, flush=True)
