import keras
import numpy as np
import pytest

from keras_squeezenet import packing
from keras_squeezenet.codec import sqz
from keras_squeezenet.packing import packer


@pytest.fixture
def model(trained_model):
    return trained_model


@pytest.fixture
def images(test_images):
    return test_images


@pytest.fixture(scope="module")
def by_size(trained_model, test_images):
    return packing.pack(
        trained_model,
        test_images,
        target_bytes=12_000,
        class_names=list("abcd"),
    )


def measured(model, packed, images):
    before = model.predict_on_batch(images).astype("float64")
    after = packed.model.predict_on_batch(images)
    ratio = np.log(before + 1e-12) - np.log(after + 1e-12)
    return np.mean(np.sum(before * ratio, axis=1))


def test_file_is_as_large_as_is_asked_for(by_size, model):
    assert 0.97 * 12_000 < len(by_size.content) <= 12_000
    assert len(by_size.content) == by_size.point.bytes
    assert 4 * model.count_params() > 5 * len(by_size.content)


def test_divergence_is_that_of_the_file(by_size, model, images):
    held = images[4::5]
    kl = measured(model, by_size, held)
    assert kl == pytest.approx(by_size.point.kl, abs=1e-5)
    assert by_size.point.kl < 0.1


def test_divergence_is_as_large_as_is_asked_for(model, images):
    packed = packing.pack(model, images, max_kl=0.01)
    assert 0 < packed.point.kl <= 0.01
    # The next file that was looked at keeps less.
    following = min(
        (p for p in packed.curve if p.lambda_ > packed.point.lambda_),
        key=lambda point: point.lambda_,
    )
    assert following.kl > 0.01


def test_curve_goes_from_small_to_large(by_size):
    sizes = [point.bytes for point in by_size.curve]
    assert sizes == sorted(sizes)
    assert by_size.point in by_size.curve
    assert by_size.curve[0].estimated_kl > by_size.curve[-1].estimated_kl


def test_layers_are_those_of_the_file(by_size):
    _, arrays = sqz.load(by_size.content)
    for layer in by_size.layers:
        codes = arrays[f"{layer['name']}/kernel"].codes
        assert layer["weights"] == codes.size
        assert layer["density"] == np.mean(codes != 0)
        assert layer["distinct_values"] == len(np.unique(codes))
        assert layer["bytes"] >= layer["entropy_bytes"]
    total = sum(layer["bytes"] for layer in by_size.layers)
    assert 0.6 < total / len(by_size.content) < 1


def test_model_stays_as_it_is(model, images):
    before = model.get_weights()
    packing.pack(model, images[:10], max_kl=0.5)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_transfer_model_is_packed(make_model, images, randomize):
    base = make_model()
    pooled = keras.layers.GlobalAveragePooling2D()(
        base.get_layer("fire9_concat").output
    )
    head = keras.layers.Dense(3, activation="softmax", name="head")
    model = randomize(keras.Model(base.input, head(pooled)))
    head.kernel.assign(head.kernel * 0.01)
    packed = packing.pack(model, images[:20], max_kl=0.05)
    kl = measured(model, packed, images[4:20:5])
    assert kl == pytest.approx(packed.point.kl, abs=1e-5)
    assert len(packed.content) < model.count_params()


def test_bound_that_cannot_be_kept_is_an_error(model, images):
    with pytest.raises(ValueError, match="no file is within target_bytes=100:"):
        packing.pack(model, images, target_bytes=100)


@pytest.mark.parametrize(
    "bounds", [{"target_bytes": 1000, "max_kl": 0.1}], ids=str
)
def test_one_bound_is_expected(bounds, model, images):
    with pytest.raises(ValueError, match="one of `target_bytes` and `max_kl`"):
        packing.pack(model, images, **bounds)


def test_too_few_images_are_refused(model, images):
    with pytest.raises(ValueError, match="at least 10 images.*Received: 9"):
        packing.pack(model, images[:9], max_kl=0.1)


@pytest.mark.parametrize(
    "bounds", [{"target_bytes": 6_000}, {"max_kl": 0.3}], ids=str
)
def test_finetuning_keeps_to_the_bound(bounds, model, images):
    packed = packing.pack(model, images, finetune=20, **bounds)
    before, *rest = packed.code_training
    assert before in packed.curve
    assert len(rest) == packer.CODE_TRAINING_POINTS
    assert packed.point in packed.code_training
    assert packer.Bound(**bounds).admits(packed.point)
    assert (packed.point.kl, packed.point.bytes) <= (before.kl, before.bytes)
    assert len(packed.content) == packed.point.bytes
    kl = measured(model, packed, images[4::5])
    assert kl == pytest.approx(packed.point.kl, abs=1e-5)
