import numpy as np

from keras_squeezenet.data import path_array


def test_paths_come_back_and_are_selected():
    paths = ["a/b.png", "größer/ü.jpeg", "c"]
    array = path_array.PathArray(paths)
    assert [*array] == paths and len(array) == 3
    assert [*array.select(np.array([True, False, True]))] == ["a/b.png", "c"]
