"""Print the page of the documentation: ``python -m tests.cases > docs/reference/what-opens.md``."""

from __future__ import annotations

import sys

from .table import all_cases, render

sys.stdout.write(render(all_cases()))
