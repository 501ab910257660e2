"""Files of other runtimes are told by their names, and loaded by them."""

import numpy as np
import pytest
import quarters

from keras_squeezenet import runtimes
from keras_squeezenet.export import litert
from keras_squeezenet.export import saved_model


def test_a_file_is_told_by_its_suffix_and_a_folder_by_a_file_in_it(tmp_path):
    loaders = [runtimes.find(name) for name in ("a.tflite", "a.onnx")]
    for name in ("saved_model.pb", "model.xml"):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        assert runtimes.find(str(folder)) is None
        (folder / name).touch()
        loaders.append(runtimes.find(str(folder)))
    assert None not in loaders
    assert len(set(loaders)) == 4


def test_a_folder_is_told_by_its_files_whatever_its_name(tmp_path):
    folder = tmp_path / "a.tflite"
    folder.mkdir()
    (folder / "model.xml").touch()
    openvino = runtimes.find(str(folder))
    (folder / "saved_model.pb").touch()
    saved_model = runtimes.find(str(folder))
    assert saved_model is runtimes.FOLDERS["saved_model.pb"]
    assert openvino is runtimes.FOLDERS["model.xml"]


@pytest.mark.parametrize("name", ["a.keras", "a.sqz", "imagenet", "tflite"])
def test_what_keras_runs_has_no_runtime(name):
    assert runtimes.find(name) is None


def test_networks_of_two_runtimes_answer_alike(make_model, tmp_path):
    model = make_model()
    images = quarters.make_images(3, seed=0)[0].astype("float32")
    (tmp_path / "a.tflite").write_bytes(litert.convert_float32(model))
    saved_model.save(model, tmp_path / "folder")
    for name in ("a.tflite", "folder"):
        path = str(tmp_path / name)
        network = runtimes.find(path)(path, None)
        assert network.shape[1:] == model.input_shape[1:]
        np.testing.assert_allclose(
            network.function(images),
            model.predict_on_batch(images),
            rtol=1e-4,
            atol=1e-6,
        )


def test_a_damaged_file_is_named(tmp_path):
    path = str(tmp_path / "a.tflite")
    with open(path, "w") as file:
        file.write("no network")
    with pytest.raises(
        ValueError, match="a.tflite cannot be loaded as a LiteR"
    ):
        runtimes.find(path)(path, None)
