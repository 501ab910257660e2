import re

import pytest

from keras_squeezenet.cli import runs
from keras_squeezenet.utils import staging


@pytest.mark.parametrize(
    "stop", [KeyboardInterrupt(), staging.DiskError("a.npz: no space")]
)
def test_end_says_how_to_resume_where_there_is_something(stop, tmp_path):
    def end():
        with runs.resumable(tmp_path, "*/last.npz", "state.npz"):
            raise stop

    before = str(stop)
    with pytest.raises(type(stop), match=f"^{before}$"):
        end()
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "last.npz").touch()
    message = f"{before} {runs.RESUME}".strip()
    with pytest.raises(type(stop), match=f"^{re.escape(message)}$"):
        end()
