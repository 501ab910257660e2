import dataclasses

import keras
import numpy as np
import pytest

from keras_squeezenet import graph
from keras_squeezenet.compression import channels
from keras_squeezenet.compression import filter_costs
from keras_squeezenet.compression import filter_selection
from keras_squeezenet.packing.rate_distortion import Hessian


def make(middle=(4, 4)):
    """Return a chain of three layers: its description and its kernels."""
    x = keras.Input((4, 4, 3))
    a = keras.layers.Conv2D(middle[0], 1, name="a")(x)
    b = keras.layers.Conv2D(middle[1], 3, padding="same", name="b")(a)
    model = keras.Model(x, keras.layers.Conv2D(2, 1, name="c")(b))
    rng = np.random.default_rng(0)
    kernels = {
        name: rng.normal(size=model.get_layer(name).kernel.shape)
        for name in "abc"
    }
    return graph.describe(model), kernels


def make_hessians(kernels, matrices=None):
    return {
        name: Hessian(
            (matrices or {}).get(
                name, np.eye(kernel[..., 0].size + 1, dtype="float64")
            ),
            np.full(kernel.shape[-1], 1 / kernel.shape[-1]),
        )
        for name, kernel in kernels.items()
    }


def select(description, kernels, hessians, budget, cost=None):
    cost = cost or filter_costs.macs(description)
    traced = channels.trace(description)
    found = filter_selection.select(traced, kernels, hessians, cost, budget)
    return traced, found


def test_the_filter_whose_outputs_matter_least_goes_first():
    description, kernels = make()
    kernels["b"][:, :, 2] *= 0.01
    kernels["c"][:, :, 1] *= 0.02
    cost = filter_costs.macs(description)
    traced = channels.trace(description)
    full = filter_costs.total(
        cost, traced.counts(np.full(len(traced.removable), True))
    )
    _, found = select(description, kernels, make_hessians(kernels), full - 1)
    assert np.flatnonzero(~found).tolist() == [traced.outputs["a"][2]]
    _, found = select(
        description, kernels, make_hessians(kernels), full - 16 * 39 - 1
    )
    assert set(np.flatnonzero(~found)) == {
        traced.outputs["a"][2],
        traced.outputs["b"][1],
    }


def test_distortion_is_the_least_that_other_weights_can_reach():
    """Beside a brute-force search for the compensating weights."""
    description, kernels = make((3, 4))
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(200, 28))
    # The first input of `b` is nearly the sum of the others.
    inputs[:, :27:3] = inputs[:, 1:27:3] + inputs[:, 2:27:3]
    inputs += 0.1 * rng.normal(size=inputs.shape)
    matrix = inputs.T @ inputs
    consumer = filter_selection._Consumer(
        kernels["b"], make_hessians(kernels, {"b": matrix})["b"]
    )
    damped = matrix + filter_selection.DAMPING * np.trace(matrix) / 28 * np.eye(
        28
    )
    weights = np.vstack([kernels["b"].reshape(27, 4), np.zeros(4)])
    for index in range(3):
        gone = np.arange(27).reshape(9, 3)[:, index]
        left = np.setdiff1d(np.arange(28), gone)
        # The best errors of the weights that are left.
        errors = np.zeros((28, 4))
        errors[gone] = -weights[gone]
        errors[left] = -np.linalg.solve(
            damped[np.ix_(left, left)],
            damped[np.ix_(left, gone)] @ errors[gone],
        )
        expected = 0.5 * np.einsum("io,ij,jo->", errors, damped, errors) / 4
        assert consumer.distortions[index] == pytest.approx(expected)
    consumer.remove(0)
    assert np.isinf(consumer.distortions[0])
    # Two removals one after the other are as good as both at once.
    first = consumer.distortions[1]
    gone = np.arange(27).reshape(9, 3)[:, :2].ravel()
    left = np.setdiff1d(np.arange(28), gone)
    errors = np.zeros((28, 4))
    errors[gone] = -weights[gone]
    errors[left] = -np.linalg.solve(
        damped[np.ix_(left, left)], damped[np.ix_(left, gone)] @ errors[gone]
    )
    both = 0.5 * np.einsum("io,ij,jo->", errors, damped, errors) / 4
    alone = filter_selection._Consumer(
        kernels["b"], make_hessians(kernels, {"b": matrix})["b"]
    )
    assert alone.distortions[0] + first == pytest.approx(both)


def test_each_layer_keeps_a_filter():
    description, kernels = make()
    traced, found = select(description, kernels, make_hessians(kernels), 0)
    kept = traced.counts(found)
    assert kept == {"a": (3, 1), "b": (1, 1), "c": (1, 2)}
    cost = filter_costs.macs(description)
    least = filter_selection.least_cost(traced, cost)
    assert filter_costs.total(cost, kept) == least


def test_blocks_of_channels_are_removed_as_a_whole():
    """A runtime that computes four outputs at once gains nothing by three."""
    description, kernels = make((8, 8))

    @dataclasses.dataclass
    class Blocks:
        rest: float = 1.0
        blocks: tuple = (1, 4)

        def layer(self, name, in_channels, out_channels):
            return in_channels * -(-out_channels // 4)

    cost = Blocks()
    traced = channels.trace(description)
    everything = np.full(len(traced.removable), True)
    full = filter_costs.total(cost, traced.counts(everything))
    assert full == 1 + 3 * 2 + 8 * 2 + 8 * 1
    _, found = select(
        description, kernels, make_hessians(kernels), full - 8, cost
    )
    counts = traced.counts(found)
    assert filter_costs.total(cost, counts) <= full - 8
    assert counts["b"][1] == 4


def test_layers_with_more_at_stake_keep_more_filters():
    description, kernels = make((8, 8))
    matrices = {"c": 1e4 * np.eye(9)}
    cost = filter_costs.macs(description)
    traced = channels.trace(description)
    everything = np.full(len(traced.removable), True)
    full = filter_costs.total(cost, traced.counts(everything))
    _, found = select(
        description, kernels, make_hessians(kernels, matrices), full / 2
    )
    counts = traced.counts(found)
    assert counts["b"][1] > counts["a"][1]
