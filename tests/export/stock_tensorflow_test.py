"""SavedModel folders in processes with nothing but TensorFlow."""

import json
import subprocess
import sys

import numpy as np
import pytest

from keras_squeezenet import classifier
from keras_squeezenet import models
from keras_squeezenet.data import image_reader
from keras_squeezenet.export import saved_model

pytestmark = pytest.mark.slow

# Use the loader of TensorFlow 2, and that of TensorFlow 1, which servers use.
PROGRAM = """
import json
import sys

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
for name, (folder, signature) in json.load(open("jobs.json")).items():
    batches = list(np.load(f"{name}.npz").values())
    serve = tf.saved_model.load(folder).signatures[signature]
    second = [
        next(iter(serve(images=tf.constant(batch)).values())).numpy()
        for batch in batches
    ]
    with v1.Session(graph=tf.Graph()) as session:
        meta_graph = v1.saved_model.load(session, ["serve"], folder)
        definition = meta_graph.signature_def[signature]
        (output,) = definition.outputs.values()
        images = definition.inputs["images"].name
        first = [session.run(output.name, {images: x}) for x in batches]
    np.savez(
        f"{name}_outputs.npz",
        first=np.concatenate(first),
        second=np.concatenate(second),
    )
for name in ("keras_squeezenet", "tensorflow_model_optimization", "tf_keras"):
    assert name not in sys.modules, name
"""


def run_elsewhere(folder, jobs):
    """Run signatures of SavedModels in one new process.

    Args:
        folder: `pathlib.Path` of a folder for the files of the process.
        jobs: `{name: (folder, signature, batches)}`.

    Returns:
        `{name: outputs}`, the outputs of both loaders concatenated.
    """
    described = {}
    for name, (path, signature, batches) in jobs.items():
        described[name] = str(path), signature
        np.savez(folder / f"{name}.npz", *batches)
    (folder / "jobs.json").write_text(json.dumps(described))
    program = [sys.executable, "-c", PROGRAM]
    subprocess.run(program, check=True, cwd=folder, timeout=300)
    return {name: np.load(folder / f"{name}_outputs.npz") for name in jobs}


def assert_equal(outputs, expected, atol):
    for loader in ("first", "second"):
        np.testing.assert_allclose(outputs[loader], expected, atol=atol)


@pytest.fixture(scope="module")
def outputs(packed_models, quantized_folder, calibration, tmp_path_factory):
    jobs = {
        name: (packed.folder, "serving_default", [packed.images])
        for name, packed in packed_models.items()
    }
    batches = [calibration[0][:1], calibration[0][1:]]
    jobs["quantized"] = quantized_folder, "serving_default", batches
    return run_elsewhere(tmp_path_factory.mktemp("stock"), jobs)


def test_packed_models_need_tensorflow_only(outputs, packed_models):
    for name, packed in packed_models.items():
        assert_equal(outputs[name], packed.expected, 1e-5)


def test_quantized_model_needs_tensorflow_only(outputs, quantized, calibration):
    expected = quantized.predict_on_batch(calibration[0])
    assert expected.std() > 0.1
    assert_equal(outputs["quantized"], expected, 1e-6)


@pytest.fixture(scope="module")
def photograph_paths(photographs):
    """A wide photograph and a tall one."""
    ratios = {}
    for path in photographs[:20]:
        height, width, _ = image_reader.read(path).shape
        ratios[path] = height / width
    wide, tall = (choose(ratios, key=ratios.get) for choose in (min, max))
    assert ratios[wide] < 0.9 < 1.1 < ratios[tall]
    return [wide, tall]


def test_photographs_get_the_outputs_of_predict(
    shared_data, photograph_paths, tmp_path
):
    path = shared_data / "weights" / "compressed_SqueezeNet.net"
    model = models.load(path)
    images = [image_reader.read(path)[None] for path in photograph_paths]
    contents = np.array([path.read_bytes() for path in photograph_paths])
    jobs = {}
    for name, is_packed in (("plain", False), ("packed", True)):
        folder = tmp_path / name
        saved_model.save(model, folder, is_packed, raw_images=True)
        jobs[f"{name}_raw"] = folder, "raw_images", images
        jobs[f"{name}_encoded"] = folder, "encoded_images", [contents]
    outputs = run_elsewhere(tmp_path, jobs)
    network = classifier.load(path)
    squares = [network.read(path) for path in photograph_paths]
    expected = network.predict(squares)
    assert expected.max(axis=1).min() > 0.1
    for found in outputs.values():
        assert_equal(found, expected, 1e-5)
