"""A photograph beside the heat maps of its most probable classes."""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from keras_squeezenet.evaluation import class_activation
from keras_squeezenet.utils.text import one_line

# Smaller images are enlarged by a whole number to at least this side.
SIDE = 224
MARGIN = 8
FONT_SIZE = 14
LINE = 19
NEAREST = Image.Resampling.NEAREST
INK = "#222222"
SOFT = "#5f5f5b"
BAR = (120, 10)
LOW, HIGH = "no evidence", "most evidence for the class, in each map"


def draw(
    image: np.ndarray,
    maps: np.ndarray,
    captions: Sequence[tuple[str, str]],
    title: str = "photograph",
) -> Image.Image:
    """Draw an image beside its heat maps, with captions and a color scale.

    Args:
        image: uint8 RGB, of shape `(height, width, 3)`.
        maps: of shape `(height, width, classes)`, as `activation_maps` returns
            them for the size of the image.
        captions: the name and the probability of each class, as texts.
        title: the caption of the image.
    """
    heated = np.moveaxis(maps, -1, 0)
    tiles = [image, *(class_activation.overlay(image, each) for each in heated)]
    factor = -(-SIDE // min(image.shape[:2]))
    height, width = (factor * side for side in image.shape[:2])
    top, step = 2 * MARGIN + height, width + MARGIN
    size = (MARGIN + step * len(tiles), top + 3 * LINE + MARGIN)
    panel = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(panel)
    font = ImageFont.load_default(FONT_SIZE)
    for index, (tile, lines) in enumerate(zip(tiles, [(title, ""), *captions])):
        left = MARGIN + index * step
        shown = Image.fromarray(tile).resize((width, height), NEAREST)
        panel.paste(shown, (left, MARGIN))
        for row, line in enumerate(lines):
            text = _fitted(one_line(line), font, width)
            pen.text((left, top + row * LINE), text, INK, font)
    _draw_scale(panel, pen, font, top + 2 * LINE + MARGIN // 2)
    return panel


def sheet(panels: Sequence[Image.Image], columns: int = 2) -> Image.Image:
    """Arrange panels of one size in rows."""
    width, height = panels[0].size
    rows = -(-len(panels) // columns)
    result = Image.new("RGB", (columns * width, rows * height), "white")
    for index, panel in enumerate(panels):
        row, column = divmod(index, columns)
        result.paste(panel, (column * width, row * height))
    return result


def _fitted(text, font, width):
    """Return a text shortened to a width in pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..."


def _draw_scale(panel, pen, font, top):
    """Draw the colors from low to high, as they look over a middle gray."""
    width, height = BAR
    gray = np.full((height, width, 3), 128, "uint8")
    heat = np.broadcast_to(np.linspace(0, 1, width), (height, width))
    bar = Image.fromarray(class_activation.overlay(gray, heat))
    left = MARGIN
    pen.text((left, top), LOW, SOFT, font)
    left += round(font.getlength(LOW)) + MARGIN
    panel.paste(bar, (left, top + (LINE - height) // 2))
    left += width + MARGIN
    text = _fitted(HIGH, font, panel.width - left - MARGIN)
    pen.text((left, top), text, SOFT, font)
