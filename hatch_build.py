"""The README as the package index shows it: with whole addresses where the repository has paths."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


def absolute_links(text: str, source: str, site: str) -> str:
    """Pages lead to the site, pictures to the files themselves, all else to the repository."""

    def whole(link: re.Match[str]) -> str:
        path, mark, anchor = link[2].partition("#")
        page = re.fullmatch(r"docs/(.+)\.md", path)
        if page:
            path = site if page[1] == "index" else f"{site}{page[1]}/"
        elif path.endswith(".png"):
            path = f"{source.replace('github.com', 'raw.githubusercontent.com')}/main/{path}"
        else:
            path = f"{source}/blob/main/{path}"
        return f"{link[1]}{path}{mark}{anchor})"

    return re.sub(r"(\]\()(?![a-z]+://|#)([^)\s]+)\)", whole, text)


class CustomMetadataHook(MetadataHookInterface):
    """Gives the project its README."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Put it into the metadata."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        urls = metadata["urls"]
        text = absolute_links(text, urls["Source"], urls["Homepage"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
