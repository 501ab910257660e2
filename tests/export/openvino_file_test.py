import os
import subprocess
import sys

import numpy as np
import pytest

from keras_squeezenet import metadata
from keras_squeezenet.export import photograph_input

openvino_file = pytest.importorskip(
    "keras_squeezenet.export.openvino_file",
    reason="the extra `openvino` is not installed",
)


@pytest.fixture(scope="module")
def model(pruned):
    """Takes photographs."""
    names = ["great white", "b\nc", "d", "e"]
    metadata.attach(pruned, metadata.describe(pruned, "caffe", names))
    return photograph_input.photograph_input(pruned)


@pytest.fixture(scope="module")
def folders(model, noisy_colors, tmp_path_factory):
    folder = tmp_path_factory.mktemp("openvino")
    found = {"float32": folder / "a", "int8": folder / "b"}
    openvino_file.write_openvino(model, found["float32"])
    openvino_file.write_openvino_int8(model, found["int8"], noisy_colors)
    return found


@pytest.mark.parametrize(
    ("kind", "tolerance"), [("float32", 1e-6), ("int8", 0.03)]
)
def test_outputs_are_those_of_the_model(
    kind, tolerance, folders, model, noisy_colors, require_outputs
):
    run = openvino_file.load(folders[kind])
    require_outputs(run, model, noisy_colors, tolerance)


def test_outputs_of_another_batch_stay_as_they_were(folders, noisy_colors):
    run = openvino_file.load(folders["float32"])
    first = run(noisy_colors[:1])
    before = first.copy()
    run(noisy_colors[1:2])
    np.testing.assert_array_equal(first, before)


def test_input_and_output_are_named(folders):
    import openvino

    read = openvino.Core().read_model(folders["int8"] / "model.xml")
    assert read.input(0).get_any_name() == "images"
    assert read.output(0).get_any_name() == "probabilities"
    assert read.input(0).element_type == openvino.Type.u8
    labels = read.get_rt_info(["model_info", "labels"]).astype(str)
    assert labels == "great_white b\\nc d e"
    _, shape = openvino_file.load_shaped(folders["int8"])
    assert shape == (None, 8, 8, 3)


def test_first_kernel_has_7_bits_behind_the_normalization(
    model, noisy_colors, largest_openvino_codes
):
    largest = largest_openvino_codes(model, noisy_colors)
    assert largest.pop("conv1") <= 64
    assert photograph_input.NORMALIZE not in largest
    assert min(largest.values()) > 120


@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_metadata_are_in_the_folder(kind, folders, model):
    found = metadata.read(folders[kind])
    assert found == metadata.of(model)
    assert (found.normalization, found.image_size) == ("raw", 8)


def test_quantization_is_quiet(model, noisy_colors, capfd, tmp_path):
    openvino_file.write_openvino_int8(model, tmp_path / "a", noisy_colors[:2])
    assert capfd.readouterr() == ("", "")


def test_calibration_without_an_image_is_refused(model, tmp_path):
    with pytest.raises(ValueError, match="at least one image"):
        openvino_file.write_openvino_int8(
            model, tmp_path / "a", np.zeros((0, 8, 8, 3))
        )


@pytest.mark.slow
def test_nothing_is_sent_to_the_authors_of_openvino(tmp_path):
    # Their telemetry writes its identifier into the home directory.
    environment = {**os.environ, "HOME": str(tmp_path)}
    environment.pop("CI", None)
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    code = (
        "import os\n"
        "from keras_squeezenet.export import openvino_file\n"
        "openvino_file.import_nncf()\n"
        "assert 'CI' not in os.environ\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert not (tmp_path / "intel").exists()
