import io

import numpy as np
import pytest
from PIL import Image

from osler.errors import IntegrityError
from osler.publish import overlay


def encoded(values: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1955, 1841), (964, 1024)),
        ((64, 48), (384, 512)),
        ((700, 600), (600, 700)),
        ((1, 4000), (1024, 1)),
    ],
)
def test_a_picture_fits_the_screen_and_keeps_its_aspect(shape: tuple[int, int], size: tuple[int, int]) -> None:
    assert overlay.picture(np.zeros(shape, np.float32)).size == size


def test_a_picture_is_as_bright_as_its_grey_values() -> None:
    grey = np.linspace(-0.5, 1.5, 600 * 600, dtype=np.float32).reshape(600, 600)

    made = np.asarray(overlay.picture(grey))

    assert np.array_equal(made, np.rint(np.clip(grey, 0, 1) * 255).astype(np.uint8))


def test_where_the_heatmap_is_cold_the_image_is_untouched() -> None:
    base = overlay.picture(np.full((600, 600), 0.5, np.float32))
    cold = np.zeros((7, 7), np.uint8)
    hot = cold.copy()
    hot[5, 1] = 255

    assert np.array_equal(
        np.asarray(overlay.over(base, overlay.heat(encoded(cold), base.size))), np.asarray(base.convert("RGB"))
    )
    changed = np.asarray(overlay.over(base, overlay.heat(encoded(hot), base.size))).astype(int)
    redder = changed[..., 0] - changed[..., 2]
    row, column = np.unravel_index(redder.argmax(), redder.shape)
    assert abs(row - 5.5 / 7 * 600) < 45
    assert abs(column - 1.5 / 7 * 600) < 45
    assert redder[:300, 300:].max() == 0


@pytest.mark.parametrize("damaged", [b"", b"no png", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_a_damaged_heatmap_is_damage(damaged: bytes) -> None:
    with pytest.raises(IntegrityError):
        overlay.heat(damaged, (10, 10))


def test_a_cut_heatmap_is_damage() -> None:
    whole = encoded(np.random.default_rng(1).integers(0, 255, (64, 64), np.uint8))
    with pytest.raises(IntegrityError):
        overlay.heat(whole[: len(whole) // 2], (10, 10))


def test_another_format_is_no_heatmap() -> None:
    with pytest.raises(IntegrityError):
        overlay.heat(encoded(np.zeros((8, 8), np.uint8), "BMP"), (10, 10))


def test_a_huge_heatmap_is_not_decoded() -> None:
    header = b"\x89PNG\r\n\x1a\n"
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    bomb = header + chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)) + chunk(b"IDAT", b"")
    with pytest.raises(IntegrityError):
        overlay.heat(bomb, (10, 10))


def test_pictures_have_no_metadata_and_are_the_same_each_time() -> None:
    image = overlay.picture(np.zeros((20, 20), np.float32))

    assert overlay.png(image) == overlay.png(image)
    assert Image.open(io.BytesIO(overlay.png(image))).info == {}
