#!/usr/bin/env bash
# bash tests/bench/write.sh ROOT [REPS]: the write benchmark of ../shared/bench against us. See README.md.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
bench=$(cd "${BENCH:-$repo/../shared/bench}/write" && pwd)
root=$(mkdir -p "$1" && cd "$1" && pwd)
reps=${2:-3}
peers=${PEERS:-ours tstore:mem zarrpy}
python=${PYTHON:-python3.12}
export WBENCH_ROOT=$root
mkdir -p "$root"/{data,venvs,out,results}

make_venv() { # NAME PACKAGES...
    local name=$1
    shift
    [ -x "$root/venvs/$name/bin/python" ] || "$python" -m venv "$root/venvs/$name"
    "$root/venvs/$name/bin/pip" install -q psutil "$@"
}
make_venv core -e "$repo" zarr==3.4.2 zarrs==0.2.3 zarrista==0.1.0 tensorstore==0.1.86 "dask[array]==2026.8.0" \
    opencv-python-headless numba==0.68.1 scikit-image scipy numcodecs==0.17.1 blosc2 ome-zarr-models==1.8.1 pandas
core=$root/venvs/core/bin/python

cd "$bench"
[ -f "$root/data/image.npy" ] || "$core" make_data.py image "$root/data/image.npy" 2 64 2048 2048
[ -f "$root/data/labels.npy" ] || "$core" make_data.py labels "$root/data/labels.npy" 128 2048 2048
compgen -G "$root/results/limits_*.json" >/dev/null || "$core" limits.py --reps 3

for case in a c1; do # an image of 1 GiB in memory; labels of 1 GiB
    # shellcheck disable=SC2086 # peers are words
    "$core" bench.py --case "$case" --fmt v2 v3 v3s --reps "$reps" --peers $peers \
        --candidate ours="$repo/tests/bench/peer_ours.py" --tag "ours_$case"
done
limit=$(cd "$root/results" && ls limits_a_*zyx*.json 2>/dev/null | head -1)
"$core" report.py ours_a ${limit:+--limit "$limit"}
"$core" report.py ours_c1
