#!/usr/bin/env bash
# Makes a folder of LibTorch 2.9.0 for the CPU, from PyPI alone, and prints what the feature `libtorch` needs to be set.
#
#   eval "$(tests/backends/libtorch.sh target/libtorch)"     # needs python3 with pip, and gcc; 0.9 GB to load, 0.5 GB to keep
#   cargo run --example round_trip --features libtorch -- --device libtorch
#
# Whoever has LibTorch 2.9.0 already needs none of this: LIBTORCH says where it stands, LD_LIBRARY_PATH where its lib is.
# The Linux wheel on PyPI is the CUDA build. Its libtorch_cpu.so asks for two small CUDA libraries and is whole otherwise;
# an empty libtorch.so stands in for the one that would ask for the other 3 GB.
set -euo pipefail

folder=$(realpath -m "${1:?usage: libtorch.sh DIR}")
if [ ! -e "$folder/build-version" ]; then # written last
    mkdir -p "$folder/lib"
    wheels=$(mktemp -d "$folder/wheels.XXXX")
    trap 'rm -rf "$wheels"' EXIT
    "${PYTHON:-python3}" -m pip --disable-pip-version-check --quiet download --no-deps --dest "$wheels" \
        torch==2.9.0 nvidia-cuda-runtime-cu12==12.8.90 nvidia-cuda-cupti-cu12==12.8.90 >&2
    "${PYTHON:-python3}" - "$folder" "$wheels"/*.whl <<'PYTHON'
import pathlib, shutil, sys, zipfile

folder = pathlib.Path(sys.argv[1])
libraries = {"libc10.so", "libtorch_cpu.so", "libgomp.so.1", "libcudart.so.12", "libcupti.so.12"}
for wheel in map(zipfile.ZipFile, sys.argv[2:]):
    for name in wheel.namelist():
        path = pathlib.PurePosixPath(name)
        if path.name in libraries:
            target = folder / "lib" / path.name
        elif path.parts[:2] == ("torch", "include") and not name.endswith("/"):
            target = folder.joinpath(*path.parts[1:])
        else:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with wheel.open(name) as source, open(target, "wb") as out:
            shutil.copyfileobj(source, out)
PYTHON
    gcc -shared -Wl,-soname,libtorch.so -x c /dev/null -o "$folder/lib/libtorch.so"
    echo 2.9.0 >"$folder/build-version"
fi
printf 'export LIBTORCH=%q\n' "$folder"
printf 'export LD_LIBRARY_PATH=%q${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}\n' "$folder/lib"
