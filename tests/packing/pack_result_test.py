import json

import numpy as np

from keras_squeezenet import codec
from keras_squeezenet.codec import sqz


def test_layers_are_those_of_the_file(by_size):
    _, arrays = sqz.load(by_size.content)
    for layer in by_size.layers:
        codes = arrays[f"{layer['name']}/kernel"].codes
        assert layer["weights"] == codes.size
        assert layer["density"] == np.mean(codes != 0)
        assert layer["distinct_values"] == len(np.unique(codes))
        assert layer["bytes"] >= layer["entropy_bytes"]
    total = sum(layer["bytes"] for layer in by_size.layers)
    assert 0.2 < total / len(by_size.content) < 1


def test_result_is_json(by_size):
    found = by_size.to_json()
    assert json.loads(json.dumps(found)) == found
    assert found["bytes"] == len(by_size.content)
    assert found["lambda"] == by_size.point.lambda_
    assert len(found["curve"]) == len(by_size.curve)
    assert found["code_training"] == []


def test_names_are_in_the_file(by_size, small_model, tmp_path):
    by_size.save(tmp_path / "model.sqz")
    assert codec.read_labels(tmp_path / "model.sqz") == list("abcd")
    assert by_size.model.name == small_model.name
    assert [layer.name for layer in by_size.model.layers] == [
        layer.name for layer in small_model.layers
    ]
