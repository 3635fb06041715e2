"""Writes small PyTorch checkpoints in the layout of the published ones, and their tensors as safetensors.

    python published_checkpoint.py OUT

`zip.pth` is what `torch.save` writes today, with the tensors under `state_dict`; `legacy.pth` what it wrote before 1.6, the
tensors at the top. Both hold every family of names in three number formats, one of them as a view into a larger storage.
`bare.pth` is one tensor without a name, as the phrases of classes are published, in an order that is not that of its storage.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

NAMES = [
    "backbone.stem.0.weight",
    "backbone.layer2.downsample.1.bias",
    "backbone.layer3.blocks.11.mlp.fc2.weight",
    "backbone.head.0.norm.weight",
    "panoptic_head.pixel_decoder.encoder.layers.0.ffn.layers.0.0.weight",
    "panoptic_head.transformer_decoder.layers.8.cross_attn.attn.in_proj_weight",
    "panoptic_head.pb_embedding.weight",
    "panoptic_head.mask_tokens.weight",
    "projector.model.seperate_embed.weight",
    "projector_text2vision.model.2.weight",
    "llm.base_model.model.model.tok_embeddings.weight",
    "llm.base_model.model.output.base_layer.weight",
    "llm.base_model.model.output.lora_A.default.weight",
    "llm.base_model.model.output.lora_B.default.weight",
    "llm.base_model.model.model.layers.5.attention.wqkv.lora_A.default.weight",
    "llm.base_model.model.model.layers.5.attention.wqkv.lora_B.default.weight",
]

out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
generator = torch.Generator().manual_seed(7)
formats = [torch.float32, torch.float16, torch.bfloat16]
tensors = {
    # Both halves of an update have the rank 3.
    name: torch.randn(3 if "lora" in name else 2 + index % 3, 3, generator=generator).to(formats[index % 3])
    for index, name in enumerate(NAMES)
}
# A view: its numbers are rows of a storage that others could share.
tensors[NAMES[0]] = torch.randn(9, 3, generator=generator)[4:7]

torch.save({"state_dict": tensors, "epoch": 3}, out / "zip.pth")
torch.save(tensors, out / "legacy.pth", _use_new_zipfile_serialization=False)
save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, out / "expected.safetensors")

phrases = torch.randn(3, 5, 2, generator=generator)
torch.save(phrases.permute(1, 0, 2), out / "bare.pth")
save_file({"class_embed": phrases.permute(1, 0, 2).contiguous()}, out / "bare.safetensors")
