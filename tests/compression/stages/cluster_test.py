import numpy as np
import pytest

from keras_squeezenet.compression import Recipe
from keras_squeezenet.compression import checks
from keras_squeezenet.compression import compression_recipe
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression import tfmot
from keras_squeezenet.compression.stages import cluster


def zero_half(model):
    """Sets the smaller half of every kernel but conv1's to zero."""
    for layer in model.layers:
        if layer.weights and layer.name != "conv1":
            kernel = np.array(layer.kernel)
            kernel[np.abs(kernel) < np.median(np.abs(kernel))] = 0
            layer.kernel.assign(kernel)


def run(model, bits, fit, steps, **options):
    stage = cluster.Cluster(model, Recipe(bits=bits, **options))
    trainee = stage.wrap(steps, [])
    fit(trainee, steps)
    stage.finish(trainee)


@pytest.mark.parametrize(
    "initialization",
    [
        "kmeans++",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in compression_recipe.INITIALIZATIONS
            if name != "kmeans++"
        ),
    ],
)
def test_every_kernel_gets_a_codebook_and_keeps_its_zeros(
    initialization, make_model, fit
):
    model = make_model()
    zero_half(model)
    before = tf_keras_twin.kernels(model)
    bits = {"conv10": 2, "*": 3}
    run(model, bits, fit, steps=4, cluster_initialization=initialization)
    kernels = tf_keras_twin.kernels(model)
    assert len(np.unique(kernels["conv10"])) <= 4
    for name, kernel in kernels.items():
        assert len(np.unique(kernel)) <= 8
        assert not np.any(kernel[before[name] == 0])
    # The shared values were trained: they have changed.
    assert not np.isin(kernels["conv1"], before["conv1"]).any()


def test_kernel_smaller_than_its_codebook_is_left_alone(make_model, fit):
    model = make_model(base_e=4, incr_e=4)
    before = tf_keras_twin.kernels(model)
    assert before["fire2_expand1x1"].size == 2
    run(model, {"*": 3}, fit, steps=1)
    assert len(np.unique(tf_keras_twin.kernels(model)["fire2_expand1x1"])) == 2


@pytest.mark.parametrize("kept", [0, 1, 4])
def test_sparse_kernel_with_fewer_weights_than_clusters_keeps_its_zeros(
    kept, make_model, fit
):
    model = make_model()
    layer = model.get_layer("fire2_squeeze1x1")
    kernel = np.zeros(layer.kernel.shape, "float32")
    kernel.flat[:kept] = np.arange(1, kept + 1) / 8
    layer.kernel.assign(kernel)
    run(model, {"*": 5}, fit, steps=1)
    after = tf_keras_twin.kernels(model)["fire2_squeeze1x1"]
    assert not np.any(after[kernel == 0])


def test_codebook_that_grew_is_an_error(make_model, fit, monkeypatch):
    """Further training of a stripped model dissolves the shared values."""
    strip = tfmot.strip_clustering

    def strip_and_train(model):
        stripped = strip(model)
        fit(stripped, 1)
        return stripped

    monkeypatch.setattr(tfmot, "strip_clustering", strip_and_train)
    model = make_model()
    before = model.get_weights()
    with pytest.raises(checks.CheckError, match="at most 8 distinct values"):
        run(model, {"*": 3}, fit, steps=1)
    np.testing.assert_equal(before, model.get_weights())
