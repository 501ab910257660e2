"""The examples in docstrings give what they show."""

import doctest

import numpy as np
import pytest

from keras_squeezenet import models
from keras_squeezenet import squeezenet
from keras_squeezenet.utils import suggestions


@pytest.mark.parametrize(
    "module", [models, squeezenet, suggestions], ids=lambda it: it.__name__
)
def test_examples_give_what_they_show(module):
    found = doctest.testmod(
        module,
        extraglobs={"models": models, "np": np},
        optionflags=doctest.NORMALIZE_WHITESPACE,
    )
    assert found.attempted
    assert not found.failed
