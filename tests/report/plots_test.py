import numpy as np
import pytest

from keras_squeezenet.report import plots
from keras_squeezenet.report.plots import style


def texts(drawn):
    drawn.draw_without_rendering()
    return [
        found.get_text()
        for axes in drawn.axes
        for found in (
            *axes.texts,
            *axes.get_xticklabels(),
            *axes.get_yticklabels(),
            axes.title,
            axes.xaxis.label,
            axes.yaxis.label,
        )
    ]


def test_every_stage_and_file_has_its_accuracy_and_bytes(make):
    drawn = plots.stages_and_files(make())
    words = texts(drawn)
    for word in ("dense", "pruned", "saved_model/", "98.77%", "97.00%"):
        assert word in words
    raw, gzipped, huffman, *_ = drawn.axes[0].lines
    assert raw.get_xdata().tolist() == [2905128, 2905128, 12345, 23456, 812]
    # The entropy-coded .sqz file has no gzipped size.
    assert gzipped.get_xdata().tolist() == [9000, 3000, 7818, 270]
    assert huffman.get_xdata().tolist() == [8000, 2000]


def test_densities_are_beside_those_of_the_paper(make):
    drawn = plots.layers(make())
    bars = [bar.get_width() for bar in drawn.axes[0].patches]
    assert bars == [100, 25]
    (paper,) = drawn.axes[0].lines
    assert paper.get_xdata().tolist() == [100]
    assert "4,096" in texts(drawn)


def test_zeros_are_not_a_bar_of_a_histogram(make):
    made = make()
    made["layers"][0]["density"] = (
        1000 - made["histograms"][0]["after"][20]
    ) / 1000
    drawn = plots.histograms(made)
    before, after = drawn.axes[0].patches
    values, edges, _ = after.get_data()
    assert len(values) == 40
    assert values[20] == 0 and values.max() == before.get_data()[0].max()


def test_curve_of_packing_has_accuracy_or_agreement(make):
    packing = make()["packing"]
    drawn = plots.pack(packing)
    right = drawn.axes[1]
    assert right.get_ylabel() == "accuracy (%)"
    curve, chosen, test, before = (
        line.get_xydata().tolist() for line in right.lines
    )
    assert curve == [[8000, 80], [12345, pytest.approx(96.75)]]
    assert chosen == [[12345, pytest.approx(96.75)]]
    assert test == [[12345, pytest.approx(96.6)]]
    assert before[0][1] == 97
    unlabeled = {**packing, "accuracy": None, "test": None}
    assert "agreement" in plots.pack(unlabeled).axes[1].get_ylabel()


def test_sensitivity_names_the_most_sensitive_layers_and_the_dashed_line(make):
    scan = make()["sensitivity"]
    drawn = plots.sensitivity(scan, highlighted=1)
    left, right = drawn.axes
    labels = left.get_legend_handles_labels()[1]
    assert labels == ["fire2_squeeze1x1", "no layer changed"]
    line = next(line for line in left.lines if line.get_label() == labels[0])
    assert line.get_xdata().tolist() == [50, 10]
    assert line.get_ydata().tolist() == pytest.approx([80, 50])
    # Density and bits decrease to the right.
    assert left.get_xlim()[0] > left.get_xlim()[1]
    assert right.get_xlim()[0] > right.get_xlim()[1]


def test_layer_has_the_same_color_for_density_and_bits(make):
    scan = make()["sensitivity"]
    # Make `conv1` more sensitive by the bits alone.
    bits = zip(scan["layers"][0]["bits"], scan["layers"][1]["bits"])
    for conv1, fire2 in bits:
        conv1["accuracy"], fire2["accuracy"] = 0.75, 0.8
    left, right = (
        {line.get_label(): line.get_color() for line in axes.lines}
        for axes in plots.sensitivity(scan).axes
    )
    assert left == right
    assert left["fire2_squeeze1x1"] == style.ORANGE
    assert left["conv1"] == style.BLUE


def test_epochs_are_counted_across_stages(make):
    top, bottom = plots.training(make()).axes
    assert [line.get_xdata().tolist() for line in top.lines] == [
        [1, 2, 3],
        [4, 5],
    ]
    assert bottom.lines[0].get_ydata().tolist() == [1, 0.5, 0.25]


def test_training_without_epochs_is_an_empty_plot(make):
    made = make()
    for stage in made["stages"]:
        stage["history"] = []
    assert plots.training(made).axes[0].lines[:] == []


def test_confusion_is_in_percent_of_the_true_class(make):
    axes = plots.confusion(make()).axes[0]
    shares = axes.images[0].get_array()
    assert shares[0].tolist() == pytest.approx([100 * 5 / 6, 100 / 6, 0])
    numbers = [text.get_text() for text in axes.texts]
    assert numbers == ["83.3", "16.7", "100", "100"]
    assert "% of the true class" in axes.get_title()


@pytest.mark.parametrize("count", [2, 30, 100])
def test_confusion_of_any_number_of_classes(count):
    drawn = plots.confusion(
        {
            "confusion": np.eye(count, dtype=int),
            "dataset": {"classes": [f"class {i}" for i in range(count)]},
        }
    )
    drawn.draw_without_rendering()
    has_names = "class 1" in texts(drawn)
    assert has_names == (count <= plots.MAX_NAMES)
    # A color bar replaces the numbers.
    assert len(drawn.axes) == (1 if count == 2 else 2)


def test_names_need_not_be_unicode():
    names = {"classes": ["caf\udce9", "tea"]}
    drawn = plots.confusion({"confusion": np.eye(2), "dataset": names})
    drawn.draw_without_rendering()
    assert r"caf\udce9" in texts(drawn)


def test_confusion_of_many_classes_has_a_point_for_each_cell():
    count = 300
    matrix = np.eye(count, dtype=int)
    matrix[7, 9] = 3
    axes = plots.confusion(
        {
            "confusion": matrix,
            "dataset": {"classes": [f"class {i}" for i in range(count)]},
        }
    ).axes[0]
    (points,) = axes.collections
    found = dict(zip(map(tuple, points.get_offsets()), points.get_array()))
    assert len(found) == count + 1
    # Columns are predicted classes, and rows start at the top.
    assert (found[9, 7], found[7, 7], found[8, 8]) == (75, 25, 100)
    assert axes.get_ylim() == (count - 0.5, -0.5)
    assert not any(text.get_text().startswith("class") for text in axes.texts)


def points(*rows):
    return [
        {"SR": ratio, "bypass": bypass, "mib": mib, "macs": mib * 1e6}
        | {"test_accuracy": accuracy}
        for ratio, bypass, mib, accuracy in rows
    ]


def test_points_that_differ_in_one_metaparameter_are_joined():
    drawn = plots.exploration(
        points(
            (0.5, None, 4.0, 0.75),
            (0.25, None, 2.0, 0.5),
            (0.25, "simple", 2.0, 0.625),
            (0.75, None, 6.0, None),
        ),
        ["SR", "bypass"],
    )
    left, right = (
        {
            line.get_label(): line.get_xydata().tolist()
            for line in axes.lines
            if not line.get_label().startswith("_")
        }
        for axes in drawn.axes
    )
    assert left["SR"] == [[2, 50], [4, 75]]
    assert left["bypass"] == [[2, 50], [2, 62.5]]
    assert right["SR"] == [[2, 50], [4, 75]]
    for word in ("0.25", "0.5", "None", "simple", "MiB of float32 weights"):
        assert word in texts(drawn)


def test_exploration_in_which_every_point_failed_is_drawn():
    plots.exploration(points((0.5, None, 4.0, None)), ["SR"]).canvas.draw()
