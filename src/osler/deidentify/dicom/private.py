"""Which private attributes are safe, and whose they are.

References
----------
DICOM PS3.15 E.3.10 (Retain Safe Private Option); PS3.5 7.8.1 (private data element tags)
"""

from osler.standards.confidentiality import safe_private


class SafePrivate:
    """Follows the private creators through a dataset and its items."""

    def __init__(self) -> None:
        self._creators: list[dict[tuple[int, int], str]] = [{}]

    def enter(self) -> None:
        """Begin an item; it has creators of its own."""
        self._creators.append({})

    def leave(self) -> None:
        """End the item."""
        self._creators.pop()

    def vr_of(self, tag: int, value: bytes) -> str:
        """Return the value representation of a safe private attribute or of the creator of some; else empty."""
        group, element = tag >> 16, tag & 0xFFFF
        if 0x10 <= element <= 0xFF:
            creator = value.decode("ascii", "replace").strip(" \0")
            if any(creator == known and group == of for known, of, _ in safe_private()):
                self._creators[-1][group, element] = creator
                return "LO"
            return ""
        creator = self._creators[-1].get((group, element >> 8), "")
        return safe_private().get((creator, group, element & 0xFF), "")
