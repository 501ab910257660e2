import numpy as np
import pytest
from PIL import Image

from keras_squeezenet.evaluation import class_activation
from keras_squeezenet.report import heat_map_panel


@pytest.fixture
def image():
    return np.full((32, 32, 3), 120, "uint8")


@pytest.fixture
def maps():
    heat = np.zeros((32, 32, 2))
    heat[:16, :, 0] = 1
    return heat


def test_tiles_are_the_image_and_its_heat_maps(image, maps):
    panel = heat_map_panel.draw(image, maps, [("cat", "90%"), ("dog", "9%")])
    pixels = np.asarray(panel)
    # 32 pixels seven times.
    step = 224 + heat_map_panel.MARGIN
    tiles = [
        pixels[8 : 8 + 224, 8 + left : 8 + left + 224][::7, ::7]
        for left in (0, step, 2 * step)
    ]
    np.testing.assert_array_equal(tiles[0], image)
    for tile, heat in zip(tiles[1:], np.moveaxis(maps, -1, 0)):
        expected = class_activation.overlay(image, heat)
        np.testing.assert_array_equal(tile, expected)


def test_photographs_keep_their_size(maps):
    image = np.zeros((227, 227, 3), "uint8")
    maps = np.zeros((227, 227, 1))
    panel = heat_map_panel.draw(image, maps, [("cat", "90%")])
    assert panel.size == (8 + 2 * (227 + 8), 2 * 8 + 227 + 3 * 19 + 8)


@pytest.mark.parametrize(
    "name", ["", "x" * 500, "\x1b[31m\n\u202ecat", "<script>", "犬", "\udcff"]
)
def test_any_name_of_a_class_is_drawn_within_its_tile(name, image, maps):
    captions = [(name, "90%"), ("", "")]
    pixels = np.asarray(heat_map_panel.draw(image, maps, captions))
    below = pixels[8 + 224 + 8 : 8 + 224 + 8 + 19]
    right = below[:, 8 + 2 * 232 :]
    assert np.all(right == 255)


def test_sheet_has_rows_of_panels():
    panels = [Image.new("RGB", (30, 20), color) for color in ("red", "blue")]
    sheet = np.asarray(heat_map_panel.sheet([*panels, panels[0]]))
    assert sheet.shape == (40, 60, 3)
    assert sheet[0, 59].tolist() == [0, 0, 255]
    assert sheet[39, 0].tolist() == [255, 0, 0]
    assert sheet[39, 59].tolist() == [255, 255, 255]
