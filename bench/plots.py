"""Plots as small SVG files."""

import html
import math

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 720, 400, 80, 44
_COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e5bb0")


def log_log(series: dict[str, list[tuple[float, float]]], *, across: str, up: str) -> str:
    """Draw lines on two logarithmic axes."""
    points = [point for line in series.values() for point in line]
    x_end = math.ceil(math.log10(max(x for x, _ in points)))
    y_ends = math.floor(math.log10(min(y for _, y in points))), math.ceil(math.log10(max(y for _, y in points)))

    def place(x: float, y: float) -> tuple[float, float]:
        right = (_WIDTH - _LEFT - 12) * math.log10(x) / x_end
        above = (_HEIGHT - _BOTTOM - 12) * (math.log10(y) - y_ends[0]) / (y_ends[1] - y_ends[0])
        return round(_LEFT + right, 1), round(_HEIGHT - _BOTTOM - above, 1)

    marks = []
    for power in range(x_end + 1):
        x, bottom = place(10**power, 10 ** y_ends[0])
        marks.append(f'<path d="M{x} 12V{bottom}" stroke="#ccc"/>')
        marks.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{10**power:,}</text>')
    for power in range(y_ends[0], y_ends[1] + 1):
        _, y = place(1, 10**power)
        marks.append(f'<path d="M{_LEFT} {y}H{_WIDTH - 12}" stroke="#ccc"/>')
        marks.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{10**power:,}</text>')
    for number, (name, line) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(f"{x},{y}" for x, y in (place(*point) for point in line))
        marks.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        marks.append(f'<text x="{_LEFT + 12}" y="{30 + 17 * number}" fill="{colour}">{html.escape(name)}</text>')
    middle = _HEIGHT // 2
    marks.append(f'<text x="{_WIDTH // 2}" y="{_HEIGHT - 6}" text-anchor="middle">{html.escape(across)}</text>')
    marks.append(
        f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">{html.escape(up)}</text>'
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif"'
    return f'{head} font-size="12"><rect width="100%" height="100%" fill="#fff"/>{"".join(marks)}</svg>\n'
