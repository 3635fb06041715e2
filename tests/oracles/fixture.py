"""Fixture folders: `config.json`, `weights.safetensors`, `inputs.safetensors`, `expected.safetensors`.

What all oracle scripts share: their arguments, random weights that leave no layer idle, and the writing and reading of a
folder. Real numbers are stored as F32 (F64 where a script says so), integers and flags as I64.
"""

import argparse
import importlib.metadata
import json
import platform
import random
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

Tensors = dict[str, torch.Tensor]


def arguments(doc: str, variants: tuple[str, ...] = (), rest: list[str] | None = None) -> argparse.Namespace:
    """The arguments that all scripts take; `rest` are those that a script left over."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--random", action="store_true", help="make up a small configuration from the seed")
    if variants:
        parser.add_argument("--variant", choices=variants, default=variants[0])
    args = parser.parse_args(rest)
    args.dice = random.Random(args.seed)
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    return args


def made_by(args: argparse.Namespace, *packages: str) -> dict:
    versions = {name: importlib.metadata.version(name) for name in packages}
    asked = {name: value for name, value in vars(args).items() if name not in ("out", "dice")}
    return {"script": Path(sys.argv[0]).name, **asked, "python": platform.python_version(), **versions}


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(gen: torch.Generator, *shape: int, std: float = 1.0) -> torch.Tensor:
    """Normal numbers, exact in f32, held in f64: the fixture's readers start from the very same values."""
    return (torch.randn(shape, generator=gen) * std).double()


def rounded(value: torch.Tensor) -> torch.Tensor:
    """What an F32 file keeps of a value."""
    return value.float().double()


def fill(module: nn.Module, gen: torch.Generator) -> None:
    """Random values for every parameter. A fresh layer is often nearly the identity (zero offsets, tiny layer scales); here
    none is: matrices keep the variance of their input, norms and biases stand off from 1 and 0."""
    for name, parameter in module.named_parameters():
        owner, _, leaf = name.rpartition(".")
        owner = module.get_submodule(owner)
        if isinstance(owner, nn.Embedding):
            value = normal(gen, *parameter.shape)
        elif parameter.dim() > 1:
            value = normal(gen, *parameter.shape) / parameter[0].numel() ** 0.5
        else:
            scales = leaf == "gamma" or leaf == "weight" and "Norm" in type(owner).__name__
            value = normal(gen, *parameter.shape, std=0.2) + (1.0 if scales else 0.0)
        parameter.copy_(value.float())


def write(
    out: Path, config: dict, weights: Tensors | None, inputs: Tensors, expected: Tensors, real=torch.float32, tolerance: dict | None = None
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    save_json(out / "config.json", config)
    for name, tensors in (("weights", weights), ("inputs", inputs), ("expected", expected)):
        if tensors is not None:
            save_tensors(out / f"{name}.safetensors", tensors, real)
    (out / "tolerance.json").unlink(missing_ok=True)
    tolerance = small_numbers(expected) if tolerance is None else tolerance
    if tolerance:
        save_json(out / "tolerance.json", tolerance)
    files = [file for file in out.rglob("*") if file.is_file()]
    for file in files:
        file.chmod(0o644)  # safetensors are written for their owner alone
    size = sum(file.stat().st_size for file in files)
    print(f"{out.name}: {size / 1024:.0f} KB, expects {', '.join(expected)}")


def save_tensors(path: Path, tensors: Tensors, real=torch.float32) -> None:
    save_file({name: stored(value, real) for name, value in tensors.items()}, path, {"format": "pt"})


def save_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def small_numbers(expected: Tensors) -> dict:
    """Bounds for tensors whose largest number is below 1: the default of 1e-4 would let any gradient pass."""
    largest = {name: float(value.abs().max()) for name, value in expected.items() if value.is_floating_point() and value.numel()}
    return {name: {"atol": 1e-4 * most, "rtol": 1e-4} for name, most in largest.items() if 0 < most < 1}


def stored(value: torch.Tensor, real: torch.dtype) -> torch.Tensor:
    return value.detach().to(real if value.is_floating_point() else torch.int64).contiguous()


def read(out: Path, name: str, real=torch.float64) -> Tensors:
    """The tensors of a folder as its readers see them; real numbers widened to `real`."""
    tensors = load_file(out / f"{name}.safetensors")
    return {key: value.to(real) if value.is_floating_point() else value for key, value in tensors.items()}


def check(what: str, got: Tensors, expected: Tensors, tolerance: float) -> None:
    """Stops unless every tensor of `got` equals its namesake, absolutely and relatively to `tolerance`."""
    for name, value in got.items():
        error = (value.double() - expected[name].double()).abs()
        worst = float((error / (1 + expected[name].double().abs())).max()) if error.numel() else 0.0
        print(f"  {what}: {name} {list(value.shape)} off by {worst:.1e}")
        if not worst <= tolerance:
            sys.exit(f"{what}: {name} differs by {worst}, more than {tolerance}")
