import io
import re
import types

import pytest
import rich.console

from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import dataset_flags

# The longest cells that there are.
LAYER = {
    "weights": 147_456,
    "density": 1.0,
    "paper_density": 1.0,
    "distinct_values": 147_456,
    "bits": 18,
    "int8_density": 1.0,
    "int8_distinct_values_per_channel": 256,
}
REPORT = {
    "dataset": {"test_images": 1000},
    "stages": [
        {
            "name": "densified",
            "accuracy": 1.0,
            "density": 1.0,
            "distinct_values": 147_456,
            "seconds": 86_399.9,
            "macs": 349_123_456,
            "bytes": 9_876_543,
            "gzip_bytes": 9_876_543,
            "huffman_bytes": 9_876_543,
        }
    ],
    "packing": None,
    "layers": [
        {**LAYER, "name": name}
        for name in ("fire2_squeeze1x1", "fire8_bypass1x1", "conv10")
    ],
    "files": [
        {
            "name": "saved_model_qat/",
            "bytes": 12_345_678,
            "gzip_bytes": 12_345_678,
            "accuracy": 1.0,
            "agreement": 1.0,
            "max_difference": 1e-7,
        }
    ],
}


def make_console(width=80, **options):
    return rich.console.Console(file=io.StringIO(), width=width, **options)


def printed(console):
    """Return what a console has printed, without colors and cursor moves."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())


def run_task(console, steps=3, name="train", count=None):
    with terminal.ConsoleProgress(console).task(name, steps) as advance:
        for step in range(1, (steps if count is None else count) + 1):
            advance(loss=1 / step, accuracy=1 - 1 / step)


def test_shares_are_percentages_and_other_metrics_have_four_digits():
    text = terminal.format_metrics({"loss": 0.12344, "accuracy": 0.9876})
    assert text == "loss 0.1234 accuracy 98.76%"
    text = terminal.format_metrics({"bytes": 12345, "agreement": 1.0})
    assert text == "bytes 12,345 agreement 100.00%"
    assert terminal.format_metrics({}) == ""


def test_task_prints_one_line_where_there_is_no_terminal():
    console = make_console()
    run_task(console)
    assert re.fullmatch(
        r"train +loss 0\.3333 accuracy 66\.67% +\d+\.\d s\n",
        console.file.getvalue(),
    )


def test_seconds_are_those_of_the_task(monkeypatch):
    times = iter([10.0, 75.25])
    clock = types.SimpleNamespace(monotonic=lambda: next(times))
    monkeypatch.setattr(terminal, "time", clock)
    console = make_console()
    run_task(console, name="load data", steps=None, count=0)
    assert re.fullmatch(r"load data +65\.2 s\n", console.file.getvalue())


def test_error_in_a_task_is_raised_and_prints_nothing():
    console = make_console()
    with pytest.raises(KeyboardInterrupt):
        with terminal.ConsoleProgress(console).task("train", 2) as advance:
            advance(loss=1.0)
            raise KeyboardInterrupt
    assert console.file.getvalue() == ""


def test_bar_on_a_terminal_shows_how_far_a_task_came():
    console = make_console(force_terminal=True)
    run_task(console, steps=12, count=5)
    last = printed(console).rpartition("\r")[2]
    assert last.startswith("train ")
    for text in ("━━━", "5/12", "loss 0.2000 accuracy 80.00%"):
        assert text in last


def test_task_of_unknown_length_shows_a_bar_that_is_full_in_the_end():
    console = make_console(force_terminal=True)
    with terminal.ConsoleProgress(console).task("load data", None):
        assert not shown_times(console)
    last = printed(console).rpartition("\r")[2]
    assert last.startswith("load data ")
    assert "━━━" in last
    assert shown_times(console)
    assert "None" not in last


def shown_times(console):
    return re.findall(r"\d\d:\d\d", printed(console))


@pytest.mark.parametrize("seconds", [0.1, 5], ids=["minutes", "hours"])
@pytest.mark.parametrize("count", [40, 12_500], ids=["part", "whole"])
def test_longest_bar_is_shown_uncut(count, seconds):
    now = 0

    def run_slowly(advance):
        nonlocal now
        for _ in range(count):
            now += seconds
            advance(loss=1.2345, accuracy=0.9876)

    console = make_console(force_terminal=True, get_time=lambda: now)
    name = "test saved_model_qat"
    with terminal.ConsoleProgress(console).task(name, 12_500) as advance:
        run_slowly(advance)
    text = printed(console)
    assert name in text
    assert f"{count}/12500" in text
    assert "loss 1.2345 accuracy 98.76%" in text
    assert shown_times(console)
    assert "…" not in text
    assert max(map(len, re.split("[\r\n]", text))) <= 80


@pytest.mark.parametrize("is_terminal", [False, True])
@pytest.mark.parametrize(
    "table", report.tables(REPORT), ids=["stages", "layers", "files"]
)
def test_table_is_shown_uncut(table, is_terminal):
    console = make_console(force_terminal=is_terminal)
    terminal.print_table(console, table)
    lines = printed(console).splitlines()
    assert [line.strip() for line in lines[:2]] == ["", table.title]
    assert max(map(len, lines)) <= 80
    for cells in table.rows:
        assert cells in [tuple(split_row(line)) for line in lines]
    # A name of two words may take two lines.
    heading = "\n".join(lines[2 : -len(table.rows) - 1])
    for word in " ".join(table.columns).split():
        assert word in heading
    assert "…" not in printed(console)


def split_row(line):
    return re.split(r" {2,}", line.strip())


def test_numbers_are_aligned_to_the_right():
    console = make_console()
    table = report.Table("Files", ("file", "bytes"), [("a", "1"), ("b", "22")])
    terminal.print_table(console, table)
    assert [line.rstrip() for line in printed(console).splitlines()] == [
        "",
        "Files",
        "file  bytes",
        "───────────",
        "a         1",
        "b        22",
    ]


def test_names_cannot_control_the_terminal():
    console = make_console(width=60)
    table = report.Table("\x1b[2JA", ("\x1b[1mb",), [("c\x1b[31m\nd",)])
    terminal.print_table(console, table)
    terminal.print_line(console, "e\x1b[2Jf")
    shown = printed(console)
    assert "\x1b[2J" not in shown and "\x1b[31m" not in shown
    for text in (r"\x1b[2JA", r"\x1b[1mb", r"c\x1b[31m\nd", r"e\x1b[2Jf"):
        assert text in shown


def test_next_command_is_quoted_for_a_shell_and_on_one_line():
    console = make_console(width=30)
    terminal.print_next(
        console,
        ["predict", "PHOTOGRAPHS", "--model=my run/model.keras"],
        ["evaluate", "it's.sqz"],
    )
    assert printed(console).splitlines() == [
        "Next: keras-squeezenet predict PHOTOGRAPHS "
        "'--model=my run/model.keras'",
        """Next: keras-squeezenet evaluate 'it'"'"'s.sqz'""",
    ]


def test_flags_of_the_data_are_repeated_for_the_next_command():
    flag_values = command_flags.CommandFlags()
    dataset_flags.define(flag_values)
    assert terminal.data_arguments(flag_values) == ["--dataset=mnist5k"]
    flag_values.parse(
        ["--dataset=cifar10", "--data_dir=my data", "--image_size=64"]
    )
    assert terminal.data_arguments(flag_values, "image_size") == [
        *("--dataset=cifar10", "--data_dir=my data", "--image_size=64"),
    ]
