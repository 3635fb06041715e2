#!/usr/bin/env bash
# Writes parity fixtures with the Python of the oracle environment (see torch_cpu.sh).
#
#   tests/oracles/make_fixtures.sh PYTHON                 the committed ones, into tests/fixtures/parity
#   tests/oracles/make_fixtures.sh PYTHON OUT SEED...     for each seed a made-up configuration of every stage, into OUT
set -euo pipefail

python=${1:?usage: make_fixtures.sh PYTHON [OUT SEED...]}
out=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
committed=$here/../fixtures/parity
export HF_HUB_OFFLINE=1 PYTHONWARNINGS=ignore PYTHONDONTWRITEBYTECODE=1

oracle() { "$python" "$here/$1.py" --out "$2" "${@:3}"; }

if [ -n "$out" ]; then
    for seed in "${@:3}"; do
        for stage in convnext efficientnet_lite ms_deform_attn pixel_decoder mask_decoder point_prompt perception_prior projector localizer grpo_loss; do
            oracle $stage "$out/$stage-$seed" --random --seed "$seed"
        done
        for family in llama llama3 qwen2 qwen3 internlm2; do
            for variant in $family $family-lora; do
                oracle language "$out/language-$variant-$seed" --random --seed "$seed" --variant $variant
            done
        done
    done
    exit
fi

oracle convnext "$committed/convnext"
oracle convnext "$committed/convnext-open_clip" --variant open_clip
for variant in lite0 lite1 lite2 odd; do
    oracle efficientnet_lite "$committed/efficientnet_lite-$variant" --variant $variant
done
oracle ms_deform_attn "$committed/ms_deform_attn"
for stage in pixel_decoder mask_decoder; do
    oracle $stage "$committed/$stage"
    oracle $stage "$committed/$stage-odd" --variant odd
done
for rule in threshold log_bias object open; do
    oracle point_prompt "$committed/point_prompt-$rule" --variant $rule
done
# perception_prior, projector and end_to_end were made by the original code, which does not run here: see the README.
for activation in sigmoid linear; do
    oracle localizer "$committed/localizer-$activation" --variant $activation
done
for variant in llama llama3 qwen2 qwen3 internlm2 llama-lora internlm2-lora; do
    oracle language "$committed/language-$variant" --variant $variant
done
"$python" "$here/published_checkpoint.py" "$committed/../published"
oracle training "$committed/../training"
for variant in paper no_clip sample_std batch_std k1 k2 dapo dr_grpo gspo; do
    oracle grpo_loss "$committed/grpo_loss-$variant" --variant $variant
done
