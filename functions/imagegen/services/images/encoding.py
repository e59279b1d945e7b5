"""Fits pictures to the ordered size and encodes them.

The pictures come from outside, so a picture is decoded only if its header says that it is small enough.
"""

import threading
from collections.abc import Iterator
from io import BytesIO

from PIL import Image, ImageOps

from imagegen.domain.images import IMAGE, VARIANTS, EncodedFile, ImageFile, InvalidPicture

BYTES_MAX = 32 * 1024 * 1024
PIXELS_MAX = 4096 * 4096
"""A picture of this size takes 64 MB while it is decoded."""

FORMATS = ("PNG", "JPEG", "WEBP")
QUALITY = 85
METHOD = 2
"""The effort of the encoder, from 0 (fast) to 6 (small)."""

_ONE_AT_A_TIME = threading.Lock()  # an instance has one CPU, and memory for a few decoded pictures


def encode(content: bytes, width: int, height: int) -> list[EncodedFile]:
    """Return the picture in exactly this size, and its variants, as WebP. The edges that do not fit are cut off.

    Raises InvalidPicture.
    """
    with _ONE_AT_A_TIME:
        return list(_files(_decoded(content), width, height))


def _files(picture: Image.Image, width: int, height: int) -> Iterator[EncodedFile]:
    fitted = ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
    yield _webp(IMAGE, fitted)
    for name, side in VARIANTS.items():
        smaller = fitted.copy()
        smaller.thumbnail((side, side), Image.Resampling.LANCZOS)
        yield _webp(name, smaller)


def _decoded(content: bytes) -> Image.Image:
    if len(content) > BYTES_MAX:
        raise InvalidPicture(f"the picture has {len(content)} bytes")
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as picture:
            if picture.width * picture.height > PIXELS_MAX:
                raise InvalidPicture(f"the picture has {picture.width} x {picture.height} pixels")
            ImageOps.exif_transpose(picture, in_place=True)  # each copy of the largest picture would take 64 MB more
            mode = "RGBA" if picture.has_transparency_data else "RGB"
            picture.load()
            return picture if picture.mode == mode else picture.convert(mode)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        if isinstance(error, InvalidPicture):
            raise
        raise InvalidPicture(f"the picture cannot be decoded: {type(error).__name__}") from error


def _webp(name: str, picture: Image.Image) -> EncodedFile:
    buffer = BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY, method=METHOD)
    content = buffer.getvalue()
    return EncodedFile(ImageFile(name, *picture.size, len(content)), content)
