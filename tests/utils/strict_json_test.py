import json

import pytest

from keras_squeezenet.utils import strict_json


def test_standard_values_are_read():
    value = {"a": [1, -2.5, 1e300, None, True, "é"], "b": {}}
    assert strict_json.loads(json.dumps(value).encode()) == value
    assert strict_json.loads(b"50" + b"0" * 18) == 5 * 10**19


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"NaN", "must be finite.*Received: NaN"),
        (b"[-Infinity]", "Received: -Infinity"),
        (b"1e999", "Received: 1e999"),
        (b"9" * 5000, "at most 20 digits. Received: 9{30}$"),
        (b"[" * 100_000, "at most 50 levels deep"),
        (b"[" * 51 + b"]" * 51, "at most 50 levels deep"),
        (b'{"a":' * 51 + b"1" + b"}" * 51, "at most 50 levels deep"),
        (b" " * 2**20 + b"1", "at most 1,048,576 bytes.*1,048,577 bytes"),
        (b"\xff", "utf-8"),
        (b"{", "Expecting"),
        (b'{"a": {"b": 1, "c": 2, "b": 1}}', "once. Received: 'b' twice"),
    ],
)
def test_other_content_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        strict_json.loads(content)
