"""Write the table that compares programs into the README: ``python docs/comparison.py``."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def table() -> str:
    """The features of `comparison.toml` as a table in Markdown."""
    content = tomllib.loads((ROOT / "docs" / "comparison.toml").read_text("utf-8"))
    rows = [["", *content["programs"]], ["---"] * 5, *([k, *v] for k, v in content["features"].items())]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"As of {content['date']}, from released versions:\n\n{lines}"


def updated(readme: str) -> str:
    """The README with the table as it is now."""
    between = r"(<!-- comparison: docs/comparison.py -->\n).*(\n<!-- end -->)"
    return re.sub(between, lambda marks: marks[1] + table() + marks[2], readme, flags=re.DOTALL)


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(updated(path.read_text("utf-8")), encoding="utf-8")
    print("Written: README.md")
