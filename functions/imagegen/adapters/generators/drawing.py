"""Draws a landscape from a prompt, without a network. The same arguments always give the same picture."""

import colorsys
import math
import random
from collections.abc import Iterator

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from imagegen.dataclass import dataclass

RGB = tuple[int, int, int]

_HORIZON = 0.68
_RIDGES = 5

# Saturation and brightness of the sky's top, its middle, the horizon, and the nearest ridge.
_TONES: dict[str, tuple[tuple[float, float], ...]] = {
    "vibrant": ((0.80, 0.62), (0.62, 0.92), (0.55, 1.00), (0.85, 0.22)),
    "monochrome": ((0.06, 0.38), (0.05, 0.70), (0.03, 0.96), (0.10, 0.12)),
    "pastel": ((0.30, 0.86), (0.24, 0.95), (0.20, 1.00), (0.32, 0.52)),
    "neon": ((0.92, 0.24), (0.85, 0.62), (0.75, 1.00), (0.95, 0.10)),
    "vintage": ((0.42, 0.45), (0.36, 0.72), (0.32, 0.90), (0.50, 0.22)),
}
_HUES = {"vintage": ((0.08, 0.05),), "neon": ((0.70, 0.20), (0.62, 0.28))}
_OTHER_HUES = ((0.62, 0.46), (0.72, 0.36), (0.58, -0.12), (0.95, 0.15))
"""Each is the hue of the sky's top, and the distance to the hue of the horizon."""


@dataclass(frozen=True)
class Palette:
    """The colors from the top of the sky to the horizon, and of the nearest ridge."""

    top: RGB
    middle: RGB
    horizon: RGB
    near: RGB

    @classmethod
    def of(cls, color: str, rng: random.Random) -> "Palette":
        tones = _TONES.get(color, _TONES["vibrant"])
        first, distance = rng.choice(_HUES.get(color, _OTHER_HUES))
        hues = [first + distance * step for step in (0, 0.5, 1, -0.1)]
        colors = [_rgb(hue, *tone) for hue, tone in zip(hues, tones, strict=True)]
        return cls(*colors)


def draw(prompt: str, style: str, color: str, width: int, height: int, seed: int) -> Image.Image:
    """Return the picture. ``seed`` changes the landscape, ``style`` the technique, and ``color`` the palette."""
    rng = random.Random(f"{prompt}\n{style}\n{color}\n{seed}")
    palette = Palette.of(color, rng)
    shore = round(height * _HORIZON)
    picture = Image.new("RGB", (width, height), palette.horizon)
    picture.paste(_sky(palette, width, shore))
    _sun(picture, palette, rng)
    ridge = _skyline if style == "cyberpunk" else _mountains
    for step in range(_RIDGES):
        tone = _mix(palette.horizon, palette.near, ((step + 1) / _RIDGES) ** 1.4)
        ridge(picture, tone, palette, shore, step / (_RIDGES - 1), rng)
    if "lighthouse" in prompt.lower():
        _lighthouse(picture, palette, shore, rng)
    _water(picture, palette, shore)
    return _in_style(picture, style, rng)


def _sky(palette: Palette, width: int, height: int) -> Image.Image:
    shades = Image.linear_gradient("L").resize((width, height))
    return ImageOps.colorize(shades, palette.top, palette.horizon, palette.middle, midpoint=120)


def _sun(picture: Image.Image, palette: Palette, rng: random.Random) -> None:
    radius = round(min(picture.size) * rng.uniform(0.07, 0.12))
    x = round(picture.width * rng.uniform(0.22, 0.78))
    y = round(picture.height * rng.uniform(0.26, 0.44))
    for spread, strength in ((3.2, 90), (1.8, 120), (1.0, 255)):
        glow = Image.new("L", picture.size)
        box = (x - radius * spread, y - radius * spread, x + radius * spread, y + radius * spread)
        ImageDraw.Draw(glow).ellipse(box, fill=strength)
        if spread > 1:
            glow = glow.resize((picture.width // 8, picture.height // 8))
            glow = glow.filter(ImageFilter.GaussianBlur(radius * spread / 16)).resize(picture.size)
        picture.paste(_mix(palette.horizon, (255, 255, 255), 0.55), mask=glow)


def _mountains(
    picture: Image.Image, tone: RGB, _palette: Palette, shore: int, nearness: float, rng: random.Random
) -> None:
    """Draw one ridge. Far ridges are high and smooth, near ridges are low and rough."""
    reach = shore * (0.36 - 0.22 * nearness)
    waves = [
        (rng.uniform(0.5, 1) * 0.55**octave, 2**octave * rng.uniform(0.7, 1.4), rng.uniform(0, math.tau))
        for octave in range(7)
    ]
    total = sum(weight for weight, _, _ in waves)

    def top(x: int) -> float:
        place = x / picture.width * math.tau
        wave = sum(weight * math.sin(place * pitch + phase) for weight, pitch, phase in waves) / total
        return shore - reach * (0.5 + 0.62 * wave)

    line = [(x, top(x)) for x in range(0, picture.width + 4, 3)]
    ImageDraw.Draw(picture).polygon([(0, picture.height), *line, (picture.width, picture.height)], fill=tone)


def _skyline(
    picture: Image.Image, tone: RGB, palette: Palette, shore: int, nearness: float, rng: random.Random
) -> None:
    """Draw a row of buildings with lit windows."""
    pen = ImageDraw.Draw(picture)
    unit = picture.width / 60
    light = _mix(palette.horizon, (255, 255, 255), 0.3)
    x = -unit * rng.random() * 3
    while x < picture.width:
        wide = unit * rng.uniform(2.4, 5.5)
        high = shore * rng.uniform(0.10, 0.46 - 0.14 * nearness)
        pen.rectangle((x, shore - high, x + wide, shore), fill=tone)
        pane = max(2, round(unit * 0.28))
        for row in range(int(shore - high) + 2 * pane, shore - pane, 3 * pane):
            for column in range(int(x) + pane, int(x + wide) - pane, 2 * pane):
                if rng.random() < 0.28 * nearness + 0.04:
                    pen.rectangle((column, row, column + pane - 2, row + pane), fill=_mix(tone, light, 0.75))
        x += wide + unit * rng.uniform(0, 0.5)


def _lighthouse(picture: Image.Image, palette: Palette, shore: int, rng: random.Random) -> None:
    unit = min(picture.size) / 100
    x = picture.width * rng.choice((rng.uniform(0.16, 0.3), rng.uniform(0.7, 0.84)))
    base, top = shore, shore - 34 * unit
    beam = Image.new("L", picture.size)
    side = 1 if x < picture.width / 2 else -1
    far = x + side * picture.width
    ImageDraw.Draw(beam).polygon([(x, top - 2 * unit), (far, top - 22 * unit), (far, top + 10 * unit)], fill=80)
    picture.paste(_mix(palette.horizon, (255, 255, 255), 0.7), mask=beam.filter(ImageFilter.GaussianBlur(unit)))
    pen = ImageDraw.Draw(picture)
    rock = _mix(palette.near, (0, 0, 0), 0.45)
    pen.ellipse((x - 15 * unit, base - 5 * unit, x + 15 * unit, base + 9 * unit), fill=rock)
    bands = 6
    for band in range(bands):
        low, high = band / bands, (band + 1) / bands
        wide_low, wide_high = (4.6 - 1.8 * low) * unit, (4.6 - 1.8 * high) * unit
        bottom, upper = base - 2 * unit - low * 30 * unit, base - 2 * unit - high * 30 * unit
        tone = _mix(palette.near, palette.top, 0.35) if band % 2 else _mix(palette.horizon, (255, 255, 255), 0.5)
        right = [(x + wide_low, bottom), (x + wide_high, upper)]
        pen.polygon([(x - wide_low, bottom), *right, (x - wide_high, upper)], fill=tone)
    pen.rectangle((x - 3.6 * unit, top + unit, x + 3.6 * unit, top + 2.2 * unit), fill=rock)
    pen.rectangle((x - 1.9 * unit, top - 3.4 * unit, x + 1.9 * unit, top + unit), fill=(255, 250, 224))
    eaves = top - 3.2 * unit
    pen.polygon([(x - 2.8 * unit, eaves), (x, top - 7 * unit), (x + 2.8 * unit, eaves)], fill=rock)


def _water(picture: Image.Image, palette: Palette, shore: int) -> None:
    """Mirror the land and the sky in the lower part of the picture, with waves."""
    deep = picture.height - shore
    mirrored = ImageOps.flip(picture.crop((0, shore - round(deep * 1.6), picture.width, shore)))
    mirrored = mirrored.resize((picture.width, deep)).filter(ImageFilter.GaussianBlur(picture.width / 400))
    mirrored = Image.blend(mirrored, Image.new("RGB", mirrored.size, palette.top), 0.28)
    picture.paste(mirrored, (0, shore))
    for row in range(deep):
        shift = round(math.sin(row * row / deep / 2.2) * (1 + row / deep * picture.width / 110))
        strip = picture.crop((0, shore + row, picture.width, shore + row + 1))
        picture.paste(ImageChops.offset(strip, shift, 0), (0, shore + row))


def _in_style(picture: Image.Image, style: str, rng: random.Random) -> Image.Image:
    size = max(3, round(min(picture.size) / 170) | 1)
    match style:
        case "anime":
            smooth = picture.filter(ImageFilter.ModeFilter(size))
            return ImageOps.posterize(smooth, 4).filter(ImageFilter.SMOOTH)
        case "oil painting":
            strokes = picture.filter(ImageFilter.ModeFilter(size + 4)).filter(ImageFilter.EDGE_ENHANCE_MORE)
            return _with_grain(strokes, rng, 16, (picture.width // 3, picture.height // 12))
        case "sketch":
            gray = ImageOps.autocontrast(ImageOps.grayscale(picture))
            edges = ImageChops.difference(gray, gray.filter(ImageFilter.GaussianBlur(size * 0.7)))
            lines = ImageOps.invert(edges.point(lambda value: min(255, value * 5)))
            shaded = ImageChops.multiply(lines, gray.point(lambda value: 150 + value * 105 // 255))
            tinted = ImageOps.colorize(shaded, (38, 36, 44), (250, 247, 240))
            return _with_grain(tinted, rng, 12, (picture.width // 12, picture.height // 2))
        case "watercolor":
            wet = picture.filter(ImageFilter.MedianFilter(size)).filter(ImageFilter.GaussianBlur(size / 2))
            washed = Image.blend(wet, Image.new("RGB", wet.size, (255, 252, 246)), 0.22)
            return _on_paper(_with_grain(washed, rng, 12, (picture.width // 7, picture.height // 7)), rng)
        case "cyberpunk":
            glow = picture.filter(ImageFilter.GaussianBlur(picture.width / 60))
            return ImageChops.screen(picture, glow.point(lambda value: value // 3))
    return _with_grain(picture, rng, 8, picture.size)


def _with_grain(picture: Image.Image, rng: random.Random, strength: int, grains: tuple[int, int]) -> Image.Image:
    """Return the picture with random brightness, in grains of which there are so many across and down."""
    across, down = max(1, grains[0]), max(1, grains[1])
    noise = Image.frombytes("L", (across, down), rng.randbytes(across * down)).resize(picture.size)
    shift = noise.point(lambda value: 128 + (value - 128) * strength // 128)
    return ImageChops.add(picture, Image.merge("RGB", (shift,) * 3), scale=1, offset=-128)


def _on_paper(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Return the picture with an uneven white border, as if it were painted on paper."""
    mask = Image.new("L", picture.size)
    unit = min(picture.size) / 100
    ImageDraw.Draw(mask).polygon(list(_edge(picture.width, picture.height, unit, rng)), fill=255)
    paper = Image.new("RGB", picture.size, (253, 251, 246))
    paper.paste(picture, mask=mask.filter(ImageFilter.GaussianBlur(unit / 3)))
    return paper


def _edge(width: int, height: int, unit: float, rng: random.Random) -> Iterator[tuple[float, float]]:
    def ragged() -> float:
        return unit * rng.uniform(2.5, 4.2)

    steps = 60
    yield from ((width * step / steps, ragged()) for step in range(3, steps - 2))
    yield from ((width - ragged(), height * step / steps) for step in range(3, steps - 2))
    yield from ((width * step / steps, height - ragged()) for step in range(steps - 3, 2, -1))
    yield from ((ragged(), height * step / steps) for step in range(steps - 3, 2, -1))


def _rgb(hue: float, saturation: float, brightness: float) -> RGB:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, brightness)
    return round(red * 255), round(green * 255), round(blue * 255)


def _mix(one: RGB, other: RGB, share: float) -> RGB:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue
