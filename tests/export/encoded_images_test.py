import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_squeezenet.data import image_reader
from keras_squeezenet.export import encoded_images


@pytest.fixture(scope="module")
def decode():
    return tf.function(
        encoded_images.decode, input_signature=[tf.TensorSpec((), tf.string)]
    )


@pytest.fixture(scope="module")
def photograph():
    rng = np.random.default_rng(0)
    colors = rng.integers(0, 256, (5, 7, 4), "uint8")
    return Image.fromarray(colors).resize((35, 25))


def exif_of(order, orientation):
    """Return EXIF data with another tag before that of the orientation."""
    entries = struct.pack(f"{order}H", 2)
    entries += struct.pack(f"{order}HHII", 0x010F, 2, 6, 38)
    entries += struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8)
    return b"Exif\0\0" + head + entries + bytes(4) + b"maker\0"


def assert_decoded(decode, path):
    """Assert that a file is decoded as `predict` reads it, to the last bit."""
    decoded = decode(path.read_bytes()).numpy()
    np.testing.assert_array_equal(decoded, image_reader.read(path))
    return decoded


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(
    order, orientation, decode, photograph, tmp_path
):
    path = tmp_path / "photograph.jpg"
    exif = exif_of(order, orientation)
    photograph.convert("RGB").save(path, exif=exif)
    sides = (35, 25) if orientation > 4 else (25, 35)
    assert assert_decoded(decode, path).shape == (*sides, 3)


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"])
def test_photograph_without_an_orientation_stays(
    exif, decode, photograph, tmp_path
):
    path = tmp_path / "photograph.jpg"
    photograph.convert("RGB").save(path, exif=exif, quality=95)
    decoded = assert_decoded(decode, path)
    near = abs(decoded.astype(int) - np.array(photograph)[..., :3])
    assert near.mean() < 8


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [
        *(("jpg", mode) for mode in ("L", "RGB", "CMYK")),
        *(("png", mode) for mode in ("L", "LA", "P", "RGB", "RGBA")),
    ],
)
def test_every_mode_is_decoded(suffix, mode, decode, photograph, tmp_path):
    path = tmp_path / f"photograph.{suffix}"
    photograph.convert(mode).save(path)
    assert_decoded(decode, path)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize(
    "mode, options", [("L", {}), ("P", {}), ("P", {"transparency": 1})]
)
def test_few_bits_are_decoded(
    bits, mode, options, decode, photograph, tmp_path
):
    path = tmp_path / "photograph.png"
    if mode == "P":
        few = photograph.convert("RGB").quantize(2**bits)
    else:
        few = photograph.convert("1" if bits == 1 else "L")
    few.save(path, bits=bits, **options)
    assert path.read_bytes()[24] == bits
    assert_decoded(decode, path)


def test_real_photographs_are_decoded_to_the_same_pixels(decode, photographs):
    for path in photographs[::100]:
        assert_decoded(decode, path)


def test_other_content_is_refused(decode):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(b"no image")
