#!/usr/bin/env bash
# Makes a Python environment in which the oracle scripts run: torch on the CPU, from PyPI alone.
#
#   tests/oracles/torch_cpu.sh VENV      # needs python3.11, gcc and binutils; about 2 GB, a few minutes
#   VENV/bin/python tests/oracles/convnext.py --out DIR
#
# Where https://download.pytorch.org/whl/cpu can be reached, its wheel is the simpler way. The Linux wheel on PyPI is
# the CUDA build: `import torch` loads cuDNN, cuBLAS and others, 3 GB that a CPU never calls. Here each of them is
# replaced by a shared object of the same name whose functions only stop the program. They stand in torch/lib, where torch's
# own rpath finds them, so no environment variable is needed. torch.cuda.is_available() is false.
set -euo pipefail

venv=${1:?usage: torch_cpu.sh VENV}
here=$(cd "$(dirname "$0")" && pwd)
[ -x "$venv/bin/python" ] || "${PYTHON:-python3.11}" -m venv "$venv"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }

# The wheels without their dependencies, plus the two small CUDA libraries whose functions torch does call at start.
pip install --no-deps torch==2.9.0 torchvision==0.24.0 nvidia-cuda-runtime-cu12==12.8.90 nvidia-cuda-cupti-cu12==12.8.90
pip install filelock fsspec jinja2 networkx pillow 'sympy>=1.13.3' typing-extensions

packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
lib=$packages/torch/lib
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# libcaffe2_nvrtc.so is opened only by CUDA code: what it needs may stay away.
mapfile -t libraries < <(find "$lib" -maxdepth 1 -name 'lib*.so' ! -name libcaffe2_nvrtc.so)
nm -D --undefined-only "${libraries[@]}" 2>/dev/null | awk 'NF && $(NF - 1) == "U" { print $NF }' | sort -u >"$work/symbols"
for name in $(objdump -p "${libraries[@]}" | awk '$1 == "NEEDED" && $2 ~ /^lib(cu|nccl|nv)/ { print $2 }' | sort -u); do
    [ -z "$(find "$lib" "$packages/nvidia" -name "$name" -print -quit)" ] || continue
    version=$(objdump -p "${libraries[@]}" |
        awk -v name="$name:" '$1 == "required" { on = ($3 == name); next } on && NF == 4 { print $4 }' | sort -u)
    script=()
    if [ -n "$version" ]; then # at most one per library: `libcudnn.so.9`, `NVSHMEM`
        sed -n "s/@$version\$//p" "$work/symbols" >"$work/functions"
        echo "$version { global: *; };" >"$work/versions"
        script=("-Wl,--version-script,$work/versions")
    else # `libnccl.so.2` has `ncclGetUniqueId`, without a version
        prefix=${name#lib}
        grep -i "^${prefix%.so*}[A-Za-z0-9_]*\$" "$work/symbols" >"$work/functions" || true
    fi
    sed 's/.*/void &(void) { __builtin_trap(); }/' "$work/functions" >"$work/stub.c"
    gcc -shared -nostdlib -fno-builtin "$work/stub.c" -o "$lib/$name" -Wl,-soname,"$name" "${script[@]}"
    echo "stub $name, $(wc -l <"$work/stub.c") functions"
done

# Else pip would fetch those 3 GB as soon as another package asks for torch.
sed -i -E '/^Requires-Dist: (nvidia|triton)/d' "$packages"/torch-*.dist-info/METADATA
pip install -r "$here/requirements.txt"
"$venv/bin/python" -c 'import torch; print("torch", torch.__version__, "works:", float(torch.ones(3) @ torch.ones(3)) == 3)'
