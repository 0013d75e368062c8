"""Write a JPEG lossless codestream: Huffman coding, process 14, selection value 1.

References
----------
ITU-T T.81 annex H (lossless mode), annex B (codestream), F.1.2.1 (magnitude categories)
"""

from struct import pack

import numpy as np
import numpy.typing as npt

_LENGTHS = (2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10)
"""Lengths of the codes of the 17 categories, most frequent first; the code of ones alone stays free (annex C)."""
_ROWS = 512


def write_jpeg_lossless(values: npt.NDArray[np.integer], precision: int) -> bytes:
    """Return the codestream of a picture.

    Parameters
    ----------
    values : ndarray, shape (row, column) or (row, column, sample)
        Of signed values the lowest ``precision`` bits are written.
    precision : int
        2 to 16 bits.

    Returns
    -------
    bytes
    """
    samples = values if values.ndim == 3 else values[..., None]
    rows, columns, components = samples.shape
    exact = (samples.astype(np.int64) & ((1 << precision) - 1)).astype(np.int32)
    differences = _differences(exact, precision).reshape(rows, -1)
    categories = _categories(differences)
    order = np.argsort(-np.bincount(categories.ravel(), minlength=17), kind="stable")
    codes, lengths = _table(order)
    ids = range(1, components + 1)
    frame = pack(">BHHB", precision, rows, columns, components) + b"".join(bytes((i, 0x11, 0)) for i in ids)
    counts = bytes(_LENGTHS.count(length) for length in range(1, 17))
    scan = bytes((components,)) + b"".join(bytes((i, 0)) for i in ids) + bytes((1, 0, 0))
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xC3, frame),
            _segment(0xC4, b"\0" + counts + bytes(order.tolist())),
            _segment(0xDA, scan),
            _entropy_coded(differences, categories, codes, lengths),
            b"\xff\xd9",
        )
    )


def _segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + pack(">H", len(content) + 2) + content


def _differences(exact: npt.NDArray[np.int32], precision: int) -> npt.NDArray[np.int32]:
    """Return what each sample differs by from its left neighbour, modulo 2**16, from -32767 to 32768 (H.1.2.1)."""
    predicted = np.empty_like(exact)
    predicted[:, 1:] = exact[:, :-1]
    predicted[1:, 0] = exact[:-1, 0]
    predicted[0, 0] = 1 << (precision - 1)
    wrapped = (exact - predicted) & 0xFFFF
    return np.where(wrapped > 0x8000, wrapped - 0x10000, wrapped).astype(np.int32)


def _categories(differences: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return the number of bits of each magnitude (table H.2)."""
    return np.asarray(np.frexp(np.abs(differences).astype(np.float64))[1], np.int32)


def _table(order: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return code and length of each category (annex C)."""
    codes, lengths = np.zeros(17, np.int64), np.zeros(17, np.int64)
    code = 0
    for place, category in enumerate(order.tolist()):
        if place:
            code = (code + 1) << (_LENGTHS[place] - _LENGTHS[place - 1])
        codes[category], lengths[category] = code, _LENGTHS[place]
    return codes, lengths


def _entropy_coded(
    differences: npt.NDArray[np.int32],
    categories: npt.NDArray[np.int32],
    codes: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
) -> bytes:
    rest = np.zeros(0, np.uint8)
    packed: list[bytes] = []
    for top in range(0, len(differences), _ROWS):
        difference = differences[top : top + _ROWS].ravel().astype(np.int64)
        category = categories[top : top + _ROWS].ravel()
        # A category of 16 has no further bits: there is only one difference in it.
        extra = np.where(category == 16, 0, category)
        low = np.where(difference < 0, difference - 1, difference) & ((1 << extra) - 1)
        bits = np.concatenate((rest, _bits(codes[category] << extra | low, lengths[category] + extra)))
        whole = len(bits) // 8 * 8
        packed.append(np.packbits(bits[:whole]).tobytes())
        rest = bits[whole:]
    if len(rest):
        packed.append(np.packbits(np.concatenate((rest, np.ones(8 - len(rest), np.uint8)))).tobytes())
    return b"".join(packed).replace(b"\xff", b"\xff\0")


def _bits(words: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Return the bits of words of different lengths, one after the other."""
    ends = np.cumsum(lengths)
    bits = np.zeros(int(ends[-1]), np.uint8)
    for place in range(int(lengths.max())):
        long = lengths > place
        bits[ends[long] - 1 - place] = words[long] >> place & 1
    return bits
