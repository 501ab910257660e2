import keras
import numpy as np
import pytest
import tf_keras

from keras_squeezenet.training import Recipe
from keras_squeezenet.training import optimizers
from keras_squeezenet.training.epochs import averaged

SGD = Recipe(
    optimizer="sgd", momentum=0, warmup=0, clip_norm=0, schedule="constant"
)


def make_model(*weights):
    """Return a model: the softmax of two inputs times `weights`."""
    inputs = keras.Input((2,))
    dense = keras.layers.Dense(2, use_bias=False, activation="softmax")
    model = keras.Model(inputs, dense(inputs))
    model.set_weights([np.diag(weights).astype("float32")])
    return model


def gradient(weights, images, labels):
    logits = images @ weights
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return images.T @ (probabilities - labels) / len(images)


IMAGES = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 0.0]], "float32")
LABELS = np.eye(2, dtype="float32")[[0, 1, 0, 1]]


@pytest.mark.parametrize(
    "shape,halfway,almost",
    [("constant", 1, 1), ("linear", 0.5, 0.1), ("cosine", 0.5, 0.0245)],
)
@pytest.mark.parametrize("namespace", [keras, tf_keras])
def test_learning_rate_rises_and_falls(namespace, shape, halfway, almost):
    schedule = optimizers.schedule_of(namespace)(
        0.2, 14, warmup_steps=4, shape=shape
    )
    rates = [float(schedule(step)) for step in range(15)]
    np.testing.assert_allclose(
        rates[:5], np.array([1, 2, 3, 4, 5]) * 0.04, rtol=1e-6
    )
    assert rates[9] == pytest.approx(0.2 * halfway, rel=1e-5)
    assert rates[13] == pytest.approx(0.2 * almost, rel=1e-2)
    assert rates[14] == pytest.approx(0.2 * (shape == "constant"), abs=1e-7)


def test_schedule_comes_back_from_its_config():
    kind = optimizers.schedule_of(keras)
    schedule = kind(0.2, 14, warmup_steps=4, shape="linear")
    again = kind.from_config(schedule.get_config())
    assert [float(again(step)) for step in range(14)] == [
        float(schedule(step)) for step in range(14)
    ]


def test_accumulated_batches_make_one_update_of_their_mean():
    recipe = SGD.replace(learning_rate=0.5)
    whole, parts = make_model(1, 2), make_model(1, 2)
    optimizers.compile_for(recipe, whole, steps=1)
    optimizers.compile_for(recipe.replace(accumulation=2), parts, steps=2)
    whole.train_on_batch(IMAGES, LABELS)
    parts.train_on_batch(IMAGES[:2], LABELS[:2])
    np.testing.assert_array_equal(parts.get_weights()[0], np.diag([1, 2]))
    parts.train_on_batch(IMAGES[2:], LABELS[2:])
    np.testing.assert_allclose(
        parts.get_weights()[0], whole.get_weights()[0], rtol=1e-6
    )


def test_schedule_counts_batches_where_they_are_accumulated():
    """Keras's documentation says updates: this test would show a change."""
    recipe = SGD.replace(learning_rate=0.8, accumulation=2, schedule="linear")
    model = make_model(1, 2)
    optimizers.compile_for(recipe, model, steps=8)
    for rate in np.array([7, 5, 3, 1]) / 8 * 0.8:
        before = model.get_weights()[0]
        for _ in range(2):
            model.train_on_batch(IMAGES, LABELS)
        np.testing.assert_allclose(
            model.get_weights()[0],
            before - rate * gradient(before, IMAGES, LABELS),
            rtol=1e-5,
        )


def test_weight_decay_of_sgd_goes_through_the_momentum_as_in_caffe():
    recipe = SGD.replace(momentum=0.9, learning_rate=0.1, weight_decay=0.3)
    model = optimizers.make_trainee(make_model(1, 2), recipe)
    optimizers.compile_for(recipe, model, steps=3)
    weights = np.diag([1.0, 2.0])
    velocity = 0
    for _ in range(3):
        model.train_on_batch(IMAGES, LABELS)
        slope = gradient(weights, IMAGES, LABELS) + 0.3 * weights
        velocity = 0.9 * velocity - 0.1 * slope
        weights = weights + velocity
    np.testing.assert_allclose(model.get_weights()[0], weights, rtol=1e-5)


def test_trainee_has_outputs_of_float32_under_any_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = make_model(1, 2)
    assert model.predict_on_batch(IMAGES).dtype == "bfloat16"
    trainee = optimizers.make_trainee(model, Recipe())
    assert trainee.predict_on_batch(IMAGES).dtype == "float32"


def test_gradients_are_clipped_together():
    model = make_model(1, 2)
    recipe = SGD.replace(learning_rate=1, clip_norm=0.01)
    optimizers.compile_for(recipe, model, steps=1)
    before = model.get_weights()[0]
    model.train_on_batch(IMAGES, LABELS)
    change = model.get_weights()[0] - before
    assert np.linalg.norm(change) == pytest.approx(0.01, rel=1e-4)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_average_of_the_weights_moves_with_the_updates(accumulation):
    recipe = SGD.replace(
        learning_rate=0.5, average=0.75, accumulation=accumulation
    )
    model = make_model(1, 2)
    optimizers.compile_for(recipe, model, steps=6)
    weights = []
    for step in range(3 * accumulation + accumulation - 1):
        model.train_on_batch(IMAGES, LABELS)
        if (step + 1) % accumulation == 0:
            weights.append(model.get_weights()[0])
    # The average starts with the weights after the first update. Later
    # weights enter it over as many batches as are accumulated.
    average = weights[0]
    for weight in weights[1:]:
        average = 0.75 * average + 0.25 * weight
    with averaged(model):
        np.testing.assert_allclose(model.get_weights()[0], average, rtol=1e-5)
    np.testing.assert_array_equal(model.get_weights()[0], weights[-1])


def test_model_without_averages_is_measured_as_it_is():
    model = make_model(1, 2)
    optimizers.compile_for(Recipe(), model, steps=1)
    with averaged(model):
        np.testing.assert_array_equal(model.get_weights()[0], np.diag([1, 2]))


def test_label_smoothing_raises_the_loss_of_what_is_certain():
    model = make_model(20, 20)
    losses = []
    for smoothing in (0.0, 0.2):
        optimizers.compile_for(Recipe(label_smoothing=smoothing), model, 1)
        losses.append(model.test_on_batch(IMAGES[:2], LABELS[:2])[0])
    assert losses[0] == pytest.approx(0, abs=1e-5)
    # A tenth of the label is for the class whose logit is lower by 20.
    assert losses[1] == pytest.approx(0.1 * 20 - 0.1 * 4, rel=0.3)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_trainee_computes_in_another_precision_with_the_same_weights(
    precision, make_model
):
    model = make_model()
    trainee = optimizers.make_trainee(model, Recipe(precision=precision))
    assert trainee.get_layer("conv1").compute_dtype == precision[6:]
    assert trainee.get_layer("predictions").compute_dtype == "float32"
    assert {weight.dtype for weight in trainee.weights} == {"float32"}
    assert model.get_layer("conv1").compute_dtype == "float32"
    np.testing.assert_equal(model.get_weights(), trainee.get_weights())


@pytest.mark.parametrize("namespace", [keras, tf_keras])
def test_classifier_follows_the_schedule_and_decays_its_weights(namespace):
    inputs = namespace.Input((4,))
    outputs = namespace.layers.Dense(3, activation="softmax")(inputs)
    model = namespace.Model(inputs, outputs)
    model.layers[-1].kernel.assign(np.ones((4, 3)))
    optimizers.compile_classifier(namespace, model, 20, 0.3, weight_decay=0.5)
    # No gradient moves the kernel.
    nothing = np.zeros((8, 4), "float32"), np.zeros(8, int)
    expected = 1.0
    # The warm-up takes a tenth of the steps.
    for rate in (0.1, 0.2, 0.3, 0.3 * (1 + np.cos(np.pi / 18)) / 2):
        model.train_on_batch(*nothing)
        expected *= 1 - rate * 0.5
        np.testing.assert_allclose(model.get_weights()[0], expected, rtol=1e-5)
