import importlib.metadata

from keras_squeezenet import report


def test_markdown_has_every_table(make):
    lines = report.markdown(make()).splitlines()
    for table in report.tables(make()):
        start = lines.index(f"## {table.title}") + 2
        rows = [table.columns, None, *table.rows]
        for line, cells in zip(lines[start : start + len(rows)], rows):
            if cells is None:
                assert line == "|---|" + "---:|" * (len(table.columns) - 1)
            else:
                assert line == f"| {' | '.join(cells)} |"
        assert lines[start + len(rows)] == ""


def test_markdown_tells_what_was_done(make):
    text = report.markdown(make())
    lines = text.splitlines()
    assert lines[0] == "# squeezenet on digits"
    assert lines[2] == (
        "1,235,496 parameters, 3 classes, images of 28x28 pixels: 40,000 to "
        "train on, 100 to choose by, 1,000 to test on."
    )
    assert "Accuracy was lost" not in text
    assert "share of the test images" in text
    assert "Recipe: stages train prune cluster quantize, " in text
    assert "densities `conv1`:1 `*_squeeze1x1`:1 `*`:0.25, " in text
    assert f"keras {importlib.metadata.version('keras')}, " in text
    assert text.endswith(".\n")


def test_markdown_counts_skipped_images(make):
    text = report.markdown(make(dataset={"skipped_images": ["a.jpg"] * 1234}))
    assert (
        "1,000 to test on; 1,234 could not be read and were left out.\n" in text
    )


def test_markdown_counts_one_skipped_image(make):
    text = report.markdown(make(dataset={"skipped_images": ["a.jpg"]}))
    assert "; 1 could not be read and was left out.\n" in text


def test_markdown_says_what_was_lost_and_what_was_measured_on(make):
    text = report.markdown(
        make(
            dataset={"test_images": 0},
            status="accuracy_lost",
            message="the stage 'prune' loses 9 points",
        )
    )
    assert "**Accuracy was lost**: the stage 'prune' loses 9 points\n" in text
    assert "40,000 to train on, 100 to choose by and to test on.\n" in text
    assert "share of the validation images" in text
