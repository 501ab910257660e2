import importlib
import importlib.util
import re

import pytest

from keras_squeezenet.export import forms
from keras_squeezenet.utils import extras


@pytest.mark.parametrize("form", forms.FORMS.values(), ids=forms.FORMS)
def test_form_has_a_module_that_writes_and_loads_it(form):
    for package in form.packages:
        if not importlib.util.find_spec(package):
            pytest.skip(f"{package} is not installed")
    module = importlib.import_module(f"keras_squeezenet.export.{form.module}")
    assert callable(getattr(module, f"write_{form.name}"))
    assert callable(module.load)
    assert set(form.packages) <= set(extras.EXTRAS)
    assert form.summary and not form.summary.endswith(".")


@pytest.mark.parametrize("form", forms.FORMS.values(), ids=forms.FORMS)
def test_forms_in_integers_may_differ_from_the_keras_model(form):
    is_rounded = form.name.endswith(("int8", "float16"))
    assert (form.tolerance is None) == is_rounded
    assert form.needs_calibration == form.name.endswith("int8")


def test_files_have_different_names():
    names = [form.file_name for form in forms.FORMS.values()]
    assert len(set(names)) == len(names)


def test_forms_are_found_in_the_order_of_their_names():
    found = forms.choose(["saved_model", "litert", "saved_model"], False)
    assert [form.name for form in found] == ["saved_model", "litert"]
    assert forms.choose("litert", False) == [forms.FORMS["litert"]]


def test_form_in_integers_needs_calibration():
    (form,) = forms.choose("litert_int8", True)
    assert form.needs_calibration
    with pytest.raises(ValueError, match="litert_int8.* 100 to 500 are usual"):
        forms.choose(["litert", "litert_int8"], False)


def test_unknown_form_names_the_known_ones():
    known = re.escape(", ".join(forms.FORMS))
    with pytest.raises(
        ValueError, match=f"{known}.*Received: 'litert_int9'. Did you mean 'lit"
    ):
        forms.choose(["litert", "litert_int9"], True)
    with pytest.raises(ValueError, match=f"{known}. Received: none"):
        forms.choose([], True)
