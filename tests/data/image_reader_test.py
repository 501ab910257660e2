"""Images of every mode, orientation, size and kind of damage."""

import os
import struct
import subprocess
import sys
import threading
import zlib
from concurrent import futures

import numpy as np
import pytest
from PIL import Image
from PIL import ImageCms

from keras_squeezenet.data import image_ops
from keras_squeezenet.data import image_reader
from keras_squeezenet.data.image_reader import EXIF_ORIENTATION

# What turns an upright image into the one that is stored with the tag.
STORED_AS = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels),
    7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels, -1),
}


def save(image, path, **options):
    image.save(path, **options)
    return path


def test_rgb_is_read_as_it_is(tmp_path):
    pixels = np.arange(2 * 3 * 3, dtype="uint8").reshape(2, 3, 3)
    path = save(Image.fromarray(pixels), tmp_path / "a.png")
    image = image_reader.read(path)
    assert image.dtype == "uint8"
    np.testing.assert_array_equal(image, pixels)


def test_path_may_be_str_or_bytes(tmp_path):
    path = save(Image.new("RGB", (3, 2), "red"), tmp_path / "ä.png")
    for same in (str(path), str(path).encode()):
        assert image_reader.read(same).shape == (2, 3, 3)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg"])
@pytest.mark.parametrize("orientation", STORED_AS)
def test_square_is_upright_whatever_the_orientation(
    orientation, suffix, tmp_path
):
    # Blocks, which JPEG compresses alike in every direction.
    levels = np.arange(40, 250, 35, "uint8").reshape(2, 3)
    pixels = np.kron(levels, np.ones((16, 16), "uint8"))
    pixels = np.repeat(pixels[..., np.newaxis], 3, axis=-1)
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    path = save(
        Image.fromarray(STORED_AS[orientation](pixels)),
        tmp_path / f"a.{suffix}",
        exif=exif,
        quality=100,
        lossless=True,
    )
    upright = image_reader.read(path)
    assert upright.shape == (32, 48, 3)
    square = image_ops.square(upright, 24, 28).numpy()
    expected = image_ops.square(pixels, 24, 28).numpy()
    assert abs(square.astype(int) - expected).max() <= 1


def test_orientation_counts_beside_a_malformed_tag(tmp_path):
    orientation = struct.pack("<HHIHxx", EXIF_ORIENTATION, 3, 1, 6)
    # XResolution, a fraction, is written as four letters.
    resolution = struct.pack("<HHI4s", 0x011A, 2, 4, b"abcd")
    exif = b"II*\0" + struct.pack("<IH", 8, 2) + orientation + resolution
    path = save(
        Image.new("RGB", (24, 16)),
        tmp_path / "a.jpg",
        exif=b"Exif\0\0" + exif + bytes(4),
    )
    assert image_reader.read(path).shape == (24, 16, 3)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_damaged_exif_is_no_damaged_image(suffix, tmp_path):
    path = save(
        Image.new("RGB", (24, 16)),
        tmp_path / f"a.{suffix}",
        exif=b"Exif\0\0nonsense",
    )
    assert image_reader.read(path).shape == (16, 24, 3)


@pytest.mark.parametrize("mode", ["1", "L"])
def test_gray_has_three_equal_channels(mode, tmp_path):
    image = Image.new("L", (2, 2), 255)
    image.putpixel((0, 1), 0)
    path = save(image.convert(mode), tmp_path / "a.png")
    expected = np.repeat([[[255], [255]], [[0], [255]]], 3, axis=-1)
    np.testing.assert_array_equal(image_reader.read(path), expected)


@pytest.mark.parametrize(
    "ink, suffix, pixel",
    [
        ((0, 255, 255, 0), "jpg", [255, 0, 0]),
        ((255, 0, 0, 51), "jpg", [0, 204, 204]),
        ((0, 255, 0, 0), "tif", [255, 0, 255]),
    ],
)
def test_cmyk_becomes_rgb(ink, suffix, pixel, tmp_path):
    image = Image.new("CMYK", (8, 8), ink)
    path = save(image, tmp_path / f"a.{suffix}", quality=100)
    if suffix == "jpg":
        content = path.read_bytes()
        # The marker of Adobe, whose files have the inks inverted.
        assert content[2:4] == b"\xff\xee" and content[6:11] == b"Adobe"
    found = image_reader.read(path)[4, 4].astype(int)
    assert abs(found - pixel).max() < 5


def test_lab_becomes_rgb_or_is_an_error(tmp_path):
    image = Image.new("LAB", (2, 2), (112, 192, 170))
    path = save(image, tmp_path / "a.tif")
    try:
        pixel = image_reader.read(path)[0, 0].astype(int)
    except ValueError as error:
        # Of an older Pillow.
        assert "conversion from LAB to RGB not supported" in str(error)
    else:
        assert abs(pixel - [200, 30, 40]).max() <= 3


def test_ycbcr_becomes_rgb(tmp_path):
    image = Image.new("RGB", (8, 8), (200, 30, 40)).convert("YCbCr")
    path = save(image, tmp_path / "a.tif")
    pixel = image_reader.read(path)[0, 0].astype(int)
    assert abs(pixel - [200, 30, 40]).max() <= 3


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_color_profile_is_allowed(suffix, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    path = save(
        Image.new("RGB", (8, 8), (200, 30, 40)),
        tmp_path / f"a.{suffix}",
        icc_profile=profile.tobytes(),
        quality=100,
        lossless=True,
    )
    with Image.open(path) as image:
        assert image.info["icc_profile"]
    pixel = image_reader.read(path)[4, 4].astype(int)
    assert abs(pixel - [200, 30, 40]).max() <= 2


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_first_image_of_an_animation_is_read(suffix, tmp_path):
    first, *others = (
        Image.new("RGB", (8, 6), color) for color in ("red", "lime", "blue")
    )
    path = save(
        first,
        tmp_path / f"a.{suffix}",
        save_all=True,
        append_images=others,
        lossless=True,
    )
    with Image.open(path) as image:
        assert image.n_frames == 3
    image = image_reader.read(path)
    np.testing.assert_array_equal(image, np.full((6, 8, 3), [255, 0, 0]))


@pytest.mark.parametrize("suffix", ["bmp", "gif", "png", "tif", "webp"])
def test_formats_without_loss_give_the_pixels(suffix, tmp_path):
    pixels = np.zeros((4, 6, 3), "uint8")
    pixels[1:3, 2:] = 200, 30, 40
    path = save(
        Image.fromarray(pixels), tmp_path / f"a.{suffix}", lossless=True
    )
    np.testing.assert_array_equal(image_reader.read(path), pixels)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_to_eight(suffix, tmp_path):
    levels = np.array([[0, 127, 257], [32768, 65278, 65535]], "uint16")
    path = save(Image.fromarray(levels), tmp_path / f"a.{suffix}")
    image = image_reader.read(path)
    assert image.shape == (2, 3, 3)
    assert image[..., 0].tolist() == [[0, 0, 1], [128, 254, 255]]


def palette():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    return image


WHITE = [255] * 3


@pytest.mark.parametrize(
    "image, suffix, options, pixels",
    [
        (
            Image.fromarray(
                np.array(
                    [[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 128]]],
                    "uint8",
                )
            ),
            "png",
            {},
            [[255, 0, 0], WHITE, [127] * 3],
        ),
        (Image.new("LA", (1, 1), (0, 0)), "png", {}, [WHITE]),
        (palette(), "png", {"transparency": 0}, [WHITE, [40, 50, 60]]),
        (
            palette().convert("RGB"),
            "png",
            {"transparency": (10, 20, 30)},
            [WHITE, [40, 50, 60]],
        ),
        (palette(), "gif", {"transparency": 1}, [[10, 20, 30], WHITE]),
    ],
    ids=["alpha", "gray", "palette", "color", "gif"],
)
def test_transparent_pixels_are_laid_over_white(
    image, suffix, options, pixels, tmp_path
):
    path = save(image, tmp_path / f"a.{suffix}", **options)
    assert image_reader.read(path).tolist() == [pixels]


def test_big_endian_tiff_of_sixteen_bits_is_read(tmp_path):
    levels = np.array([[0, 32768, 65535]], ">u2")
    image = Image.frombytes("I;16B", (3, 1), levels.tobytes())
    path = save(image, tmp_path / "a.tif")
    assert image_reader.read(path)[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    "values, dtype, expected",
    [
        ([0, 7, 255], "int32", [0, 7, 255]),
        ([0, 32768, 65535], "int32", [0, 128, 255]),
        ([0, 0.5, 1], "float32", [0, 128, 255]),
        ([0, 1.5, 255], "float32", [0, 2, 255]),
    ],
)
def test_values_of_32_bits_are_read_by_their_range(
    values, dtype, expected, tmp_path
):
    path = save(Image.fromarray(np.array([values], dtype)), tmp_path / "a.tif")
    assert image_reader.read(path)[0, :, 0].tolist() == expected


@pytest.mark.parametrize(
    "values, dtype, message",
    [
        ([0, 65536], "int32", "0 to 255 or 0 to 65535. Received: 0 to 65536"),
        ([-1, 9], "int32", "Received: -1 to 9"),
        ([0, 256], "float32", "0 to 1 or 0 to 255. Received: 0 to 256"),
        ([np.nan, 1], "float32", "Received: nan"),
    ],
)
def test_values_of_an_unclear_range_are_refused(
    values, dtype, message, tmp_path
):
    path = save(Image.fromarray(np.array([values], dtype)), tmp_path / "a.tif")
    with pytest.raises(ValueError, match=message):
        image_reader.read(path)


def test_a_file_that_is_a_program_is_not_read(tmp_path):
    # Pillow would start Ghostscript.
    path = save(Image.new("RGB", (8, 8)), tmp_path / "a.eps")
    path = path.rename(tmp_path / "a.png")
    with pytest.raises(OSError, match="cannot identify"):
        image_reader.read(path)


def with_size(path, side):
    """Change the sides that the header of a PNG declares."""
    content = bytearray(path.read_bytes())
    content[16:24] = side.to_bytes(4, "big") * 2
    # The checksum of the header.
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)


def test_decompression_bomb_is_an_error(tmp_path):
    path = save(Image.new("RGB", (8, 8)), tmp_path / "a.png")
    with_size(path, 2**15)
    with pytest.raises(Image.DecompressionBombError, match="1073741824 pixels"):
        image_reader.read(path)


def test_truncated_jpeg_is_an_error(tmp_path):
    path = save(Image.effect_noise((64, 64), 50), tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes()[:800])
    with pytest.raises(OSError, match="truncated"):
        image_reader.read(path)
    path.write_text("no image")
    with pytest.raises(OSError, match="cannot identify"):
        image_reader.read(path)


# Large images.


@pytest.fixture
def small_limits(monkeypatch):
    """What is done to images of 16 megapixels, for those of 100 pixels."""
    monkeypatch.setattr(image_reader, "LARGE", 100)
    monkeypatch.setattr(image_reader, "LARGE_SIDE", 4)


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "I;16", "F"]


@pytest.mark.parametrize("mode", MODES)
def test_image_is_the_same_in_parts(mode, tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (13, 17, 4), "uint8")
    if mode in ("I", "I;16", "F"):
        types = {"I": "int32", "I;16": "uint16", "F": "float32"}
        image = Image.fromarray(pixels[..., 0].astype(types[mode]))
    else:
        image = Image.fromarray(pixels).convert(mode)
    path = save(image, tmp_path / ("a.tif" if mode != "P" else "a.png"))
    whole = image_reader.read(path)
    monkeypatch.setattr(image_reader, "PART", 40)
    np.testing.assert_array_equal(image_reader.read(path), whole)


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("part", [1, 40, 2**20])
@pytest.mark.parametrize("shape", [(9, 14), (14, 9), (21, 30)])
def test_large_image_is_the_shrunk_central_square(
    shape, part, tmp_path, monkeypatch
):
    monkeypatch.setattr(image_reader, "PART", part)
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), "uint8")
    path = save(Image.fromarray(pixels), tmp_path / "a.png")
    factor = min(shape) // 4
    side = min(shape) // factor
    top, left = ((length - side * factor) // 2 for length in shape)
    square = pixels[top : top + side * factor, left : left + side * factor]
    blocks = square.reshape(side, factor, side, factor, 3)
    expected = blocks.mean(axis=(1, 3))
    assert abs(image_reader.read(path) - expected).max() <= 0.55


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("orientation", STORED_AS)
def test_large_image_is_upright(orientation, tmp_path):
    quarters = np.kron(np.arange(4).reshape(2, 2) * 60, np.ones((8, 8)))
    pixels = np.repeat(quarters[..., np.newaxis].astype("uint8"), 3, axis=-1)
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    path = save(
        Image.fromarray(STORED_AS[orientation](pixels)),
        tmp_path / "a.png",
        exif=exif,
    )
    np.testing.assert_array_equal(image_reader.read(path), pixels[::4, ::4])


def test_large_jpeg_is_decoded_small(tmp_path, monkeypatch):
    monkeypatch.setattr(image_reader, "LARGE", 100)
    monkeypatch.setattr(image_reader, "LARGE_SIDE", 32)
    decoded = []
    load = Image.Image.load

    def remember(self):
        decoded.append(self.size)
        return load(self)

    path = save(Image.effect_noise((256, 300), 50), tmp_path / "a.jpg")
    monkeypatch.setattr(image_reader, "MAX_BYTES", 32 * 38 * 4)
    monkeypatch.setattr(Image.Image, "load", remember)
    assert image_reader.read(path).shape == (32, 32, 3)
    assert set(decoded) == {(32, 38), (32, 32)}


@pytest.mark.parametrize(
    "suffix, options, limit",
    [
        ("png", {}, 300),
        ("webp", {}, 75),
        ("jpg", {}, 300),
        ("jpg", {"progressive": True}, 120),
    ],
)
def test_image_that_would_take_too_much_is_refused(
    suffix, options, limit, tmp_path, monkeypatch
):
    monkeypatch.setattr(image_reader, "MAX_BYTES", 1200)
    name = tmp_path / f"a.{suffix}"
    for height, is_read in ((limit // 5, True), (limit // 5 + 1, False)):
        path = save(Image.new("RGB", (5, height)), name, **options)
        if is_read:
            assert image_reader.read(path).shape == (height, 5, 3)
            continue
        message = (
            rf"at most {limit} pixels, to be read in 300 MB\. Received: "
            f"5x{height}; make it smaller"
        )
        with pytest.raises(ValueError, match=message):
            image_reader.read(path)


def test_photograph_of_13000_pixels_a_side_is_refused(tmp_path):
    path = save(Image.new("RGB", (8, 8)), tmp_path / "a.png")
    with_size(path, 13_000)
    message = "PNG must have at most 58,720,256 pixels.*Received: 13000x13000"
    with (
        pytest.warns(Image.DecompressionBombWarning),
        pytest.raises(ValueError, match=message),
    ):
        image_reader.read(path)


def test_two_large_images_are_read_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(image_reader, "COSTLY_BYTES", 0)
    path = save(Image.new("RGB", (8, 8)), tmp_path / "a.png")
    decode = image_reader._decode
    running, most = [], []
    two = threading.Barrier(2)

    def count(image, is_large):
        running.append(None)
        two.wait(10)
        most.append(len(running))
        result = decode(image, is_large)
        two.wait(10)
        running.pop()
        return result

    monkeypatch.setattr(image_reader, "_decode", count)
    with futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(image_reader.read, [path] * 6))
    assert len(most) == 6 and max(most) == 2


def test_missing_memory_is_not_damage(tmp_path, monkeypatch):
    path = save(Image.new("RGB", (8, 8)), tmp_path / "a.png")

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(image_reader, "_decode", fail)
    with pytest.raises(MemoryError, match=f"ran out while reading {path}"):
        image_reader.read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(OSError, match="must be a file. Received: a pipe"):
        image_reader.read(tmp_path / "a.png")


PEAK = """
import resource, sys, warnings
from PIL import Image
from keras_squeezenet.data import image_reader

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

Image.init()
before = peak()
image_reader.read(sys.argv[1])
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "mode, size, suffix, options",
    [
        ("RGB", (7662, 7662), "png", {"compress_level": 1}),
        ("RGBA", (4000, 14_600), "png", {"compress_level": 1}),
        ("RGBA", (4096, 4096), "png", {"compress_level": 1}),
        ("RGB", (3831, 3831), "webp", {"method": 0}),
        ("RGB", (5700, 5700), "jpg", {"progressive": True, "subsampling": 0}),
    ],
)
def test_reading_takes_less_than_300_mb(mode, size, suffix, options, tmp_path):
    pytest.importorskip("resource")
    path = save(Image.new(mode, size), tmp_path / f"a.{suffix}", **options)
    found = subprocess.run(
        [sys.executable, "-c", PEAK, path],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert int(found.stdout) < 300e6
