import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from PIL import ImageCms

import keras_squeezenet
from keras_squeezenet.data import image_ops

EXIF_ORIENTATION = 0x0112
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
    image = image_ops.read_image(path)
    assert image.dtype == "uint8"
    np.testing.assert_array_equal(image, pixels)


def test_path_may_be_str_or_bytes(tmp_path):
    path = save(Image.new("RGB", (3, 2), "red"), tmp_path / "ä.png")
    for same in (str(path), str(path).encode()):
        assert image_ops.read_image(same).shape == (2, 3, 3)


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
    upright = image_ops.read_image(path)
    assert upright.shape == (32, 48, 3)
    square = image_ops.square(upright, 24, 28).numpy()
    expected = image_ops.square(pixels, 24, 28).numpy()
    assert abs(square.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L"])
def test_gray_has_three_equal_channels(mode, tmp_path):
    image = Image.new("L", (2, 2), 255)
    image.putpixel((0, 1), 0)
    path = save(image.convert(mode), tmp_path / "a.png")
    expected = np.repeat([[[255], [255]], [[0], [255]]], 3, axis=-1)
    np.testing.assert_array_equal(image_ops.read_image(path), expected)


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
    found = image_ops.read_image(path)[4, 4].astype(int)
    assert abs(found - pixel).max() < 5


def test_lab_becomes_rgb_or_is_an_error(tmp_path):
    image = Image.new("LAB", (2, 2), (112, 192, 170))
    path = save(image, tmp_path / "a.tif")
    try:
        pixel = image_ops.read_image(path)[0, 0].astype(int)
    except ValueError as error:
        # Of an older Pillow.
        assert "conversion from LAB to RGB not supported" in str(error)
    else:
        assert abs(pixel - [200, 30, 40]).max() <= 3


def test_ycbcr_becomes_rgb(tmp_path):
    image = Image.new("RGB", (8, 8), (200, 30, 40)).convert("YCbCr")
    path = save(image, tmp_path / "a.tif")
    pixel = image_ops.read_image(path)[0, 0].astype(int)
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
    pixel = image_ops.read_image(path)[4, 4].astype(int)
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
    image = image_ops.read_image(path)
    np.testing.assert_array_equal(image, np.full((6, 8, 3), [255, 0, 0]))


@pytest.mark.parametrize("suffix", ["bmp", "gif", "png", "tif", "webp"])
def test_formats_without_loss_give_the_pixels(suffix, tmp_path):
    pixels = np.zeros((4, 6, 3), "uint8")
    pixels[1:3, 2:] = 200, 30, 40
    path = save(
        Image.fromarray(pixels), tmp_path / f"a.{suffix}", lossless=True
    )
    np.testing.assert_array_equal(image_ops.read_image(path), pixels)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_to_eight(suffix, tmp_path):
    levels = np.array([[0, 127, 257], [32768, 65278, 65535]], "uint16")
    path = save(Image.fromarray(levels), tmp_path / f"a.{suffix}")
    image = image_ops.read_image(path)
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
    assert image_ops.read_image(path).tolist() == [pixels]


def test_big_endian_tiff_of_sixteen_bits_is_read(tmp_path):
    levels = np.array([[0, 32768, 65535]], ">u2")
    image = Image.frombytes("I;16B", (3, 1), levels.tobytes())
    path = save(image, tmp_path / "a.tif")
    assert image_ops.read_image(path)[0, :, 0].tolist() == [0, 128, 255]


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
    assert image_ops.read_image(path)[0, :, 0].tolist() == expected


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
        image_ops.read_image(path)


def test_a_file_that_is_a_program_is_not_read(tmp_path):
    # Pillow would start Ghostscript.
    path = save(Image.new("RGB", (8, 8)), tmp_path / "a.eps")
    path = path.rename(tmp_path / "a.png")
    with pytest.raises(OSError, match="cannot identify"):
        image_ops.read_image(path)


def test_decompression_bomb_is_an_error(tmp_path):
    path = save(Image.new("RGB", (8, 8)), tmp_path / "a.png")
    content = bytearray(path.read_bytes())
    # The header's sides, behind which is its checksum.
    content[16:24] = (2**15).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(Image.DecompressionBombError, match="1073741824 pixels"):
        image_ops.read_image(path)


def test_truncated_jpeg_is_an_error(tmp_path):
    path = save(Image.effect_noise((64, 64), 50), tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes()[:800])
    with pytest.raises(OSError, match="truncated"):
        image_ops.read_image(path)
    path.write_text("no image")
    with pytest.raises(OSError, match="cannot identify"):
        image_ops.read_image(path)


@pytest.mark.parametrize(
    "pixels, dtype, expected",
    [
        ([[7], [200]], "uint8", [[7] * 3, [200] * 3]),
        # 10 * 100 / 255 + 255 - 100 is 158.9.
        ([[10, 10, 10, 100]], "uint8", [[159] * 3]),
        ([[0, 32768, 65535]], "uint16", [[0, 128, 255]]),
    ],
)
def test_gray_alpha_and_sixteen_bits_become_rgb(pixels, dtype, expected):
    rgb = image_ops.to_rgb(tf.constant([pixels], dtype))
    assert rgb.dtype == tf.uint8
    assert rgb.numpy().tolist() == [expected]


def test_to_rgb_agrees_with_pillow_on_alpha(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (32, 32, 4)).astype("uint8")
    path = save(Image.fromarray(pixels), tmp_path / "a.png")
    difference = image_ops.to_rgb(tf.constant(pixels)).numpy().astype(
        int
    ) - image_ops.read_image(path)
    assert abs(difference).max() <= 1


def test_square_of_the_right_size_is_the_image_itself():
    image = tf.constant(np.arange(4 * 4 * 3).reshape(4, 4, 3), tf.uint8)
    assert image_ops.square(image, 4) is image


@pytest.mark.parametrize(
    "height,width", [(1, 1), (3, 500), (7, 5), (375, 500), (224, 225)]
)
def test_square_has_the_size_asked_for(height, width):
    image = np.full((height, width, 3), 77, "uint8")
    square = image_ops.square(image, 224)
    np.testing.assert_array_equal(square, np.full((224, 224, 3), 77))


@pytest.mark.parametrize("shape", [(20, 20), (20, 30), (30, 20)])
def test_square_leaves_a_border_of_the_shorter_side(shape):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*shape, 3), "uint8")
    top, left = ((length - 14) // 2 for length in shape)
    np.testing.assert_array_equal(
        image_ops.square(image, 14, shorter_side=20),
        image[top : top + 14, left : left + 14],
    )


@pytest.mark.parametrize("shape", [(40, 40), (33, 57), (80, 41), (9, 12)])
def test_square_is_the_center_of_the_resized_image(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), "uint8")
    scale = 32 / min(shape)
    height, width = (round(length * scale) for length in shape)
    resized = tf.image.resize(image, (height, width), antialias=True)
    top, left = (height - 28) // 2, (width - 28) // 2
    expected = resized[top : top + 28, left : left + 28]
    square = image_ops.square(image, 28, shorter_side=32)
    assert square.dtype == tf.uint8
    assert abs(tf.cast(square, tf.float32) - expected).numpy().max() <= 0.51


def test_square_of_the_right_size_is_enlarged_for_a_longer_shorter_side():
    image = np.zeros((8, 8, 3), "uint8")
    image[2:6, 2:6] = 200
    square = image_ops.square(image, 8, shorter_side=16).numpy()
    assert square.shape == (8, 8, 3)
    assert square[1:7, 1:7].min() == 200


@pytest.mark.parametrize(
    "height,width", [(1, 1), (1, 3000), (3000, 1), (2, 100_000)]
)
def test_elongated_images_are_cut_before_they_are_enlarged(height, width):
    image = np.full((height, width, 3), 77, "uint8")
    square = image_ops.square(image, 227, shorter_side=256)
    np.testing.assert_array_equal(square, np.full((227, 227, 3), 77))


def test_square_resizes_with_antialiasing():
    stripes = np.zeros((64, 64, 3), "uint8")
    stripes[:, ::8] = 200
    square = image_ops.square(stripes, 8).numpy()
    assert abs(square[:, 1:-1].astype(int) - 200 // 8).max() <= 1


@pytest.mark.parametrize("side", [9, 20, 40])
@pytest.mark.parametrize("width", [20, 31])
def test_square_is_the_same_where_sizes_are_not_known(side, width):
    image = np.random.default_rng(0).integers(0, 256, (20, width, 3), "uint8")
    square = tf.function(
        lambda image: image_ops.square(image, side),
        input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)],
    )
    assert square.get_concrete_function().output_shapes == (side, side, 3)
    np.testing.assert_array_equal(square(image), image_ops.square(image, side))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_preprocess_equals_the_preprocess_input_of_the_networks(dtype):
    image = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3))
    image = image.astype(dtype)
    expected = keras_squeezenet.preprocess_input(
        image.copy(), data_format="channels_last"
    )
    preprocessed = image_ops.preprocess(image)
    assert preprocessed.dtype == tf.float32
    np.testing.assert_array_equal(preprocessed, expected)
