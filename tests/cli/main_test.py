import importlib
import os
import subprocess
import sys

import pytest

from keras_squeezenet.cli import main

# A command that costs no import of TensorFlow.
COMMAND = """
import os, sys, types, warnings
from absl import flags
from keras_squeezenet.cli import main

module = types.ModuleType("keras_squeezenet.cli.fake", "What it does.")
module.FLAGS = flags.FlagValues()
sys.modules[module.__name__] = module
main.COMMANDS["fake"] = "pretend"

def command():
    {body}

module.main = command
main.run(["keras-squeezenet", *sys.argv[1:]])
"""
# The body of a command with positional arguments and a flag of its own.
TAKES_ARGUMENTS = """pass

module.ARGUMENTS = "FILE..."
size = flags.DEFINE_integer(
    "size",
    5,
    "how large",
    1,
    flag_values=module.FLAGS,
    module_name=module.__name__,
)

def command(arguments):
    print(arguments, size.value)
"""


def run_python(*arguments, **environ):
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        main.NATIVE_LOG_LEVEL: None,
        **environ,
    }
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={name: value for name, value in environ.items() if value},
    )


def run_fake(body, *arguments, **environ):
    return run_python(
        "-c", COMMAND.format(body=body), "fake", *arguments, **environ
    )


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"], ["-h"]])
def test_usage_is_printed_where_nothing_else_is_asked_for(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main.run(["keras-squeezenet", *arguments])
    assert stopped.value.code == 0
    output = capsys.readouterr()
    assert output.out == main.usage() + "\n"
    assert output.err == ""


def test_usage_lists_the_commands():
    lines = main.usage().splitlines()
    assert lines[0] == (
        "usage: keras-squeezenet COMMAND [ARGUMENT ...] [--flag=value ...]"
    )
    listed = [line.split()[0] for line in lines if line.startswith("  ")]
    assert listed == list(main.COMMANDS)
    assert listed == [
        *("compress", "evaluate", "explore", "finetune", "inspect"),
        *("pack", "predict", "sensitivity", "train", "weights"),
    ]


def test_arguments_are_those_of_the_process(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["keras-squeezenet", "help"])
    with pytest.raises(SystemExit):
        main.run()
    assert capsys.readouterr().out.startswith("usage: ")


def test_package_is_a_command():
    result = run_python("-m", "keras_squeezenet")
    assert result.returncode == 0
    assert result.stdout == main.usage() + "\n"


@pytest.mark.parametrize("name", ["compres", "--out=x", ""])
def test_unknown_command_is_an_error(name):
    result = run_python("-m", "keras_squeezenet", name)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        f"keras-squeezenet: there is no command {name!r}.\n{main.usage()}\n"
    )


def test_every_command_has_a_module():
    folder = os.path.dirname(main.__file__)
    for name in main.COMMANDS:
        assert os.path.isfile(os.path.join(folder, f"{name}.py"))


def test_commands_whose_flags_have_the_same_names_are_imported_together():
    modules = {
        name: importlib.import_module(f"keras_squeezenet.cli.{name}")
        for name in main.COMMANDS
    }
    assert {"config", "json"} <= set(modules["predict"].FLAGS)
    assert {"config", "json"} <= set(modules["weights"].FLAGS)


@pytest.mark.parametrize("name", ["evaluate", "predict", "weights"])
def test_help_of_a_command_shows_its_arguments(name):
    command = importlib.import_module(f"keras_squeezenet.cli.{name}")
    first = command.__doc__.splitlines()[0]
    assert first.startswith(f"`keras-squeezenet {name} {command.ARGUMENTS}`: ")


def test_command_is_called():
    result = run_fake("print('done')")
    assert (result.returncode, result.stdout) == (0, "done\n")
    assert result.stderr == ""


def test_positional_arguments_are_refused():
    result = run_fake("print('done')", "photos", "out")
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        "keras-squeezenet fake: flags only are expected, as in --flag=value. "
        "Received: photos out\n"
    )


def test_positional_arguments_go_to_a_command_that_has_some():
    result = run_fake(TAKES_ARGUMENTS, "photos", "a b", "--verbosity=0", "[x]")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "['photos', 'a b', '[x]'] 5\n"


def test_no_positional_argument_is_none():
    result = run_fake(TAKES_ARGUMENTS)
    assert result.stdout == "[] 5\n"


def test_arguments_behind_two_dashes_are_no_flags():
    result = run_fake(TAKES_ARGUMENTS, "--size=7", "--", "--size=8", "-x")
    assert result.stdout == "['--size=8', '-x'] 7\n"


@pytest.mark.parametrize(
    "arguments", [["--size=7", "a"], ["a", "--size=7"], ["a", "--size", "7"]]
)
def test_flags_of_a_command_may_be_anywhere(arguments):
    result = run_fake(TAKES_ARGUMENTS, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "['a'] 7\n"


def test_flags_of_its_own_are_in_the_help_of_a_command():
    result = run_fake(TAKES_ARGUMENTS, "a", "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("What it does.\n")
    assert "\n  --size: how large\n    (default: '5')\n" in result.stdout


@pytest.mark.parametrize("value", ["x", "-1"])
def test_bad_value_of_a_flag_is_refused(value):
    result = run_fake(TAKES_ARGUMENTS, f"--size={value}")
    assert result.returncode == 1
    assert result.stdout == ""
    assert f"flag --size={value}: " in result.stderr
    assert "Traceback" not in result.stderr


def test_unknown_flag_is_refused():
    result = run_fake("print('done')", "--no_such_flag=1")
    assert result.returncode == 1
    assert result.stdout == ""
    assert "no_such_flag" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "flag", ["--help", "-h", "help", "--helpshort", "--helpfull"]
)
def test_help_of_a_command_does_not_call_it(flag):
    result = run_fake("print('done')", "--out=x", flag)
    assert result.returncode == 0
    assert result.stdout.startswith("What it does.\n")
    assert "done" not in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize(
    "error",
    [
        "ValueError('no such thing')",
        "FileNotFoundError('no such thing')",
        "ImportError('no such thing')",
        "RuntimeError('no such thing')",
    ],
)
def test_error_of_the_user_is_one_line(error):
    result = run_fake(f"raise {error}")
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == "keras-squeezenet fake: no such thing\n"


def test_text_of_an_error_need_not_be_unicode():
    result = run_fake("raise ValueError(os.fsdecode(b'no \\xff.jpg'))")
    assert result.returncode == 1
    assert result.stderr.startswith("keras-squeezenet fake: no ")
    assert result.stderr.endswith(".jpg\n")
    assert "Traceback" not in result.stderr


def test_cause_of_an_error_is_shown_on_demand():
    result = run_fake("raise ValueError('no such thing')", "--verbosity=1")
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("keras-squeezenet fake: no such thing\n")


def test_error_of_this_package_shows_where_it_is():
    result = run_fake("{}['key']")
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "KeyError: 'key'" in result.stderr


def test_reader_that_has_enough_is_no_error():
    for body in ("print('x' * 10**6)", "print('x')"):
        program = (
            "import subprocess, sys\n"
            "command = subprocess.Popen(\n"
            "    [sys.executable, '-c', sys.argv[1], 'fake'],\n"
            "    stdout=subprocess.PIPE, stderr=subprocess.PIPE)\n"
            "command.stdout.close()\n"
            "print(command.wait(), command.stderr.read())\n"
        )
        result = run_python("-c", program, COMMAND.format(body=body))
        assert result.stdout == "1 b''\n"


def test_ctrl_c_is_no_error():
    result = run_fake("raise KeyboardInterrupt")
    assert result.returncode == 130
    assert result.stdout == (
        "\nkeras-squeezenet fake: stopped. Nothing was written.\n"
    )
    assert result.stderr == ""


def test_ctrl_c_while_a_command_is_imported_is_no_error():
    program = (
        "from keras_squeezenet.cli import main\n"
        "def interrupt(name):\n"
        "    raise KeyboardInterrupt\n"
        "main.importlib.import_module = interrupt\n"
        "main.run(['keras-squeezenet', 'compress'])\n"
    )
    result = run_python("-c", program)
    assert "Traceback" not in result.stderr
    assert result.returncode == 130


def test_notes_of_native_code_are_not_shown():
    body = (
        "os.write(2, b'native'); warnings.warn('warning'); "
        "sys.stderr.write('python')"
    )
    assert run_fake(body).stderr == "python"


def test_notes_of_native_code_are_shown_on_demand():
    body = "os.write(2, b'native'); warnings.warn('warning')"
    result = run_fake(body, TF_CPP_MIN_LOG_LEVEL="0")
    assert result.stderr.startswith("native")
    assert "UserWarning: warning" in result.stderr


def test_quieting_sets_the_level_for_native_code():
    body = f"print(os.environ[{main.NATIVE_LOG_LEVEL!r}])"
    assert run_fake(body).stdout == "3\n"
    assert run_fake(body, TF_CPP_MIN_LOG_LEVEL="1").stdout == "1\n"


def test_quieting_leaves_everything_alone_on_demand(monkeypatch):
    monkeypatch.setenv(main.NATIVE_LOG_LEVEL, "0")
    stderr, file = sys.stderr, os.fstat(2).st_ino
    main.quiet_libraries()
    assert sys.stderr is stderr
    assert os.fstat(2).st_ino == file
    assert os.environ[main.NATIVE_LOG_LEVEL] == "0"


@pytest.mark.slow
def test_help_of_compress_lists_its_flags():
    result = run_python("-m", "keras_squeezenet", "compress", "--help")
    assert result.returncode == 0
    assert result.stderr == ""
    assert result.stdout.startswith("`keras-squeezenet compress`: ")
    for flag in ("--dataset: ", "--out: ", "--model: ", "--[no]overwrite: "):
        assert f"\n  {flag}" in result.stdout
    assert "  --overall_density: of all weights, instead" in result.stdout
    text = " ".join(result.stdout.split())
    assert "(default: conv1:1,*_squeeze1x1:1,*:0.25)" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "name,flags",
    [
        ("predict", ["--[no]json: ", "--top: ", "--weights: ", "--labels: "]),
        ("weights", ["--[no]json: ", "--config: ", "--normalization: "]),
        (
            "evaluate",
            [
                *("--batch_size: ", "--config: ", "--csv: ", "--data_dir: "),
                *("--dataset: ", "--image_size: ", "--[no]json: "),
                *("--labels: ", "--out: ", "--[no]overwrite: ", "--seed: "),
                *("--[no]skip_bad_images: ", "--split: "),
            ],
        ),
    ],
)
def test_help_of_a_command_lists_its_flags(name, flags):
    result = run_python("-m", "keras_squeezenet", name, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"`keras-squeezenet {name} ")
    for flag in flags:
        # A choice is printed as <a|b>: behind its name.
        name = flag.removesuffix(" ")
        assert f"\n  {name}" in result.stdout


@pytest.mark.slow
def test_error_of_compress_is_one_line(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.keras").write_text("an earlier run")
    result = run_python(
        "-m", "keras_squeezenet", "compress", f"--out={tmp_path / 'out'}"
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        f"keras-squeezenet compress: the output folder {tmp_path / 'out'} is "
        "not empty, and nothing was written to it. Name another one, or pass "
        "--overwrite to replace the files of an earlier run.\n"
    )
