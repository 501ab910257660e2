import importlib
import logging
import os
import signal
import subprocess
import sys
import types

import pytest

import keras_squeezenet
from keras_squeezenet.cli import main
from keras_squeezenet.cli import reference
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.utils import signals

# A command in a process of its own that costs no import of TensorFlow.
COMMAND = """
import ctypes, faulthandler, os, sys, types, warnings
from keras_squeezenet.cli import main
from keras_squeezenet.cli.flags import command_flags

module = types.ModuleType("keras_squeezenet.cli.fake", "What it does.")
module.FLAGS = command_flags.CommandFlags()
sys.modules[module.__name__] = module
main.COMMANDS["fake"] = "pretend"

def command():
    {body}

module.main = command
main.run(["keras-squeezenet", *sys.argv[1:]])
"""
# Prints the time that a command takes, and what it has loaded.
MEASURE = """
import sys, time
from keras_squeezenet.cli import main
try:
    main.run(["keras-squeezenet", *sys.argv[1:]])
finally:
    print(time.process_time(), *sys.modules, file=sys.stderr)
"""
HEAVY = {
    *("keras", "matplotlib", "numpy", "pandas", "PIL", "requests", "rich"),
    *("tensorflow", "tensorflow_model_optimization", "tf_keras", "yaml"),
}
# What is wrong with each command.
REFUSED = {
    "train": (["--epochs=x"], "--epochs must be an integer. Received: --ep"),
    "finetune": (["--weights=imagnet"], "Did you mean 'imagenet'?"),
    "compress": (["--recipe=smal"], "Did you mean 'small'?"),
    "pack": (["imagenet"], "photographs must be given: --dataset=FOLDER"),
    "benchmark": (["a.keras", "--threads=0"], "--threads must be"),
    "export": (["a.keras", "--to=litert_int8"], "with --calibration"),
    "predict": (["a.jpg", "--tpo=3"], "Did you mean '--top'?"),
    "embed": (["a.jpg", "--out=a.txt"], "--out must end with .npz or .csv."),
    "evaluate": (["a.keras", "--overwrite"], "--overwrite needs --out"),
    "inspect": ([], "one model must be given, as MODEL or --model=MODEL"),
    "sensitivity": (["a.keras", "--bits=9"], "each an integer from 2 to 8"),
    "explore": (["--grid=papr"], "Did you mean 'paper'?"),
    "upload": (["out"], "a folder and an address must be given"),
    "weights": (["fetch", "imagnet"], "Did you mean 'imagenet'?"),
}


@pytest.fixture(autouse=True)
def same_process(monkeypatch):
    # What pytest captures has no file descriptor.
    monkeypatch.setattr(main, "faulthandler", types.SimpleNamespace())
    main.faulthandler.enable = lambda: None
    logger = logging.getLogger("keras_squeezenet")
    handlers, level = list(logger.handlers), logger.level
    propagates = logger.propagate
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logger.propagate = propagates


@pytest.fixture
def run_main(capsys):
    """Return a function that runs `main` in this process.

    It returns the exit status, the standard output and the standard error.
    """

    def run_main(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main.run(["keras-squeezenet", *arguments])
        out, err = capsys.readouterr()
        code = stopped.value.code
        if isinstance(code, str):
            # Python prints the text of an exit.
            return 1, out, f"{err}{code}\n"
        return code, out, err

    return run_main


@pytest.fixture
def run_fake(run_main, monkeypatch):
    """Return a function that runs a function as a command.

    The command has the flag `--size`, and takes arguments where they have a
    name.
    """

    def run_fake(command, *arguments, names=""):
        module = types.ModuleType("keras_squeezenet.cli.fake", "What it does.")
        module.FLAGS = command_flags.CommandFlags(names)
        with module.FLAGS.group("Sizes"):
            module.FLAGS.define(int, "size", 5, "how large", 1)
        module.main = lambda *values: command(module.FLAGS, *values)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(main.COMMANDS, "fake", "pretend")
        return run_main("fake", *arguments)

    return run_fake


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


def run_process(body, *arguments, **environ):
    return run_python(
        "-c", COMMAND.format(body=body), "fake", *arguments, **environ
    )


def done(flag_values):
    print("done")


def show(flag_values, *arguments):
    print(list(arguments), flag_values.size)


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"], ["-h"]])
def test_usage_is_printed_where_nothing_else_is_asked_for(arguments, run_main):
    assert run_main(*arguments) == (0, main.usage() + "\n", "")


def test_usage_lists_the_commands():
    lines = main.usage().splitlines()
    assert lines[0] == (
        "usage: keras-squeezenet COMMAND [ARGUMENT ...] [--flag=value ...]"
    )
    listed = [line.split()[0] for line in lines if line.startswith("  ")]
    assert listed == [
        *("train", "finetune", "compress", "pack", "export", "benchmark"),
        *("predict", "embed", "evaluate", "inspect", "sensitivity", "explore"),
        *("upload", "weights"),
    ]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("argument", ["--version", "version"])
def test_version_is_printed(argument, run_main):
    version = keras_squeezenet.__version__
    assert run_main(argument) == (0, f"keras-squeezenet {version}\n", "")


def test_arguments_are_those_of_the_process(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["keras-squeezenet", "help"])
    with pytest.raises(SystemExit):
        main.run()
    assert capsys.readouterr().out.startswith("usage: ")


def test_package_is_a_command():
    result = run_python("-m", "keras_squeezenet")
    assert result.returncode == 0
    assert result.stdout == main.usage() + "\n"


@pytest.mark.parametrize(
    "name,hint", [("compres", " Did you mean 'compress'?"), ("--out=x", "")]
)
def test_unknown_command_is_an_error(name, hint, run_main):
    status, out, err = run_main(name)
    assert (status, out) == (1, "")
    assert err == (
        f"keras-squeezenet: there is no command {name!r}.{hint}\n"
        f"{main.usage()}\n"
    )


@pytest.mark.parametrize("name", main.COMMANDS)
def test_help_of_a_command_is_printed(name, run_main):
    status, out, err = run_main(name, "--help")
    command = importlib.import_module(f"keras_squeezenet.cli.{name}")
    assert (status, err) == (0, "")
    arguments = command.FLAGS.arguments or "[--flag=value ...]"
    assert out.startswith(f"usage: keras-squeezenet {name} {arguments}")
    assert command.__doc__.strip() in out
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    for flag in command.FLAGS:
        assert any(
            line.startswith((f"  --{flag}", f"  --no{flag}")) for line in lines
        ), flag


@pytest.mark.parametrize("name", main.COMMANDS)
def test_help_and_refusals_load_nothing_and_take_no_time(name):
    arguments, message = REFUSED[name]
    for words, status in ((["--help"], 0), (arguments, 1)):
        result = run_python("-c", MEASURE, name, *words)
        assert result.returncode == status, result.stderr
        measured, *refusal = result.stderr.splitlines()
        seconds, *modules = measured.split()
        assert not HEAVY & {module.partition(".")[0] for module in modules}
        assert float(seconds) < 1
        if status:
            assert result.stdout == ""
            (line,) = refusal
            assert line.startswith(f"keras-squeezenet {name}: ")
            assert message in line


def test_reference_has_every_flag_of_every_command():
    page = reference.markdown()
    for name in main.COMMANDS:
        command = importlib.import_module(f"keras_squeezenet.cli.{name}")
        part = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert command.__doc__.splitlines()[0] in part
        for flag in command.FLAGS:
            assert f"\n| `--{flag}" in part or f"\n| `--no{flag}" in part
    assert main.usage() in page


def test_command_is_called(run_fake):
    assert run_fake(done) == (0, "done\n", "")


def test_positional_arguments_are_refused(run_fake):
    assert run_fake(done, "photos", "out") == (
        1,
        "",
        "keras-squeezenet fake: flags are expected, as in --flag=value. "
        "Received: photos out\n",
    )


@pytest.mark.parametrize(
    "arguments,printed",
    [
        ([], "[] 5"),
        (["photos", "a b", "[x]"], "['photos', 'a b', '[x]'] 5"),
        (["--size=7", "--", "--size=8", "-x"], "['--size=8', '-x'] 7"),
        (["--size=7", "a"], "['a'] 7"),
        (["a", "--size=7"], "['a'] 7"),
        (["a", "--size", "7"], "['a'] 7"),
    ],
)
def test_arguments_go_to_a_command_that_has_some(arguments, printed, run_fake):
    status, out, err = run_fake(show, *arguments, names="FILE...")
    assert (status, out, err) == (0, f"{printed}\n", "")


def test_help_of_a_command_does_not_call_it(run_fake):
    status, out, err = run_fake(show, "a", "--size=7", "-h", names="FILE...")
    assert (status, err) == (0, "")
    assert out == (
        "usage: keras-squeezenet fake FILE... [--flag=value ...]\n\n"
        "What it does.\n\nSizes:\n  --size=N\n      how large (default: 5)\n"
    )


@pytest.mark.parametrize(
    "argument,message",
    [
        ("--size=0", "--size must be an integer of at least 1. Received: --si"),
        ("--sise=1", "there is no flag --sise. Did you mean '--size'? --help "),
    ],
)
def test_bad_flag_is_refused(argument, message, run_fake):
    status, out, err = run_fake(done, argument)
    assert (status, out) == (1, "")
    assert err.startswith(f"keras-squeezenet fake: {message}")


@pytest.mark.parametrize(
    "error",
    [ValueError, FileNotFoundError, ImportError, RuntimeError, MemoryError],
)
def test_error_of_the_user_is_one_line(error, run_fake, monkeypatch):
    def fail(flag_values):
        raise error("no such thing")

    assert run_fake(fail) == (1, "", "keras-squeezenet fake: no such thing\n")
    monkeypatch.setenv(main.DEBUG, "1")
    status, _, err = run_fake(fail)
    assert status == 1
    assert err.startswith("Traceback")
    assert err.endswith("keras-squeezenet fake: no such thing\n")


def test_text_of_an_error_need_not_be_unicode():
    result = run_process("raise ValueError(os.fsdecode(b'no \\xff.jpg'))")
    assert result.returncode == 1
    assert result.stderr.startswith("keras-squeezenet fake: no ")
    assert result.stderr.endswith(".jpg\n")
    assert "Traceback" not in result.stderr


def test_error_of_this_package_shows_where_it_is():
    result = run_process("{}['key']")
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "KeyError: 'key'" in result.stderr


@pytest.mark.parametrize(
    "arguments", [["help"], ["--version"], ["train", "--help"]]
)
def test_help_whose_reader_has_ended_is_no_error(arguments):
    read, write = os.pipe()
    os.close(read)
    finished = subprocess.run(
        [sys.executable, "-m", "keras_squeezenet", *arguments],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    assert (finished.returncode, finished.stderr) == (0, "")


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


@pytest.mark.parametrize(
    "stop,message",
    [
        (KeyboardInterrupt, "Nothing was written."),
        (KeyboardInterrupt("One epoch is saved."), "One epoch is saved."),
    ],
)
def test_ctrl_c_is_no_error(stop, message, run_fake):
    def command(flag_values):
        raise stop

    printed = f"\nkeras-squeezenet fake: stopped. {message}\n"
    assert run_fake(command) == (130, printed, "")


@pytest.mark.parametrize("number", signals.STOPS)
def test_signal_stops_a_command(number, run_fake, default_handlers):
    def command(flag_values):
        os.kill(os.getpid(), number)

    printed = "\nkeras-squeezenet fake: stopped. Nothing was written.\n"
    assert run_fake(command) == (128 + number, printed, "")


def test_terminal_that_is_gone_does_not_hide_its_signal():
    program = (
        "import os, pty, signal, subprocess, sys\n"
        "ours, theirs = pty.openpty()\n"
        "command = subprocess.Popen(\n"
        "    [sys.executable, '-c', sys.argv[1], 'fake'], stdin=theirs,\n"
        "    stdout=theirs, stderr=subprocess.PIPE, start_new_session=True,\n"
        "    preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))\n"
        "os.read(ours, 1)\n"
        "os.close(theirs); os.close(ours)\n"
        "command.send_signal(signal.SIGHUP)\n"
        "print(command.wait(), command.stderr.read())\n"
    )
    body = (
        "print('x', flush=True); import time; "
        "[(time.sleep(0.01), print('x', flush=True)) for _ in range(1000)]"
    )
    result = run_python("-c", program, COMMAND.format(body=body))
    assert result.stdout == "129 b''\n"


def test_ctrl_c_while_a_command_is_imported_is_no_error(run_main, monkeypatch):
    def stop(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(main.importlib, "import_module", stop)
    status, _, err = run_main("compress")
    assert (status, err) == (130, "")


def test_native_crash_is_seen():
    for environ in ({}, {"TF_CPP_MIN_LOG_LEVEL": "1"}):
        result = run_process("ctypes.string_at(0)", **environ)
        assert result.returncode == -signal.SIGSEGV
        assert "Fatal Python error: Segmentation fault" in result.stderr
        assert "string_at" in result.stderr


NOTE = "I0000 00:00:1732792000.1 12 cuda.cc:1] a note"


def test_warnings_and_notes_of_libraries_are_shown_on_demand():
    body = (
        f"warnings.warn('old'); os.write(2, {NOTE.encode()!r}); "
        f"print(os.environ[{main.NATIVE_LOG_LEVEL!r}])"
    )
    quiet = run_process(body)
    assert (quiet.stdout, quiet.stderr) == ("3\n", "")
    loud = run_process(body, TF_CPP_MIN_LOG_LEVEL="1")
    assert loud.stdout == "1\n"
    assert "UserWarning: old" in loud.stderr
    assert NOTE in loud.stderr


def test_package_logs_on_standard_error(run_fake):
    def log(flag_values):
        logging.getLogger("keras_squeezenet.training").info("A restart.")
        logging.getLogger("keras_squeezenet.training").debug("A detail.")
        logging.getLogger("elsewhere").info("A note.")

    assert run_fake(log) == (0, "", "A restart.\n")


def test_message_is_printed_once_where_a_library_logs_too():
    # As TensorFlow Datasets does, by which Abseil configures the root logger.
    body = (
        "import absl.logging, logging; absl.logging.info('A detail.'); "
        "logging.getLogger('keras_squeezenet.data').warning('A note.')"
    )
    for environ in ({}, {main.NATIVE_LOG_LEVEL: "2"}):
        assert run_process(body, **environ).stderr == "A note.\n"
