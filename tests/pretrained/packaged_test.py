import dataclasses

import numpy as np
import pytest

from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNet1_0
from keras_squeezenet import SqueezeNet1_1
from keras_squeezenet import classifier
from keras_squeezenet import codec
from keras_squeezenet import data
from keras_squeezenet import training
from keras_squeezenet.pretrained import packaged

CIFAR10 = packaged.WEIGHTS["cifar10"]


@pytest.mark.parametrize("own", packaged.WEIGHTS.values(), ids=str)
def test_file_is_of_the_network(own):
    model = codec.load(own.path)
    assert model.input_shape == (None, own.image_size, own.image_size, 3)
    assert model.output_shape == (None, own.classes)
    assert len(codec.read_labels(own.path)) == own.classes


def test_builder_gives_the_network_that_was_trained():
    model = SqueezeNet1_1(weights="cifar10", classes=10)
    expected = codec.load(CIFAR10.path)
    noise = np.random.default_rng(0).normal(0, 60, (2, 32, 32, 3))
    noise = noise.astype("float32")
    assert model.input_shape == (None, 32, 32, 3)
    np.testing.assert_allclose(
        model.predict_on_batch(noise),
        expected.predict_on_batch(noise),
        atol=1e-5,
    )


def test_features_take_other_sizes():
    model = SqueezeNet(
        include_top=False,
        weights="cifar10",
        input_shape=(48, 48, 3),
        pooling="avg",
    )
    assert model.output_shape == (None, 512)


def test_own_classes_start_from_its_features():
    model = training.build(32, 4, weights="cifar10")
    source = codec.load(CIFAR10.path)
    for layer in model.layers:
        if layer.weights and layer.name != "conv10":
            np.testing.assert_array_equal(
                layer.get_weights()[0],
                source.get_layer(layer.name).get_weights()[0],
            )
    assert model.output_shape == (None, 4)


def test_other_classes_are_refused():
    with pytest.raises(ValueError, match="`classes` should be 10.*=1000"):
        SqueezeNet(weights="cifar10")


def test_other_network_is_refused():
    with pytest.raises(ValueError, match="need config='1.1'.*config='1.0'"):
        SqueezeNet1_0(weights="cifar10", classes=10)
    config = dataclasses.replace(CIFAR10.config, pools=("conv1",))
    with pytest.raises(ValueError, match="Received: config=SqueezeNetConfig"):
        SqueezeNet(weights="cifar10", classes=10, config=config)
    model = SqueezeNet(weights="cifar10", classes=10, config=CIFAR10.config)
    assert model.output_shape == (None, 10)


def test_missing_file_is_an_error_that_names_it(monkeypatch, tmp_path):
    monkeypatch.setattr(packaged, "FOLDERS", (tmp_path,))
    with pytest.raises(FileNotFoundError, match="cifar10.*Install it again"):
        SqueezeNet(weights="cifar10", classes=10)


def test_weights_are_a_few_megabytes():
    sizes = [path.stat().st_size for path in packaged.FOLDERS[-1].glob("*")]
    assert sum(sizes) <= 6_000_000


def test_classifier_knows_the_classes_by_name():
    network = classifier.load("cifar10")
    assert (network.image_size, len(network.classes)) == (32, 10)
    assert network.class_of(0) == (None, "airplane")


def test_accuracy_is_that_of_the_card(shared_data):
    cifar10 = data.load("cifar10", data_dir=shared_data / "tfds")
    network = classifier.load("cifar10")
    images, labels = next(iter(cifar10.test.batch(1000)))
    predicted = network.predict(images.numpy()).argmax(axis=-1)
    # The first 1,000 of 10,000: within three standard errors of 0.88.
    assert abs(np.mean(predicted == labels.numpy()) - 0.88) < 0.03
