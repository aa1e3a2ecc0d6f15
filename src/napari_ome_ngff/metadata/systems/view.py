"""An image in another of its coordinate systems than the intrinsic one.

0.6: the intrinsic system "should be used for viewing and processing unless a use case dictates otherwise".
The others are what `Multiscale.extra` keeps of ``coordinateSystems`` and ``coordinateTransformations``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from napari_ome_ngff.errors import MetadataError, OmeNgffError, OptionError, UnsupportedError
from napari_ome_ngff.metadata.affine import compose_affine
from napari_ome_ngff.metadata.axes import decode_axes
from napari_ome_ngff.metadata.json_checks import Notes, describe, root
from napari_ome_ngff.metadata.nouns import Affine, CoordinateSystem, Json, Multiscale, SystemRef, View
from napari_ome_ngff.metadata.systems.graph import Edge, ways_to
from napari_ome_ngff.metadata.systems.read_simple import number_paths
from napari_ome_ngff.metadata.systems.read_transform import decode_two_way

SHOWN_KEY = "napari-ome-ngff"
"""Key of an entry of ``multiscales`` that says in which of its systems the image is to be shown.

0.6: the intrinsic system "should be used for viewing and processing unless a use case dictates otherwise". A
layer that was turned on the screen is such a case, and the specification has no word for it.
"""


def parameter_paths(attributes: Mapping[str, Json]) -> tuple[str, ...]:
    """Return the paths of the arrays that the transforms of a group keep their numbers in.

    Displacement and coordinate fields are not among them: they are not applied.

    Parameters
    ----------
    attributes
        Attributes of the group of an image or a scene, of any version.

    Returns
    -------
    tuple of str
        Relative to the group, each once; transforms that are malformed are passed over.

    Examples
    --------
    >>> scene = {"coordinateTransformations": [{"type": "affine", "path": "coordinateTransformations/a"}]}
    >>> parameter_paths({"ome": {"version": "0.6", "scene": scene}})
    ('coordinateTransformations/a',)
    """
    found: dict[str, None] = {}
    for own in (attributes.get("ome"), attributes):
        holder = own if isinstance(own, Mapping) else {}
        entries = [holder.get("scene"), *_items(holder.get("multiscales"))]
        for entry in entries:
            places = [entry, *_items(entry.get("datasets"))] if isinstance(entry, Mapping) else []
            for place in places:
                key = "coordinateTransformations"
                transforms = place.get(key) if isinstance(place, Mapping) else None
                found.update(dict.fromkeys(number_paths(_items(transforms))))
    return tuple(found)


def _items(value: Json) -> list[Json]:
    # Not more than anyone needs: the file may have a million.
    return list(value[:4096]) if isinstance(value, list | tuple) else []


def systems_of(multiscale: Multiscale) -> dict[str, CoordinateSystem]:
    """Return the coordinate systems of an image by name, the intrinsic one first.

    Parameters
    ----------
    multiscale
        The image. Before 0.6 there are none; systems without axes that can be read are left out.

    Examples
    --------
    >>> systems_of(Multiscale(version="0.5", axes=(), levels=()))
    {}
    """
    if multiscale.system is None:
        return {}
    found = {multiscale.system: CoordinateSystem(name=multiscale.system, axes=multiscale.axes)}
    for item in _items(multiscale.extra.get("coordinateSystems")):
        name = item.get("name") if isinstance(item, Mapping) else None
        if not isinstance(name, str) or name in found:
            continue
        try:
            axes = decode_axes(item.get("axes"), where="", notes=Notes(""))
        except MetadataError:
            continue
        found[name] = CoordinateSystem(name=name, axes=axes)
    return found


def own_edges(
    multiscale: Multiscale, *, path: str = "", parameters: Mapping[str, Json], where: str
) -> Iterator[Edge | str]:
    """Yield the transforms between the systems of one image, or a sentence for one that cannot be read.

    Parameters
    ----------
    multiscale
        The image.
    path
        Path that the result names the image by.
    parameters
        Path of an array, relative to the image, to its values as nested lists.
    where
        Location of the image.

    Examples
    --------
    >>> list(own_edges(Multiscale(version="0.5", axes=(), levels=()), parameters={}, where=""))
    []
    """
    systems = systems_of(multiscale)
    for index, item in enumerate(_items(multiscale.extra.get("coordinateTransformations"))):
        place = f"{root(where)}coordinateTransformations[{index}]"
        ends = [item.get(key) if isinstance(item, Mapping) else None for key in ("input", "output")]
        # What leads to a label image says how that one lies, not this one.
        if any(isinstance(end, Mapping) and end.get("path") is not None for end in ends):
            continue
        names = [end.get("name") if isinstance(end, Mapping) else None for end in ends]
        start, end = (systems.get(name) if isinstance(name, str) else None for name in names)
        if start is None or end is None:
            yield f"A transform names a coordinate system that is not there ({place})."
            continue
        try:
            way = decode_two_way(
                item,
                inputs=[axis.name for axis in start.axes],
                outputs=[axis.name for axis in end.axes],
                parameters=parameters,
                where=place,
            )
        except OmeNgffError as error:
            yield f"{error.summary.removesuffix('.')} ({place})."
            continue
        yield Edge(
            input=SystemRef(name=start.name, path=path),
            output=SystemRef(name=end.name, path=path),
            way=way,
        )


def system_names(multiscale: Multiscale) -> tuple[str, ...]:
    """Return the names of the coordinate systems that an image can be asked for in, the intrinsic one first.

    Parameters
    ----------
    multiscale
        The image; before 0.6 there are none.

    Examples
    --------
    >>> system_names(Multiscale(version="0.6", axes=(), levels=(), system="physical"))
    ('physical',)
    """
    return tuple(systems_of(multiscale))


def shown_system(multiscale: Multiscale) -> str | None:
    """Return the name of the system that whoever wrote an image wants it to be shown in.

    Returns
    -------
    str or None
        None for the intrinsic one.

    Examples
    --------
    >>> shown_system(Multiscale(version="0.6", axes=(), levels=(), system="physical")) is None
    True
    """
    said = multiscale.extra.get(SHOWN_KEY)
    name = said.get("shown") if isinstance(said, Mapping) else None
    known = isinstance(name, str) and name != multiscale.system and name in systems_of(multiscale)
    return name if known else None


def view(
    multiscale: Multiscale, system: str | None, *, parameters: Mapping[str, Json], where: str
) -> View | None:
    """Return how an image lies in one of its coordinate systems.

    The transforms of the multiscale are followed forward and back, over other systems if need be.

    Parameters
    ----------
    multiscale
        The image.
    system
        Name of the coordinate system; None for the one that the file says it is to be shown in, which is
        usually the intrinsic one.
    parameters
        Path of an array that a transform keeps its numbers in to its values, as nested lists.
    where
        Location of the image.

    Returns
    -------
    View or None
        None for the intrinsic system, in which the levels are placed anyway.

    Warns
    -----
    OmeNgffWarning
        If no transform that can be applied leads to the system that the file says.

    Raises
    ------
    OptionError
        If the image has no such system; the error names those that there are.
    UnsupportedError
        If no transform that can be applied leads there.

    Examples
    --------
    >>> from napari_ome_ngff.metadata.nouns import Axis
    >>> move = {"type": "translation", "translation": [5]}
    >>> ends = {"input": {"name": "lab"}, "output": {"name": "stage"}}
    >>> kept = {"coordinateSystems": [{"name": "stage", "axes": [{"name": "x", "type": "space"}]}],
    ...     "coordinateTransformations": [move | ends]}
    >>> image = Multiscale(version="0.6", axes=(Axis(name="x"),), levels=(), system="lab", extra=kept)
    >>> view(image, "stage", parameters={}, where="").affine
    Affine(matrix=((1.0,),), translation=(5.0,))
    """
    asked = system is not None
    system = system if asked else shown_system(multiscale)
    if system is None or system == multiscale.system:
        return None
    systems = systems_of(multiscale)
    if system not in systems:
        raise OptionError(
            f"The image has no coordinate system {describe(system)}.",
            where=where,
            expected=", ".join(map(describe, islice(systems, 20)))
            or "none: it has no named coordinate systems",
        )
    found = list(own_edges(multiscale, parameters=parameters, where=where))
    edges = [edge for edge in found if isinstance(edge, Edge)]
    target = SystemRef(name=system)
    ways = ways_to(target, edges, ndim=len(systems[system].axes))
    way = ways.get(SystemRef(name=multiscale.system or ""))
    if way is None and not asked:
        notes = Notes(where)
        notes.add(SHOWN_KEY, f"no transform leads to {describe(system)}; shown in its own system")
        notes.warn()
        return None
    if way is None:
        raise UnsupportedError(
            f"The image cannot be placed in its coordinate system {describe(system)}.",
            where=where,
            found=" ".join(problem for problem in found if isinstance(problem, str)),
            expected=f"transforms that lead there from {describe(multiscale.system)}",
            hint="Open it without naming a coordinate system.",
        )
    return View(system=systems[system], affine=way.affine, problems=way.problems)


def shown_affine(multiscale: Multiscale, shown: View | None) -> Affine | None:
    """Return everything that is to be applied to an image after its levels' scale and translation.

    Parameters
    ----------
    multiscale
        The image; drafts of 0.6 place levels by an affine, see `Multiscale.affine`.
    shown
        The coordinate system it is shown in, or None for its intrinsic one.

    Returns
    -------
    Affine or None
        From the axes of the image to those of the system, or None if there is nothing more.

    Examples
    --------
    >>> shown_affine(Multiscale(version="0.5", axes=(), levels=()), None) is None
    True
    """
    if multiscale.affine is None or shown is None:
        return multiscale.affine if shown is None else shown.affine
    return compose_affine(multiscale.affine, shown.affine)
