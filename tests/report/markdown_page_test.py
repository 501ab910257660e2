import importlib.metadata

import pytest

from keras_squeezenet import report
from keras_squeezenet.report.markdown_page import markdown


def test_markdown_has_every_table(make):
    lines = markdown(make()).splitlines()
    for table in report.tables(make()):
        start = lines.index(f"## {table.title}") + 2
        rows = [table.columns, None, *table.rows]
        for line, cells in zip(lines[start : start + len(rows)], rows):
            if cells is None:
                assert line == "|---|" + "---:|" * (len(table.columns) - 1)
            else:
                assert line == f"| {' | '.join(cells)} |"
        end = start + len(rows)
        assert lines[end : end + 1 + len(table.terms)] == [
            "",
            *(f"- {term}: {text}" for term, text in table.terms.items()),
        ]


def test_names_do_not_break_a_table(make):
    made = make()
    made["layers"][0]["name"] = "a|b\n\x1b[2Jc"
    assert r"| a\|b\n\x1b[2Jc |" in markdown(made)


def test_markdown_tells_what_was_done(make):
    text = markdown(make())
    lines = text.splitlines()
    assert lines[0] == "# squeezenet on digits"
    assert lines[2] == (
        "1,235,496 parameters, 3 classes, images of 28x28 pixels: 40,000 "
        "training, 100 validation and 1,000 test images."
    )
    assert "Accuracy was lost" not in text
    assert "classified images of the test set" in text
    assert "Recipe: stages prune cluster quantize, " in text
    assert "densities `conv1`:1 `*_squeeze1x1`:1 `*`:0.25, " in text
    assert f"keras {importlib.metadata.version('keras')}, " in text
    assert text.endswith(".\n")


def test_markdown_names_the_teacher(make):
    assert "Teacher" not in markdown(make(teacher=None))
    text = markdown(make(teacher={"name": "a/wise.keras", "digest": "0af"}))
    expected = "Teacher: wise.keras, whose weights have the SHA-256 digest 0af."
    assert expected in text.splitlines()


@pytest.mark.parametrize("count,files", [(1, "1 file"), (1234, "1,234 files")])
def test_markdown_counts_skipped_images(count, files, make):
    text = markdown(make(dataset={"skipped_images": ["a.jpg"] * count}))
    assert f"1,000 test images. {files} could not be read.\n" in text


@pytest.mark.parametrize(
    "status, end",
    [
        ("accuracy_lost", "Accuracy was lost"),
        ("target_missed", "A target was missed"),
    ],
)
def test_markdown_names_what_ended_the_run_and_the_set_it_was_measured_on(
    status, end, make
):
    text = markdown(
        make(
            dataset={"test_images": 0},
            status=status,
            message="the stage 'prune' loses 9 points",
        )
    )
    assert f"**{end}**: the stage 'prune' loses 9 points\n" in text
    assert "40,000 training, 100 validation and no test images.\n" in text
    assert "images of the validation set" in text
