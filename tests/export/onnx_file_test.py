import logging

import numpy as np
import pytest

from keras_squeezenet import metadata
from keras_squeezenet.export import photograph_input

onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
onnx_file = pytest.importorskip(
    "keras_squeezenet.export.onnx_file",
    reason="the extra `onnx` is not installed",
)


@pytest.fixture(scope="module")
def model(pruned):
    """Takes photographs."""
    metadata.attach(pruned, metadata.describe(pruned, "caffe", "abcd"))
    return photograph_input.photograph_input(pruned)


@pytest.fixture(scope="module")
def paths(model, noisy_colors, tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    found = {"float32": folder / "a.onnx", "int8": folder / "b.onnx"}
    onnx_file.write_onnx(model, found["float32"])
    onnx_file.write_onnx_int8(model, found["int8"], noisy_colors)
    return found


@pytest.mark.parametrize(
    ("kind", "tolerance"), [("float32", 1e-6), ("int8", 0.03)]
)
def test_outputs_are_those_of_the_model(
    kind, tolerance, paths, model, noisy_colors, require_outputs
):
    run = onnx_file.load(paths[kind])
    require_outputs(run, model, noisy_colors, tolerance)


def test_numbers_are_rounded_and_clipped_to_uint8(paths):
    run = onnx_file.load(paths["float32"])
    whole = np.full((1, 8, 8, 3), [0, 100, 255], "float32")
    other = np.full((1, 8, 8, 3), [-3, 99.6, 270], "float32")
    np.testing.assert_array_equal(run(other), run(whole))


def test_input_has_its_shape_and_any_batch(paths):
    _, shape = onnx_file.load_shaped(paths["int8"])
    assert shape == (None, 8, 8, 3)


@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_metadata_are_read_from_the_file(kind, paths):
    assert metadata.read(paths[kind]) == metadata.Metadata(
        "raw", 8, 3, ("a", "b", "c", "d")
    )


def test_kernels_are_those_of_the_model(paths, model):
    found = onnx_file.read_kernels(paths["float32"])
    codes = onnx_file.read_kernels(paths["int8"])
    kernels = {
        layer.name: np.array(layer.kernel)
        for layer in model.layers
        if layer.weights
    }
    assert set(found) == set(codes) == set(kernels)
    normalize = photograph_input.NORMALIZE
    np.testing.assert_array_equal(codes.pop(normalize), kernels[normalize])
    for name, array in codes.items():
        kernel = kernels[name]
        np.testing.assert_array_equal(found[name], kernel)
        assert array.dtype == "int8"
        if kernel.ndim == 4:
            # The code of the largest weight of each output channel.
            highest = 64 if name == "conv1" else 127
            scale = abs(kernel).max(axis=(0, 1, 2)) / highest
            np.testing.assert_allclose(array, kernel / scale, atol=0.501)


def test_probabilities_are_not_quantized(paths):
    *_, last = onnx.load(paths["int8"]).graph.node
    assert (last.op_type, list(last.output)) == ("Softmax", ["probabilities"])


def test_equal_models_make_equal_files(paths, model, noisy_colors, tmp_path):
    onnx_file.write_onnx_int8(model, tmp_path / "again.onnx", noisy_colors)
    again = (tmp_path / "again.onnx").read_bytes()
    assert again == paths["int8"].read_bytes()


def test_quantization_is_quiet(model, noisy_colors, capfd, tmp_path):
    handlers = logging.getLogger().handlers[:]
    onnx_file.write_onnx_int8(model, tmp_path / "a.onnx", noisy_colors[:2])
    assert logging.getLogger().handlers == handlers
    assert capfd.readouterr() == ("", "")


def test_calibration_without_an_image_is_refused(model, tmp_path):
    with pytest.raises(ValueError, match="at least one image"):
        onnx_file.write_onnx_int8(
            model, tmp_path / "a.onnx", np.zeros((0, 8, 8, 3))
        )
    assert not list(tmp_path.iterdir())


def test_file_with_two_outputs_is_refused(paths, tmp_path):
    built = onnx.load(paths["float32"])
    other = built.graph.output.add()
    other.CopyFrom(built.graph.output[0])
    other.name = built.graph.node[2].output[0]
    other.type.tensor_type.ClearField("shape")
    onnx.save(built, tmp_path / "two.onnx")
    with pytest.raises(ValueError, match="one input and one output. Received"):
        onnx_file.load(tmp_path / "two.onnx")
