import dataclasses
import time

import numpy as np
import pytest
import quarters
import tensorflow as tf
from PIL import Image

from keras_squeezenet import classifier
from keras_squeezenet import imagenet
from keras_squeezenet import preprocess_input
from keras_squeezenet.data import catalog
from keras_squeezenet.packing import calibration

NETWORK = classifier.Classifier("stub", None, quarters.SIDE)


@pytest.fixture(scope="module")
def squares():
    images, _ = quarters.make_images(64, 0)
    return images


@pytest.fixture(scope="module")
def expected(squares):
    """Every fourth image."""
    return preprocess_input(squares[::4].astype("float32"))


def test_images_are_evenly_spaced_in_every_kind_of_data(
    squares, expected, dataset, tmp_path
):
    x = preprocess_input(squares.astype("float32"))
    batches = tf.data.Dataset.from_tensor_slices((x, np.zeros(64))).batch(10)
    for number, square in enumerate(squares):
        path = tmp_path / "any" / f"{number:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(square).save(path)
    for data in (x, (x, np.zeros(64)), dataset, tmp_path):
        found = calibration.load_images(data, NETWORK, 16)
        assert found.dtype == "float32"
        np.testing.assert_array_equal(found, expected)
    # The last of the seven batches is smaller.
    found = calibration.load_images(batches, NETWORK, 14)
    np.testing.assert_array_equal(found, x[: 13 * 5 : 5])
    endless = batches.map(lambda images, _: images).repeat()
    found = calibration.load_images(endless, NETWORK, 16)
    np.testing.assert_array_equal(found, x[:16])


def test_lists_need_no_classes(squares, tmp_path):
    lines = ["path,label,split"]
    for number, square in enumerate(squares[:6]):
        Image.fromarray(square).save(tmp_path / f"{number}.png")
        split = "test" if number % 2 else "train"
        lines.append(f"{number}.png,any,{split}")
    path = tmp_path / "list.csv"
    path.write_text("\n".join(lines))
    x = preprocess_input(squares.astype("float32"))
    found = calibration.load_images(path, NETWORK, 10)
    np.testing.assert_array_equal(found, x[:6:2])
    path.write_text("\n".join(lines).replace("train", "test"))
    found = calibration.load_images(str(path), NETWORK, 3)
    np.testing.assert_array_equal(found, x[:6:2])
    rows = [line.rpartition(",")[0] for line in lines]
    path.write_text("\n".join([*rows, rows[1]]))
    found = calibration.load_images(path, NETWORK, 10)
    np.testing.assert_array_equal(found, x[:6])


def test_photographs_take_little_longer_than_to_be_decoded(tmp_path):
    network = classifier.Classifier("stub", None, 227)
    rng = np.random.default_rng(0)
    for number in range(20):
        image = rng.integers(0, 256, (227, 227, 3), "uint8")
        Image.fromarray(image).save(tmp_path / f"{number}.png")

    def decode():
        for path in tmp_path.iterdir():
            network.read(path)

    def load():
        calibration.load_images(tmp_path, network, 20)

    def cpu_time(call):
        begin = time.process_time()
        call()
        return time.process_time() - begin

    load()
    assert cpu_time(load) < 4 * cpu_time(decode)


def test_folder_without_photographs_is_refused(tmp_path):
    with pytest.raises(ValueError, match="which has none"):
        calibration.load_images(tmp_path, NETWORK, 16)


def test_bad_photographs_are_named_or_left_out(squares, tmp_path):
    for number, square in enumerate(squares[:4]):
        Image.fromarray(square).save(tmp_path / f"{number}.png")
    (tmp_path / "bad.png").write_text("no image")
    with pytest.raises(ValueError, match="Received: 1 that cannot be read"):
        calibration.load_images(tmp_path, NETWORK, 16)
    found = calibration.load_images(tmp_path, NETWORK, 16, skip_bad_images=True)
    np.testing.assert_array_equal(
        found, preprocess_input(squares[:4].astype("float32"))
    )


def test_data_set_is_read_as_the_network_sees_it(dataset, monkeypatch):
    calls = []

    def load(name, **options):
        calls.append((name, options))
        return dataset

    monkeypatch.setattr(catalog, "load", load)
    network = dataclasses.replace(NETWORK, classes=imagenet.imagenet_classes())
    reading = {"data_dir": "there", "skip_bad_images": True}
    calibration.load_images("cifar10", network, 16, seed=3, **reading)
    size = {"image_size": 16, "shorter_side": 18}
    assert calls == [("cifar10", {**size, **reading, "seed": 3})]


def test_folder_has_no_place_of_its_own(tmp_path):
    with pytest.raises(ValueError, match="must not be set for a folder"):
        calibration.load_images(tmp_path, NETWORK, 16, data_dir="there")


def test_count_may_exceed_the_number_of_images(dataset):
    assert len(calibration.load_images(dataset, NETWORK, 500)) == 64
