"""A sheet by which a person sees what was blanked: before and after, with boxes, one file without script or link.

The sheet shows the instance as it was. It is identified material and must stay where such material lives.
"""

import base64
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from osler.deidentify.dicom.burned_in.cleaning import CleanedPixels, lightness_of_frames
from osler.deidentify.dicom.burned_in.looking import Region

_BLANKED, _KEPT = (255, 64, 64), (64, 220, 64)
_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Burned-in text: review</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<style>body{font:15px/1.4 sans-serif;margin:1.5rem;max-width:110rem}figure{display:inline-block;margin:0 1rem 1rem 0}
img{max-width:100%;background:#000}.warning{background:#fde8e8;border:2px solid #b00;padding:.6rem 1rem}</style></head>
<body><h1>Burned-in text: review</h1>
<p class="warning"><strong>Identified material.</strong> The pictures on the left show the patient's data as it came.
Do not take this sheet out of the identified zone.</p>
"""


def review_sheet(before: bytes, after: CleanedPixels, *, frames: Sequence[int] | None = None, side: int = 640) -> bytes:
    """Return an HTML page that shows frames before and after, with a box around each text.

    Parameters
    ----------
    before : bytes
        The Part 10 file that was cleaned.
    after : CleanedPixels
    frames : sequence of int, optional
        Counted from 0; by default the first, and each in which other text was found than in the one before, at most 20.
    side : int
        Longest side of a picture, pixels.

    Raises
    ------
    Malformed
        If the pixels are damaged.
    """
    chosen = list(frames) if frames is not None else _telling_frames(after)
    blanked = sum(not region.kept for region in after.regions)
    parts = [
        _HEAD,
        f"<p>{after.frames} frame(s) looked at, {len(after.touched)} changed; {blanked} box(es) blanked "
        f"(red), {len(after.regions) - blanked} kept (green).</p>\n",
    ]
    pairs = zip(lightness_of_frames(before), lightness_of_frames(after.content), strict=True)
    wanted = set(chosen)
    for index, (old, new) in enumerate(pairs):
        if index not in wanted:
            continue
        regions = [region for region in after.regions if region.frame == index]
        parts.append(f"<h2>Frame {index + 1}</h2>\n")
        for title, values, boxes in (("Before", old, regions), ("After", new, ())):
            picture = base64.b64encode(_picture(values, boxes, side)).decode("ascii")
            parts.append(
                f'<figure><img alt="{title}" src="data:image/png;base64,{picture}">'
                f"<figcaption>{title}</figcaption></figure>\n"
            )
    return "".join([*parts, "</body></html>\n"]).encode()


def _telling_frames(after: CleanedPixels) -> list[int]:
    seen: list[frozenset[object]] = []
    chosen: list[int] = []
    for index in range(after.frames):
        boxes = frozenset[object]((r.box, r.kept) for r in after.regions if r.frame == index)
        if index == 0 or boxes != seen[-1]:
            chosen.append(index)
        seen.append(boxes)
    return chosen[:20]


def _picture(values: npt.NDArray[np.generic], regions: Sequence[Region], side: int) -> bytes:
    exact = values.astype(np.float32)
    low, high = np.percentile(exact, (0.5, 99.5)).tolist()
    grey = np.clip((exact - low) * (255 / max(high - low, 1e-6)), 0, 255).astype(np.uint8)
    image = Image.fromarray(grey)
    scale = min(side / max(image.size), 2.0)
    image = image.resize((max(round(image.width * scale), 1), max(round(image.height * scale), 1))).convert("RGB")
    draw = ImageDraw.Draw(image)
    for region in regions:
        box = region.box
        corners = (box.left, box.top, max(box.right - 1, box.left), max(box.bottom - 1, box.top))
        draw.rectangle([corner * scale for corner in corners], outline=_KEPT if region.kept else _BLANKED)
    written = io.BytesIO()
    image.save(written, "PNG", optimize=True)
    return written.getvalue()
