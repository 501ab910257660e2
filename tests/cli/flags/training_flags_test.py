import pytest
from absl import flags

from keras_squeezenet import SqueezeNetConfig
from keras_squeezenet import Stem
from keras_squeezenet import architecture
from keras_squeezenet.cli.flags import training_flags


@pytest.fixture
def parse():
    """Returns a function from arguments to the value of `--config`."""

    def parse(*arguments):
        values = flags.FlagValues()
        training_flags.define_network(values)
        values(["program", *arguments])
        return values.config

    return parse


def test_config_is_a_variant_by_name(parse):
    assert parse() == architecture.VARIANTS["1.1"]
    assert parse("--config=1.0") == SqueezeNetConfig()


def test_config_has_metaparameters_over_those_of_v1_1(parse, tmp_path):
    text = '{"SR": 0.5, "stem": {"filters": 8}, "pools": ["conv1"]}'
    config = parse(f"--config={text}")
    assert config.SR == 0.5
    assert config.stem == Stem(8)
    assert config.pools == ("conv1",)
    assert config.conv10_padding == 0
    path = tmp_path / "mine.json"
    path.write_text(text)
    assert parse(f"--config={path}") == config


@pytest.mark.parametrize(
    "text,expected",
    [
        ("2.0", "one of '1.0', '1.1'.*Received: config='2.0'"),
        ('{"SR": 0}', "`SR` must be greater than 0"),
        ('{"sr": 1}', "the metaparameters are base_e.*Received: sr"),
        ('{"stem": {"side": 1}}', "is no network"),
        ('{"stem": 8}', "is no network"),
        ("{", "is no JSON"),
        ("missing.json", "missing.json cannot be read"),
    ],
)
def test_other_config_is_refused(text, expected, parse):
    with pytest.raises(flags.IllegalFlagValueError, match=expected):
        parse(f"--config={text}")


def test_help_names_the_default_as_it_is_given(parse):
    values = flags.FlagValues()
    training_flags.define_network(values)
    assert "(default: '1.1')" in values.get_help()


def test_ctrl_c_says_how_to_go_on_where_there_is_something(tmp_path):
    def stop():
        with training_flags.resumable(tmp_path, "*/last.npz"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        stop()
    assert not stopped.value.args
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "last.npz").touch()
    with pytest.raises(KeyboardInterrupt, match="--resume goes on from there"):
        stop()
