"""What is wrong with a file: where, what, and by which rule."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from napari_ome_ngff.metadata.context import Context

_MOST = 50
"""Findings of one document; who breaks a rule a thousand times need not hear it a thousand times."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing in a file that breaks a rule.

    Parameters
    ----------
    where
        Path or URL of the group or array, and the JSON path in its metadata.
    what
        What is wrong, in a sentence.
    rule
        The rule, and which version of OME-Zarr has it.
    advice
        Whether it is only advised against ("SHOULD"): no program refuses it.

    Examples
    --------
    >>> str(Finding(where="a.zarr: ome", what="There is no version.", rule="0.5: version is required"))
    'a.zarr: ome: There is no version. (0.5: version is required)'
    """

    where: str
    what: str
    rule: str
    advice: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.what} ({self.rule})"


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A place in a document that is checked; what is found there is noted in a list that all share."""

    context: Context
    version: str
    findings: list[Finding] = field(default_factory=list)

    def at(self, *keys: str | int) -> Spot:
        """The place of a value inside."""
        return replace(self, context=self.context.below(*keys))

    def refuse(self, what: str, rule: str) -> None:
        """Note what breaks a rule that must be kept."""
        self._add(what, rule, advice=False)

    def advise(self, what: str, rule: str) -> None:
        """Note what breaks a rule that should be kept."""
        self._add(what, rule, advice=True)

    def _add(self, what: str, rule: str, *, advice: bool) -> None:
        if len(self.findings) < _MOST:
            where, rule = self.context.where, f"OME-Zarr {self.version}: {rule}"
            self.findings.append(Finding(where=where, what=what, rule=rule, advice=advice))
