#!/usr/bin/env bash
# bash tests/bench/read.sh ROOT [ROUNDS]: the read benchmark of ../shared/bench against us. See README.md.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
bench=${BENCH:-$repo/../shared/bench}/read
root=$(mkdir -p "$1" && cd "$1" && pwd)
rounds=${2:-3}
peers=${PEERS:-noz11}
python=${PYTHON:-python3.12}

bash "$bench/install.sh" "$root" >/dev/null
harness=$root/harness
cp "$repo/tests/bench/adapter_ours.py" "$harness/"
printf '\nfrom adapter_ours import CANDIDATES\nALL.update(CANDIDATES)\n' >>"$harness/adapters.py"

make_venv() { # NAME PACKAGES...
    local name=$1
    shift
    [ -x "$root/venvs/$name/bin/python" ] && return # of an earlier run
    "$python" -m venv "$root/venvs/$name"
    "$root/venvs/$name/bin/pip" install -q "$@"
}
make_venv ours -e "$repo[all]" psutil
make_venv ts zarr "dask[array]" xarray numcodecs psutil tensorstore
case " $peers " in *" noz11 "*) make_venv noz11 napari-ome-zarr==0.11.0 "napari[pyqt6]" psutil ;; esac
[ -d "$root/data/perf/vol_64.zarr" ] || "$root/venvs/ts/bin/python" "$harness/mkperf.py" img vol

ours="ours_lib ours_dask $peers"
"$root/venvs/ts/bin/python" - "$root" "$ours" "phys1 ts zarr zarr-fused dask-auto $ours" <<'EOF'
import json, sys
root, readers, slicers = sys.argv[1], sys.argv[2].split(), sys.argv[3].split()
perf = f"{root}/data/perf"
opens = [["open", c, {"path": f"{perf}/{image}.zarr", "warm": 5}] for c in readers for image in ("img04", "img05")]
def slices(volume, work):
    return [["slice", c, {"group": f"{perf}/{volume}.zarr", "work": work, "timeout": 400}] for c in slicers]
specs = {
    "open": opens,
    "slice256": slices("vol_1x256", [["plane", 40], ["tile", 100], ["cached", 20]]),
    "slice64": slices("vol_64", [["plane", 20], ["tile", 50]]),
}
for name, spec in specs.items():
    json.dump(spec, open(f"{root}/harness/ours_{name}.json", "w"))
EOF

cd "$harness"
for name in open slice256 slice64; do
    rm -f "$root/res/$name.jsonl"
    "$root/venvs/ts/bin/python" drive.py "$name" "$rounds" "ours_$name.json"
    "$root/venvs/ts/bin/python" summ.py "$name"
done
