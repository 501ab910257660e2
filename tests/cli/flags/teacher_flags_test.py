import pytest

from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import teacher_flags


@pytest.fixture
def require_valid():
    """Return a function from arguments that checks them."""

    def require_valid(*arguments, share=None, is_itself=False):
        values = command_flags.CommandFlags()
        values.define(float, "temperature", None, "the temperature")
        teacher_flags.define(values)
        values.parse(list(arguments))
        teacher_flags.require_valid(values, share, is_itself)

    return require_valid


def test_teacher_is_a_file_or_weights_by_name(require_valid, tmp_path):
    path = tmp_path / "wise.keras"
    path.touch()
    require_valid()
    require_valid("--teacher=imagenet")
    require_valid(f"--teacher={path}", "--temperature=2")


@pytest.mark.parametrize(
    "teacher, message",
    [
        ("imagnet", "Did you mean 'imagenet'"),
        ("missing.keras", "--teacher must be a .keras or .*=missing.keras"),
        ("model.tflite", "--teacher needs a network with its layers"),
        (".", "--teacher needs a network with its layers"),
    ],
)
def test_other_teachers_are_refused(teacher, message, require_valid):
    with pytest.raises(ValueError, match=message):
        require_valid(f"--teacher={teacher}")


def test_temperature_of_no_distillation_is_refused(require_valid):
    with pytest.raises(ValueError, match="temperature=2.0. Pass --teacher, or"):
        require_valid("--temperature=2")
    with pytest.raises(ValueError, match="Pass --teacher or --distillation,"):
        require_valid("--temperature=2", is_itself=True)
    require_valid("--temperature=2", share=0.5, is_itself=True)
