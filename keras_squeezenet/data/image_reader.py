"""Image files as RGB, in bounded memory."""

import functools
import os
from concurrent import futures
from typing import BinaryIO

import numpy as np

from keras_squeezenet.data import image_files
from keras_squeezenet.utils import files

# Larger images are cut and shrunk to this side, or up to twice as much.
LARGE = 2**24
LARGE_SIDE = 1536
# Bytes per pixel that decoding takes, measured with Pillow 13.
COSTS = {
    **dict.fromkeys(("BMP", "DIB", "GIF", "JPEG", "MPO"), 4),
    **dict.fromkeys(("PNG", "PPM", "TGA"), 4),
    "TIFF": 9,
    "JPEG2000": 24,
}
OTHER_COST = 16
# The decoder of progressive files keeps the coefficients of the whole image.
PROGRESSIVE_COST = 6
# Decoding takes no more, and reading an image then stays below 300 MB.
MAX_BYTES = 224 * 2**20
# Only a few of the images that take more memory are decoded at a time.
COSTLY_BYTES = 64 * 2**20
COSTLY_AT_A_TIME = 2
EXIF_ORIENTATION = 0x0112
# The `Image.Transpose` that makes an image of an orientation upright.
UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
# Images are converted in parts of about this many pixels.
PART = 2**20


@functools.cache
def _costly(process):
    """Return the threads of a process that decode costly images.

    Each thread keeps memory for later use, so they are few.
    """
    return futures.ThreadPoolExecutor(COSTLY_AT_A_TIME)


def read(source: str | bytes | os.PathLike | BinaryIO) -> np.ndarray:
    """Read an image file, by its path or opened, as uint8 RGB.

    The EXIF orientation is applied, transparent pixels are composited over
    white, and the first image of an animation is read. 16 bits are scaled to 8.
    Integers of 32 bits are read as 8 bits up to 255 and as 16 bits up to 65535,
    floats as shares up to 1 and as 8 bits up to 255.

    An image of more than 2**24 pixels is cut to its central square, which is
    all that networks see. The square is shrunk by averaging: its side is
    divided by the largest whole number that leaves at least 1536 pixels.

    Raises:
        ValueError: if 32-bit values are in none of these ranges, or decoding
            would take more than `MAX_BYTES`.
        OSError: if it is not an image, or damaged. For some damaged files
            Pillow raises other exceptions.
        MemoryError: if there is less memory than an image may take.
    """
    import PIL
    from PIL import Image

    name = None
    if isinstance(source, str | bytes | os.PathLike):
        name = os.fsdecode(source)
        files.require_regular(source)
    try:
        image, orientation = _read_rgb(source)
        if orientation in UPRIGHT:
            image = image.transpose(Image.Transpose[UPRIGHT[orientation]])
        return np.array(image)
    except PIL.UnidentifiedImageError as error:
        if name:
            raise
        # Pillow names the file in memory.
        raise OSError("it is not an image") from error
    except MemoryError as error:
        raise MemoryError(
            f"the memory ran out while reading {name or 'an image'}"
        ) from error


def _read_rgb(source):
    """Return an image in RGB as it is stored, and its EXIF orientation."""
    from PIL import Image

    with Image.open(source, formats=image_files.formats()) as image:
        size = image.size
        is_large = size[0] * size[1] > LARGE
        if is_large:
            # JPEG can be decoded at a half, a fourth or an eighth.
            image.draft(None, (LARGE_SIDE, LARGE_SIDE))
        cost = _cost(image, size)
        if cost <= COSTLY_BYTES:
            return _decode(image, is_large)
        return _costly(os.getpid()).submit(_decode, image, is_large).result()


def _cost(image, size):
    """Return the bytes that decoding takes; raise if these are too many."""
    width, height = size
    cost = COSTS.get(image.format, OTHER_COST) * image.width * image.height
    if image.info.get("progressive"):
        cost += PROGRESSIVE_COST * width * height
    if cost > MAX_BYTES:
        limit = MAX_BYTES * width * height // cost
        raise ValueError(
            f"an image in {image.format} must have at most {limit:,} pixels, "
            f"to be read in 300 MB. Received: {width}x{height}; make it smaller"
        )
    return cost


def _decode(image, is_large):
    image.load()
    orientation = _orientation(image)
    # Most images need nothing else, and each copy takes as long as decoding.
    if not is_large and image.mode == "RGB" and not image.has_transparency_data:
        return image, orientation
    box, factor = (0, 0, *image.size), 1
    if is_large:
        factor = max(1, min(image.size) // LARGE_SIDE)
        side = min(image.size) // factor * factor
        left, top = ((length - side) // 2 for length in image.size)
        box = (left, top, left + side, top + side)
    result = _to_rgb(image, box, factor)
    # Free its memory before the next image needs it.
    image.close()
    return result, orientation


def _orientation(image):
    """Return the EXIF orientation; 1, upright, if the EXIF is damaged."""
    try:
        return image.getexif().get(EXIF_ORIENTATION, 1)
    except MemoryError:
        raise
    # Pillow has many exceptions for what is wrong with EXIF.
    except Exception:
        return 1


def _to_rgb(image, box, factor):
    """Return a box of an image in RGB, its sides divided by a factor."""
    from PIL import Image

    left, top, right, bottom = box
    width, height = (right - left) // factor, (bottom - top) // factor
    levels = _levels(image)
    result = Image.new("RGB", (width, height))
    rows = max(1, PART // (right - left) // factor)
    for row in range(0, height, rows):
        end = min(row + rows, height)
        part = image.crop((left, top + row * factor, right, top + end * factor))
        if levels is not None:
            values = np.asarray(part).astype("float64")
            values = np.floor(values * (255 / levels) + 0.5)
            part = Image.fromarray(values.astype("uint8"))
        if part.has_transparency_data:
            part = part.convert("RGBA")
            white = Image.new("RGBA", part.size, "white")
            part = Image.alpha_composite(white, part)
        result.paste(part.convert("RGB").reduce(factor), (0, row))
    return result


def _levels(image):
    """Return the value of white; `None` for 8 bits."""
    mode = image.mode
    if mode[0] not in "IF":
        return None
    if mode.startswith("I;16"):
        return 65535
    limits = (1, 255) if mode == "F" else (255, 65535)
    if mode == "I" and image.format != "TIFF":
        # Pillow reads 16-bit images of some formats in this mode.
        limits = (65535,)
    values = np.asarray(image)
    low, high = values.min(), values.max()
    # The comparisons are false for NaN.
    found = [limit for limit in limits if 0 <= low and high <= limit]
    if not found:
        raise ValueError(
            "the values of an image must be within 0 to "
            f"{' or 0 to '.join(map(str, limits))}. Received: {low:g} to "
            f"{high:g}; convert it to 8 bits"
        )
    return found[0]
