#!/usr/bin/env bash
# bash tests/bench/write.sh ROOT [REPS]: every figure of writing, in one run. See README.md.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
bench=$(cd "${BENCH:-$repo/../shared/bench}/write" && pwd)
mkdir -p "$1"/{data,venvs,out,results}
root=$(cd "$1" && pwd)
reps=${2:-3}
verify=first
tag=${TAG:-write}
cases=${CASES:-image labels lazy growth default}
python=${PYTHON:-$(python3.12 -c 'import sys; print(sys.executable)' 2>/dev/null || echo python3)}
export WBENCH_ROOT=$root

make_venv() { # NAME PACKAGES...
    local name=$1
    shift
    [ -e "$root/venvs/$name/complete" ] && return
    "$python" -m venv "$root/venvs/$name"
    "$root/venvs/$name/bin/pip" install -q psutil "$@"
    touch "$root/venvs/$name/complete"
}
make_venv core -e "$repo" zarr==3.4.2 zarrs==0.2.3 zarrista==0.1.0 tensorstore==0.1.86 "dask[array]==2026.8.0" \
    opencv-python-headless numba==0.68.1 scikit-image scipy numcodecs==0.17.1 blosc2 imagecodecs \
    ome-zarr-models==1.8.1 pandas
make_venv omezarr ome-zarr==0.21.0 "dask[array]"
make_venv ngffzarr "ngff-zarr[cli,dask-image,itk,validate]==0.50.0"
make_venv ozp ome-zarr-pyramid==0.4.0 zarrista "dask[array]"
make_venv ngio ngio==1.1.3 "dask[array]"
make_venv bioio bioio-ome-zarr==3.8.1 "dask[array]"
make_venv iohub iohub==0.3.11 tensorstore "dask[array]"
core=$root/venvs/core/bin/python
export PYTHONPATH=$repo/src # this checkout, whichever the environment was made for

cd "$bench"
[ -f "$root/data/image.npy" ] || "$core" make_data.py image "$root/data/image.npy" 2 64 2048 2048
[ -f "$root/data/labels.npy" ] || "$core" make_data.py labels "$root/data/labels.npy" 128 2048 2048
[ -d "$root/data/src4g.zarr" ] || "$core" make_data.py dasksrc "$root/data/src4g.zarr" "$root/data/image.npy" 4 128

run() { # CASE FORMATS SETTINGS PEERS...
    local case=$1 formats=$2 settings=$3
    shift 3
    # shellcheck disable=SC2086 # formats are words
    "$core" bench.py --case "$case" --fmt $formats --cfg "$settings" --reps "$reps" --verify "$verify" --peers "$@" --tag "$tag" \
        --candidate ours="$repo/tests/bench/peer_ours.py" limit="$repo/tests/bench/peer_limit.py"
}
rm -f "$root/results/$tag.jsonl"
start=$SECONDS
for each in $cases; do
    case $each in
        image) # 1 GiB in memory, chunks 64x256x256, with and without shards
            run a "v3 v3s" '{}' limit ours tstore:mem zarrpy omezarr ngffzarr
            run a v3 '{"blocksize": 1048576}' limit ours ours:zarrs ours:imagecodecs ;;
        labels) # 1 GiB of uint32
            run c1 v3 '{}' limit limit:mode ours ours:mode tstore:mem tstore:mode zarrpy \
                omezarr ngffzarr ngffzarr:nearest ozp ozp:mode ngio_ bioio iohub_ ;;
        lazy) # 4 GiB in planes
            run b v3 '{}' limit ours tstore:nosync
            run b v3 '{"chunks": [16, 256, 256]}' limit ours tstore:nosync ;;
        growth) # the same source, 2 and 8 GiB of it
            reps=1 verify=none run b2 v3 '{"chunks": [16, 256, 256]}' ours
            reps=1 verify=none run b v3 '{"chunks": [16, 256, 256]}' ours:twice
            reps=1 verify=none run b2 v3 '{}' ours
            reps=1 verify=none run b v3 '{}' ours:twice ;;
        default) # what this package chooses if nothing is said: chunks, blosc's block, no shuffle for labels
            run a "v2 v3" '{"chunks": [16, 256, 256], "blocksize": 1048576}' limit ours tstore:mem
            run c1 v3 '{"chunks": [16, 256, 256], "blocksize": 1048576, "shuffle": "noshuffle"}' limit ours tstore:mem ;;
    esac
done
"$core" "$repo/tests/bench/report.py" "$root/results/$tag.jsonl"
echo "$((SECONDS - start)) s"
