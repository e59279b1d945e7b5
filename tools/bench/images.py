"""`make bench-images`: measures encoding and storing images of each size, and writes docs/benchmarks.md.

It compares what the backend stores with storing the PNG as the provider made it. The pictures are drawn by canvas.
"""

import io
import statistics
import time

from rich.console import Console

from imagegen.adapters.generators.drawing import draw
from imagegen.domain.catalog import Kind
from imagegen.services.images.encoding import encode
from tools.bench.tables import publish
from tools.seed import history

REPEATS = 3
SEED = 7


def pngs(width: int, height: int) -> list[bytes]:
    """Return a picture in each style as a PNG, as providers return it."""
    catalog = history.catalog()
    made = []
    for style in catalog.names(Kind.STYLE):
        buffer = io.BytesIO()
        draw("a lighthouse at dusk", style, "vibrant", width, height, SEED).save(buffer, "PNG")
        made.append(buffer.getvalue())
    return made


def row(width: int, height: int) -> list[str]:
    """Return the measurements of a size: medians over the styles."""
    seconds, main, variants, original = [], [], [], []
    for content in pngs(width, height):
        for _ in range(REPEATS):
            started = time.perf_counter()
            files = encode(content, width, height)
            seconds.append(time.perf_counter() - started)
        first, *others = files
        main.append(first.file.bytes)
        variants.append(sum(item.file.bytes for item in others))
        original.append(len(content))
    stored = statistics.median(map(sum, zip(main, variants, strict=True)))
    png = statistics.median(original)
    return [
        f"{width}x{height}",
        f"{statistics.median(seconds) * 1000:.0f} ms",
        f"{statistics.median(main) / 1000:,.0f} kB",
        f"{statistics.median(variants) / 1000:,.0f} kB",
        f"{png / 1000:,.0f} kB",
        f"{png / stored:.1f}",
    ]


def main() -> None:
    columns = ("size", "decode, fit, encode", "image", "variants", "the PNG as it came", "PNG / stored")
    rows = [row(size.width, size.height) for size in history.catalog().sizes]
    publish(Console(), "images", columns, rows)


if __name__ == "__main__":
    main()
