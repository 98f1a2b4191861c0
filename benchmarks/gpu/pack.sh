#!/usr/bin/env bash
# Collects in offline/ what `make gpu` and `make gpu-camvid` need on an x86-64 Linux machine without network that has
# torch, torchvision, NumPy, SciPy, OpenCV, Matplotlib, numba, rich, einops, pytest and hypothesis: the other packages
# as one archive, and CamVid from data/camvid.
set -euo pipefail
cd "$(dirname "$0")/../.."
python_version=${1:-3.12} # of that machine
python=${PYTHON:-python3} # here, with pip and setuptools
limit=64                  # MiB that travel, the repository included

rm -rf offline
mkdir -p offline/wheels
platforms=()
for platform in manylinux_2_{28,27,24,17}_x86_64 manylinux2014_x86_64 any; do platforms+=(--platform "$platform"); done
"$python" -m pip download --quiet --no-deps --only-binary=:all: --python-version "$python_version" \
    --implementation cp "${platforms[@]}" -d offline/wheels -c requirements/tested.txt \
    onedl-mmengine addict mat4py modelindex model-index ordered-set lazy-importer ftfy prettytable wcwidth termcolor markdown click einops \
    yapf platformdirs importlib-metadata zipp faiss-cpu
# Source packages, built without compiled operators
for package in onedl-mmcv onedl-mmsegmentation onedl-mmpretrain; do
    "$python" -m pip wheel --quiet --no-deps -w offline/wheels -c requirements/tested.txt "$package"
done
# Unpacked and packed again by a better method: a third of the wheels' size is saved
"$python" -m pip install --quiet --no-index --no-deps --no-compile --only-binary=:all: --python-version "$python_version" \
    --implementation cp "${platforms[@]}" --target offline/site offline/wheels/*.whl
tar -cJf offline/site.tar.xz -C offline/site .
rm -rf offline/site offline/wheels
if [ -d data/camvid ]; then
    mkdir -p offline/data
    cp -rL data/camvid offline/data/camvid
    chmod -R u+w offline
fi

travels() { { git ls-files -z; find offline -type f -print0; } | xargs -0 du -cb | awk '/\ttotal$/ {sum += $1} END {print sum}'; }
bytes=$(travels)
echo "offline/ and the repository: $((bytes / 1048576)) MiB of $limit"
if ((bytes > limit << 20)); then
    echo "more than $limit MiB: the machine may not take it" >&2
    exit 1
fi
cat << 'END'
There, in the repository:
    python3 -m tarfile -e offline/site.tar.xz /tmp/site
    export PYTHONPATH=/tmp/site && [ -e data/camvid ] || { mkdir -p data && ln -s ../offline/data/camvid data/camvid; }
    make gpu GPU_PYTHON=python3             # or: python3 -m benchmarks.gpu
    make gpu-camvid GPU_PYTHON=python3      # then: what is left of the GPU size of the CamVid benchmark
END
