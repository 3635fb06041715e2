"""OMG-Seg's decoders in plain PyTorch: the part of the model that no public peer has, and a second opinion on the rest.

Written from the published shapes, formulas and key names, one function per formula, for any precision of its inputs. A tensor
is called by its published name below `panoptic_head.`; `w` holds the weights by those names.
"""

import math

import torch
import torch.nn.functional as F

from fixture import Tensors


def below(prefix: str, tensors: Tensors) -> Tensors:
    """The tensors under a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def linear(w: Tensors, name: str, x: torch.Tensor) -> torch.Tensor:
    return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])


def norm(w: Tensors, name: str, x: torch.Tensor, config: dict) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], config["norm_eps"])


def perceptron(w: Tensors, name: str, x: torch.Tensor, activation=F.relu) -> torch.Tensor:
    """Linear layers 0, 2, 4 … with the activation between them."""
    last = max(int(key.removeprefix(f"{name}.").split(".")[0]) for key in w if key.startswith(f"{name}."))
    for index in range(0, last, 2):
        x = activation(linear(w, f"{name}.{index}", x))
    return linear(w, f"{name}.{last}", x)


def resize(maps: torch.Tensor, size) -> torch.Tensor:
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def sine(values: torch.Tensor, channels: int, config: dict) -> torch.Tensor:
    """`[…]` → `[…, channels]`: sine on even channels, cosine on odd ones, `values` already in radians."""
    k = torch.arange(channels, dtype=values.dtype)
    angle = values[..., None] / config["pe_temperature"] ** (2 * torch.div(k, 2, rounding_mode="floor") / channels)
    return torch.where(k % 2 == 0, angle.sin(), angle.cos())


def map_code(height: int, width: int, config: dict, like: torch.Tensor) -> torch.Tensor:
    """Place of every cell of a map, `[height · width, feat_channels]`: counted from 1, the half of y before the half of x."""
    half = config["feat_channels"] // 2

    def axis(cells: int) -> torch.Tensor:
        count = torch.arange(1, cells + 1, dtype=like.dtype)
        return sine((count + config["pe_offset"]) / (cells + config["pe_eps"]) * config["pe_scale"], half, config)

    y, x = axis(height)[:, None].expand(-1, width, -1), axis(width)[None].expand(height, -1, -1)
    return torch.cat([y, x], -1).flatten(0, 1)


def key_code(height: int, width: int, config: dict, like: torch.Tensor) -> torch.Tensor:
    """The same plus the code of the time axis of a still image: one constant vector, which no softmax notices."""
    time = torch.ones((), dtype=like.dtype) / (1 + config["pe_eps"]) * config["pe_scale"]
    return map_code(height, width, config, like) + sine(time, config["feat_channels"], config)


# Pixel decoder ------------------------------------------------------------------------------------------------------------


def sample_level(value: torch.Tensor, size, places: torch.Tensor) -> torch.Tensor:
    """Bilinear samples of one map `[cells, d]` at `places [n, 2]`, (x, y) in its unit square; outside of it lies zero."""
    height, width = size
    x, y = places[:, 0] * width - 0.5, places[:, 1] * height - 0.5
    total = value.new_zeros(len(places), value.shape[1])
    for dy in (0, 1):
        for dx in (0, 1):
            column, row = x.floor() + dx, y.floor() + dy
            weight = (1 - (x - column).abs()) * (1 - (y - row).abs())
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            cell = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).long()
            total = total + value[cell] * (weight * inside)[:, None]
    return total


def deformable_attention(value: torch.Tensor, sizes, locations: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    batch, _, heads, d_head = value.shape
    queries, levels, points = locations.shape[1], locations.shape[3], locations.shape[4]
    out = value.new_zeros(batch, queries, heads, d_head)
    starts = [0]
    for height, width in sizes:
        starts.append(starts[-1] + height * width)
    for b in range(batch):
        for h in range(heads):
            for level in range(levels):
                of_level = value[b, starts[level] : starts[level + 1], h]
                for point in range(points):
                    sample = sample_level(of_level, sizes[level], locations[b, :, h, level, point])
                    out[b, :, h] += sample * weights[b, :, h, level, point, None]
    return out.flatten(2)


def group_norm(w: Tensors, name: str, x: torch.Tensor, config: dict) -> torch.Tensor:
    return F.group_norm(x, config["gn_groups"], w[f"{name}.weight"], w[f"{name}.bias"], config["norm_eps"])


def pixel_decoder(w: Tensors, features: list[torch.Tensor], config: dict) -> Tensors:
    """`features`: res2 … res5. `w`: below `pixel_decoder.`."""
    coarse_first = features[:0:-1]
    sizes = [tuple(level.shape[-2:]) for level in coarse_first]
    x, code, reference = [], [], []
    for index, level in enumerate(coarse_first):
        projected = F.conv2d(level, w[f"input_convs.{index}.conv.weight"], w[f"input_convs.{index}.conv.bias"])
        x.append(group_norm(w, f"input_convs.{index}.gn", projected, config).flatten(2).transpose(1, 2))
        height, width = sizes[index]
        code.append(map_code(height, width, config, level) + w["level_encoding.weight"][index])
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        reference.append(torch.stack([(columns + 0.5) / width, (rows + 0.5) / height], -1).flatten(0, 1).to(level.dtype))
    x, code, reference = torch.cat(x, 1), torch.cat(code), torch.cat(reference)

    heads, levels, points = config["encoder_heads"], config["encoder_levels"], config["encoder_points"]
    batch, cells, _ = x.shape
    scale = torch.tensor([[width, height] for height, width in sizes], dtype=x.dtype)
    for layer in range(config["encoder_layers"]):
        name = f"encoder.layers.{layer}"
        query = x + code
        offsets = linear(w, f"{name}.self_attn.sampling_offsets", query).view(batch, cells, heads, levels, points, 2)
        weights = linear(w, f"{name}.self_attn.attention_weights", query).view(batch, cells, heads, levels * points)
        weights = weights.softmax(-1).view(batch, cells, heads, levels, points)
        locations = reference[None, :, None, None, None] + offsets / scale[:, None]
        value = linear(w, f"{name}.self_attn.value_proj", x).view(batch, cells, heads, -1)
        read = linear(w, f"{name}.self_attn.output_proj", deformable_attention(value, sizes, locations, weights))
        x = norm(w, f"{name}.norms.0", x + read, config)
        inner = F.relu(linear(w, f"{name}.ffn.layers.0.0", x))
        x = norm(w, f"{name}.norms.1", x + linear(w, f"{name}.ffn.layers.1", inner), config)

    split = x.split([height * width for height, width in sizes], 1)
    memories = [level.transpose(1, 2).unflatten(2, size) for level, size in zip(split, sizes)]
    lateral = group_norm(w, "lateral_convs.0.gn", F.conv2d(features[0], w["lateral_convs.0.conv.weight"]), config)
    finest = lateral + resize(memories[-1], features[0].shape[-2:])
    finest = F.conv2d(finest, w["output_convs.0.conv.weight"], padding=1)
    finest = F.relu(group_norm(w, "output_convs.0.gn", finest, config))
    mask_features = F.conv2d(finest, w["mask_feature.weight"], w["mask_feature.bias"])
    return {"mask_features": mask_features, **{f"level{index}": memory for index, memory in enumerate(memories)}}


# Query decoder ------------------------------------------------------------------------------------------------------------


def attention(w: Tensors, name: str, query, key, value, bias, config: dict) -> torch.Tensor:
    """`bias [b, q, k]` is added to the logits of every head: −∞ closes a cell."""
    heads = config["decoder_heads"]
    in_weight, in_bias = w[f"{name}.in_proj_weight"].chunk(3), w[f"{name}.in_proj_bias"].chunk(3)
    q, k, v = (
        F.linear(x, weight, b).unflatten(-1, (heads, -1)).transpose(1, 2)
        for x, weight, b in zip((query, key, value), in_weight, in_bias)
    )
    logits = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if bias is not None:
        logits = logits + bias[:, None]
    return linear(w, f"{name}.out_proj", (logits.softmax(-1) @ v).transpose(1, 2).flatten(2))


def decoder_layer(w: Tensors, index: int, x, position, memory, code, bias, config: dict) -> torch.Tensor:
    """Cross-attention, self-attention, feed-forward, each followed by its norm."""
    name = f"transformer_decoder.layers.{index}"
    read = attention(w, f"{name}.cross_attn.attn", x + position, memory + code, memory, bias, config)
    x = norm(w, f"{name}.norms.0", x + read, config)
    read = attention(w, f"{name}.self_attn.attn", x + position, x + position, x, None, config)
    x = norm(w, f"{name}.norms.1", x + read, config)
    inner = F.relu(linear(w, f"{name}.ffn.layers.0.0", x))
    return norm(w, f"{name}.norms.2", x + linear(w, f"{name}.ffn.layers.1", inner), config)


def memories_of(w: Tensors, levels: list[torch.Tensor], config: dict):
    """Per level `[b, cells, feat]` with its level embedding, and the code of its places."""
    memories = [level.flatten(2).transpose(1, 2) + w["level_embed.weight"][index] for index, level in enumerate(levels)]
    return memories, [key_code(*level.shape[-2:], config, level) for level in levels]


def predicted_mask(w: Tensors, x: torch.Tensor, mask_features: torch.Tensor, config: dict) -> torch.Tensor:
    vectors = perceptron(w, "mask_embed", norm(w, "transformer_decoder.post_norm", x, config))
    return torch.einsum("bqc,bchw->bqhw", vectors, mask_features)


def predicted_bias(logits: torch.Tensor) -> torch.Tensor:
    """Closed where the logit is negative; a query that would see nothing sees everything. `[b, q, cells]`"""
    closed = logits.flatten(2) < 0
    closed = closed & ~closed.all(-1, keepdim=True)
    return torch.zeros_like(logits.flatten(2)).masked_fill(closed, -math.inf)


def class_logits(w: Tensors, x: torch.Tensor, masks: torch.Tensor, mask_features: torch.Tensor, config: dict) -> torch.Tensor:
    """Cosine between what lies under the mask and the phrases of each class, the best phrase of a class counting.

    `class_embed [class, synonym, d]` has rows of length 1. The vector of void is zero, and so is its logit, the last."""
    inside = (masks > 0).to(x.dtype)
    pooled = torch.einsum("bqhw,bchw->bqc", inside, mask_features) / (inside.sum((2, 3)) + 1e-8)[..., None]
    pooled = linear(w, "mask_pooling_proj.1", norm(w, "mask_pooling_proj.0", pooled, config))
    vectors = perceptron(w, "cls_proj", pooled + norm(w, "transformer_decoder.post_norm", x, config))
    cosines = torch.einsum("bqd,cpd->bqcp", F.normalize(vectors, dim=-1, eps=1e-12), w["class_embed"])
    return F.pad(math.exp(config["logit_scale"]) * cosines.amax(-1), (0, 1))


def decode(w: Tensors, levels, mask_features, x, position, config: dict, seen: list | None = None) -> torch.Tensor:
    """Queries through all layers, each reading through the mask that it has predicted so far. `seen` collects those masks."""
    memories, codes = memories_of(w, levels, config)
    for index in range(config["decoder_layers"]):
        level = index % len(levels)
        mask = resize(predicted_mask(w, x, mask_features, config), levels[level].shape[-2:])
        if seen is not None:
            seen.append(mask)
        x = decoder_layer(w, index, x, position, memories[level], codes[level], predicted_bias(mask), config)
    return x


def query_decoder(w: Tensors, levels, mask_features, config: dict, seen: list | None = None) -> Tensors:
    batch = mask_features.shape[0]
    x, position = (w[f"{name}.weight"][None].expand(batch, -1, -1) for name in ("query_feat", "query_embed"))
    x = decode(w, levels, mask_features, x, position, config, seen)
    masks = predicted_mask(w, x, mask_features, config)
    return {"query_features": x, "class_logits": class_logits(w, x, masks, mask_features, config), "mask_logits": masks}


# Prompts ------------------------------------------------------------------------------------------------------------------


def box_code(boxes: torch.Tensor, config: dict) -> torch.Tensor:
    """`[n, 4]` as (cx, cy, w, h) in the unit square → `[n, 2 · feat_channels]`, in the order cy, cx, w, h. Not counted from 1."""
    inside = boxes.clamp(0, 1)
    logits = torch.log(inside.clamp(min=1e-5) / (1 - inside).clamp(min=1e-5))  # there and back: stays clear of 0 and 1
    radians = logits.sigmoid()[:, [1, 0, 2, 3]] * config["pe_scale"]
    return sine(radians, config["feat_channels"] // 2, config).flatten(1)


def prompt_queries(w: Tensors, points: torch.Tensor, config: dict):
    """Content and position query of points `[n, 2]` in the unit square of the model's input, `[n, 1, feat]` each."""
    side = torch.full_like(points, 2 * config["prompt_radius_px"] / config["image_size"])
    position = linear(w, "pos_linear", box_code(torch.cat([points, side], 1), config))
    content = w["pb_embedding.weight"][config["prompt_label"]] + w["mask_tokens.weight"][0]
    return content.expand_as(position)[:, None], position[:, None]


def gaussian_bias(points: torch.Tensor, size, config: dict) -> torch.Tensor:
    """The fixed mask around each point, `[n, 1, cells]`: what is added to the attention logits of a level.

    `g = exp(-d² / 2σ²)` at the cell centres. Rule `threshold`: open where g reaches it. Rule `log_bias`: ln g is added, cells
    below the floor are closed. The cell that holds the point is open under both; under `log_bias` it, too, gets its ln g."""
    height, width = size
    centres_y, centres_x = ((torch.arange(n, dtype=points.dtype) + 0.5) / n for n in (height, width))
    distance = (centres_x[None, None] - points[:, 0, None, None]) ** 2 + (centres_y[None, :, None] - points[:, 1, None, None]) ** 2
    log_g = -distance / (2 * config["sigma"] ** 2)
    (rule, value), *_ = config["mask_rule"].items()
    cut = math.log(value["floor"] if rule == "log_bias" else value)
    own = [(points[:, axis] * n).floor().clamp(0, n - 1).long() for axis, n in ((1, height), (0, width))]
    is_open = log_g >= cut
    is_open[torch.arange(len(points)), own[0], own[1]] = True
    bias = log_g if rule == "log_bias" else torch.zeros_like(log_g)
    return bias.masked_fill(~is_open, -math.inf).flatten(1)[:, None]


def closest_cut(points: torch.Tensor, size, config: dict) -> float:
    """How near the Gaussian of any cell comes to the rule's cut, in ln g: a tie may fall either way in f32."""
    (rule, value), *_ = config["mask_rule"].items()
    cut = math.log(value["floor"] if rule == "log_bias" else value)
    open_everywhere = {**config, "mask_rule": {"log_bias": {"floor": 1e-300}}}
    log_g = gaussian_bias(points, size, open_everywhere)
    return float((log_g[log_g.isfinite()] - cut).abs().min())


def prompt(w: Tensors, levels, mask_features, points, image_index, config: dict, seen: list | None = None) -> torch.Tensor:
    """Each point alone through all layers: `[n, 2 · feat]`, content after the last layer, then the position query."""
    levels, mask_features = [level[image_index] for level in levels], mask_features[image_index]
    x, position = prompt_queries(w, points, config)
    if config["mask_rule"] == "object":
        x = decode(w, levels, mask_features, x, position, config, seen)
    else:
        memories, codes = memories_of(w, levels, config)
        for index in range(config["decoder_layers"]):
            level = index % len(levels)
            bias = None if config["mask_rule"] == "open" else gaussian_bias(points, levels[level].shape[-2:], config)
            x = decoder_layer(w, index, x, position, memories[level], codes[level], bias, config)
    return torch.cat([x, position], -1)[:, 0]


# Tokens -------------------------------------------------------------------------------------------------------------------


def perception_prior(w: Tensors, class_logits, mask_logits, query_features, config: dict) -> Tensors:
    """For one image, the long way: every mask at the size of the image. `class_logits [q, c + 1]`, `mask_logits [q, h, w]`,
    `query_features [q, feat]`."""
    real = class_logits.softmax(-1)[:, :-1].amax(-1)  # void has a share in the softmax, but is no class
    height, width = (4 * n for n in mask_logits.shape[-2:])
    smooth = config["prior_smooth"]
    claims = ((1 - smooth) * real + smooth)[:, None, None] * resize(mask_logits[None], (height, width))[0].sigmoid()
    side = 32 * config["unshuffle"]
    claims = resize(claims[None], (height // side, width // side))[0].flatten(1)  # [q, cells]
    vectors = torch.cat([query_features, w["query_embed.weight"]], -1)
    owner = claims.argmax(0)
    kept = torch.zeros(len(claims), dtype=torch.long)
    kept[owner] = 1
    return {
        "claims": claims,
        "owner": owner,
        "kept": kept,
        "prior": claims.softmax(0).T @ vectors,
        "object_tokens": vectors[kept.bool()],
    }


def pixel_unshuffle(maps: torch.Tensor, factor: int) -> torch.Tensor:
    """`[b, c, h, w]` → `[b, cells, f² · c]`: the place within the cell is the slow half of the channel index."""
    batch, channels, height, width = maps.shape
    cells = maps.view(batch, channels, height // factor, factor, width // factor, factor)
    return cells.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, factor * factor * channels)
