import dataclasses

import numpy as np
import pytest
import quarters

from keras_squeezenet import architecture
from keras_squeezenet import graph
from keras_squeezenet.compression import channels
from keras_squeezenet.compression import filter_costs


def counts(model):
    traced = channels.trace(graph.describe(model))
    return traced.counts(np.full(len(traced.removable), True))


@pytest.mark.parametrize("bypass", [None, "complex"])
def test_whole_networks_cost_what_the_closed_forms_say(bypass):
    model = quarters.make_squeezenet(bypass=bypass)
    config = dataclasses.replace(quarters.TINY, bypass=bypass)
    description = graph.describe(model)
    macs = filter_costs.total(filter_costs.macs(description), counts(model))
    assert macs == architecture.count_macs(
        config, quarters.SIDE, quarters.CLASSES
    )
    parameters = filter_costs.parameters(description)
    assert filter_costs.total(parameters, counts(model)) == (
        model.count_params()
    )


def test_one_layer_costs_its_window_at_every_position():
    description = graph.describe(quarters.make_squeezenet())
    # Images of 16x16, pooled once before.
    assert filter_costs.macs(description).layer("fire2_expand3x3", 5, 7) == (
        8 * 8 * 9 * 5 * 7
    )
    parameters = filter_costs.parameters(description)
    assert parameters.layer("fire2_expand3x3", 5, 7) == 9 * 5 * 7 + 7
