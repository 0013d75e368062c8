"""Surfaces in STL, OBJ and MTL files: the numbers of the geometry are kept, and nothing else.

References
----------
DICOM PS3.3 A.85.1 (Encapsulated STL), A.85.2 (OBJ), A.85.3 (MTL)
"""

import re
from collections.abc import Iterable
from typing import Final

import numpy as np

from osler.errors import Malformed

_HEADER: Final = 80
_TRIANGLE: Final = np.dtype([("vectors", "<f4", (12,)), ("attribute", "<u2")])
_NUMBER: Final = r"[ \t]+[+-]?(?:\d{1,16}\.?\d{0,16}|\.\d{1,16})(?:[eE][+-]?\d{1,3})?"
_FACE: Final = r"[ \t]+-?\d{1,9}(?:/-?\d{0,9}){0,2}"
_STL_LINE: Final = re.compile(
    rf"facet normal(?:{_NUMBER}){{3}}|outer loop|vertex(?:{_NUMBER}){{3}}|endloop|endfacet", re.IGNORECASE
)
_OBJ_LINE: Final = re.compile(rf"v(?:{_NUMBER}){{3,7}}|v[tnp](?:{_NUMBER}){{1,3}}|[fl](?:{_FACE}){{2,64}}")
_MTL_LINE: Final = re.compile(rf"(?:K[adse]|Tf)(?:{_NUMBER}){{3}}|(?:Ns|Ni|d|Tr)(?:{_NUMBER})|illum \d\d?")


def clean_stl(raw: bytes) -> bytes:
    """Return a binary or an ASCII STL file without its title, its attribute bytes and what comes after it.

    Raises
    ------
    Malformed
        If it is neither.
    """
    count = int.from_bytes(raw[_HEADER : _HEADER + 4], "little")
    end = _HEADER + 4 + count * _TRIANGLE.itemsize
    if count and end <= len(raw):
        triangles = np.frombuffer(raw, _TRIANGLE, count, _HEADER + 4).copy()
        if not np.isfinite(triangles["vectors"]).all():
            raise Malformed("a surface has vertices that are no numbers")
        triangles["attribute"] = 0
        return b"\0" * _HEADER + raw[_HEADER : _HEADER + 4] + triangles.tobytes()
    if raw[:5].lower() == b"solid":
        return _lines(["solid", *_kept(raw, _STL_LINE), "endsolid"])
    raise Malformed("not an STL file")


def clean_obj(raw: bytes) -> bytes:
    """Return the vertices and faces of an OBJ file, without names of objects, groups, materials and files."""
    return _lines(_kept(raw, _OBJ_LINE))


def clean_mtl(raw: bytes) -> bytes:
    """Return the colours of an MTL file; materials are numbered, and pictures are not referred to."""
    lines: list[str] = []
    materials = 0
    for line in raw.decode("ascii", "replace").splitlines():
        if line.strip().startswith("newmtl"):
            materials += 1
            lines.append(f"newmtl material_{materials}")
        elif _MTL_LINE.fullmatch(line.strip()):
            lines.append(line.strip())
    return _lines(lines)


def _kept(raw: bytes, form: re.Pattern[str]) -> list[str]:
    lines = (line.strip() for line in raw.decode("ascii", "replace").splitlines())
    return [line for line in lines if form.fullmatch(line)]


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("ascii")
