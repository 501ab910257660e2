import importlib
import importlib.util
import re

import pytest

from keras_squeezenet.export import formats
from keras_squeezenet.utils import extras


@pytest.mark.parametrize(
    "format", formats.FORMATS.values(), ids=formats.FORMATS
)
def test_format_has_a_module_that_writes_and_loads_it(format):
    for package in format.packages:
        if not importlib.util.find_spec(package):
            pytest.skip(f"{package} is not installed")
    module = importlib.import_module(f"keras_squeezenet.export.{format.module}")
    assert callable(getattr(module, f"write_{format.name}"))
    assert callable(module.load)
    assert set(format.packages) <= set(extras.EXTRAS)
    assert format.summary and not format.summary.endswith(".")


@pytest.mark.parametrize(
    "format", formats.FORMATS.values(), ids=formats.FORMATS
)
def test_formats_in_integers_may_differ_from_the_keras_model(format):
    is_rounded = format.name.endswith(("int8", "float16"))
    assert (format.tolerance is None) == is_rounded
    assert format.needs_calibration == format.name.endswith("int8")


def test_files_have_different_names():
    names = [format.file_name for format in formats.FORMATS.values()]
    assert len(set(names)) == len(names)


def test_forms_are_found_in_the_order_of_their_names():
    found = formats.choose(["saved_model", "litert", "saved_model"], False)
    assert [format.name for format in found] == ["saved_model", "litert"]
    assert formats.choose("litert", False) == [formats.FORMATS["litert"]]


def test_format_in_integers_needs_calibration():
    (format,) = formats.choose("litert_int8", True)
    assert format.needs_calibration
    with pytest.raises(ValueError, match="litert_int8 .*: 100 to 500 photo"):
        formats.choose(["litert", "litert_int8"], False)


def test_unknown_format_names_the_known_ones():
    known = re.escape(", ".join(formats.FORMATS))
    with pytest.raises(
        ValueError, match=f"{known}.*Received: 'litert_int9'. Did you mean 'lit"
    ):
        formats.choose(["litert", "litert_int9"], True)
    with pytest.raises(ValueError, match=f"{known}. Received: none"):
        formats.choose([], True)
