"""Find out what other programs would refuse of a file, before it is sent to somebody.

python docs/examples/check_image.py [TARGET.ome.zarr]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from napari_ome_ngff import check_ome_ngff, save_ome_ngff


def main(target: str) -> None:
    save_ome_ngff(target, np.zeros((4, 64, 64), "uint8"), axes="zyx", scale=0.5, units="micrometer")
    print(f"Written: {target}")
    print(f"refused by others: {sum(not finding.advice for finding in check_ome_ngff(target))}")

    # What a script of somebody might do: other names of axes than those of the arrays.
    document = Path(target, "zarr.json")
    content = json.loads(document.read_text())
    axes = content["attributes"]["ome"]["multiscales"][0]["axes"]
    axes[0]["name"], axes[2]["name"] = "x", "z"
    document.write_text(json.dumps(content))
    for finding in check_ome_ngff(target):
        print("advice:" if finding.advice else "refused:", finding.what, f"({finding.rule})")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "checked.ome.zarr")
