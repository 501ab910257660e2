import dataclasses
import re

import keras
import numpy as np
import pytest
from weight_arrays import assert_same
from weight_arrays import weights_of

from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNet1_0
from keras_squeezenet import SqueezeNet1_1
from keras_squeezenet import architecture
from keras_squeezenet import models
from keras_squeezenet import preprocess_input
from keras_squeezenet.pretrained import readers

BUILDERS = {"1.0": SqueezeNet1_0, "1.1": SqueezeNet1_1}
# Unlike the authors' v1.0, torchvision's has no zeros around conv10.
UNPADDED = dataclasses.replace(architecture.VARIANTS["1.0"], conv10_padding=0)
CONFIGS = {"1.0": UNPADDED, "1.1": architecture.VARIANTS["1.1"]}
MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def torchvision_squeezenet(torch, variant, classes=1000):
    """The modules of torchvision's `squeezenet1_0` and `squeezenet1_1`."""
    nn = torch.nn

    class Fire(nn.Module):
        def __init__(self, channels, squeezed, expanded):
            super().__init__()
            self.squeeze = nn.Conv2d(channels, squeezed, 1)
            self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
            self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

        def forward(self, x):
            x = self.squeeze(x).relu()
            return torch.cat(
                [self.expand1x1(x).relu(), self.expand3x3(x).relu()], 1
            )

    def pool():
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    class SqueezeNet(nn.Module):
        def __init__(self, features):
            super().__init__()
            self.features = nn.Sequential(*features)
            self.classifier = nn.Sequential(
                nn.Dropout(0.5),
                nn.Conv2d(512, classes, 1),
                nn.ReLU(),
                nn.AdaptiveAvgPool2d((1, 1)),
            )

        def forward(self, x):
            return torch.flatten(self.classifier(self.features(x)), 1)

    features = {
        "1.0": lambda: (
            [nn.Conv2d(3, 96, 7, 2), nn.ReLU(), pool()]
            + [Fire(96, 16, 64), Fire(128, 16, 64), Fire(128, 32, 128), pool()]
            + [Fire(256, 32, 128), Fire(256, 48, 192)]
            + [Fire(384, 48, 192), Fire(384, 64, 256), pool()]
            + [Fire(512, 64, 256)]
        ),
        "1.1": lambda: (
            [nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool()]
            + [Fire(64, 16, 64), Fire(128, 16, 64), pool()]
            + [Fire(128, 32, 128), Fire(256, 32, 128), pool()]
            + [Fire(256, 48, 192), Fire(384, 48, 192)]
            + [Fire(384, 64, 256), Fire(512, 64, 256)]
        ),
    }
    return SqueezeNet(features[variant]()).eval()


def with_weights_that_matter(torch, module):
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        kernel = parameter.ndim > 1
        scale = (2 / parameter[0].numel()) ** 0.5 if kernel else 0.5
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data = scale * noise
    return module


@pytest.fixture(scope="module")
def networks(torch):
    return {
        variant: with_weights_that_matter(
            torch, torchvision_squeezenet(torch, variant)
        )
        for variant in BUILDERS
    }


@pytest.fixture(params=["zip", "legacy"])
def save(request, torch, tmp_path):
    def save(module, name="squeezenet.pth"):
        path = tmp_path / name
        torch.save(
            module.state_dict(),
            path,
            _use_new_zipfile_serialization=request.param == "zip",
        )
        return path

    return save


def images(*shape):
    return np.random.default_rng(1).integers(0, 256, shape).astype("float32")


def assert_same_outputs(torch, model, module, rgb):
    x = ((rgb / 255 - MEAN) / STD).astype("float32").transpose(0, 3, 1, 2)
    with torch.no_grad():
        expected = module(torch.tensor(x)).numpy()
    found = keras.ops.convert_to_numpy(model(preprocess_input(rgb)))
    assert found.shape == expected.shape == (len(rgb), 1000)
    assert expected.std() > 0.1
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=1e-5 * expected.max()
    )


@pytest.mark.parametrize("variant", BUILDERS)
@pytest.mark.parametrize("sides", [(227, 227), (64, 90)])
def test_outputs_are_those_of_pytorch(variant, sides, torch, networks, save):
    model = SqueezeNet(
        weights=save(networks[variant]),
        input_shape=(*sides, 3),
        classifier_activation=None,
        config=CONFIGS[variant],
    )
    rgb = images(2, *sides, 3)
    assert_same_outputs(torch, model, networks[variant], rgb)


@pytest.mark.parametrize("variant", BUILDERS)
@pytest.mark.parametrize("by_name", [True, False])
def test_weights_of_the_public_source_need_no_config(
    by_name, variant, torch, networks, save, publish, monkeypatch, tmp_path
):
    path = save(networks[variant])
    publish(path, "imagenet_torchvision", variant)
    monkeypatch.setenv("KERAS_SQUEEZENET_MIRROR", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    model = BUILDERS[variant](
        weights="imagenet_torchvision" if by_name else path,
        input_shape=(64, 64, 3),
        classifier_activation=None,
    )
    rgb = images(2, 64, 64, 3)
    assert_same_outputs(torch, model, networks[variant], rgb)


def test_unknown_file_of_v1_0_gets_the_padding_of_its_config(networks, save):
    arguments = {"weights": save(networks["1.0"]), "input_shape": (64, 64, 3)}
    padded = SqueezeNet1_0(**arguments)
    unpadded = SqueezeNet(**arguments, config=UNPADDED)
    assert padded.get_layer("conv10").output.shape == (None, 5, 5, 1000)
    assert unpadded.get_layer("conv10").output.shape == (None, 3, 3, 1000)
    assert_same(weights_of(padded), weights_of(unpadded))


@pytest.mark.parametrize("variant", BUILDERS)
def test_network_of_an_unknown_file_is_that_of_torchvision(
    variant, networks, save
):
    path = save(networks[variant])
    model = models.load(path, image_size=64)
    assert model.get_layer("conv10").output.shape == (None, 3, 3, 1000)
    expected = SqueezeNet(
        weights=path, input_shape=(64, 64, 3), config=CONFIGS[variant]
    )
    x = preprocess_input(images(2, 64, 64, 3))
    np.testing.assert_array_equal(
        model.predict_on_batch(x), expected.predict_on_batch(x)
    )


@pytest.mark.parametrize("variant", BUILDERS)
def test_every_layer_is_found_and_transposed(variant, networks, save):
    found = readers.read(save(networks[variant]))
    expected = architecture.convolutions(architecture.VARIANTS[variant])
    assert {name: pair[0].shape for name, pair in found.items()} == {
        convolution.name: convolution.kernel_shape for convolution in expected
    }
    saved = networks[variant].state_dict()
    kernel, bias = found["fire9_expand3x3"]
    last = "features.12.expand3x3"
    np.testing.assert_array_equal(bias, saved[f"{last}.bias"])
    np.testing.assert_array_equal(
        kernel.transpose(3, 2, 0, 1), saved[f"{last}.weight"]
    )
    np.testing.assert_array_equal(
        found["conv1"][0][1, 2, 0], saved["features.0.weight"][:, 0, 1, 2]
    )


def test_half_precision_is_loaded_in_single_precision(torch, save):
    module = torchvision_squeezenet(torch, "1.1", classes=10).half()
    found = readers.read(save(module, "half.pt"))
    for name, arrays in found.items():
        assert {array.dtype.name for array in arrays} == {"float32"}, name
    np.testing.assert_array_equal(
        found["conv10"][1], module.state_dict()["classifier.1.bias"].float()
    )


def test_features_alone_are_read(torch, save):
    module = torchvision_squeezenet(torch, "1.1")
    del module.classifier
    path = save(module)
    model = SqueezeNet1_1(include_top=False, weights=path)
    np.testing.assert_array_equal(
        model.get_layer("fire2_squeeze1x1").get_weights()[1],
        module.state_dict()["features.3.squeeze.bias"],
    )
    with pytest.raises(ValueError, match="has no weights for layer 'conv10'"):
        SqueezeNet1_1(weights=path)


@pytest.mark.parametrize(
    "prefix, layers",
    [
        ("", {"conv1": (64, 3, 7, 7), "fc": (1000, 512)}),
        ("features.", {"0": (64, 3, 3, 3), "1.weight_g": (64,)}),
        ("features.", {"0": (64, 3, 3, 3), "0.0": (64, 3, 3, 3)}),
        ("module.", {"features.0": (64, 3, 3, 3)}),
        ("classifier.", {"6": (1000, 4096)}),
    ],
)
def test_other_networks_are_refused(prefix, layers, torch, tmp_path):
    path = tmp_path / "other.pth"
    saved = {
        f"{prefix}{name}.weight": torch.zeros(*shape)
        for name, shape in layers.items()
    }
    torch.save(saved, path)
    message = (
        f"{path} cannot be read as a PyTorch state dict: it must have the keys "
        "of torchvision's SqueezeNets, such as features.0.weight. "
        f"Received: {', '.join(saved)}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        readers.read(path)


def test_weight_without_a_bias_is_refused(torch, tmp_path):
    path = tmp_path / "biasless.pth"
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, path)
    with pytest.raises(ValueError, match="features.0.bias"):
        readers.read(path)
