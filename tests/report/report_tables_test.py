from keras_squeezenet import report


def test_tables_have_formatted_cells(make):
    stages, layers, files, curve = report.tables(make())
    assert [table.title for table in (stages, layers, files)] == [
        "Stages",
        "Layers",
        "Files",
    ]
    assert stages.rows[1] == (
        *("pruned", "97.00%", "33.0%", "999", "12.3"),
        *("349.1", "2,905,128", "2,000"),
    )
    assert layers.rows == [
        (
            *("conv1", "1,728", "100.0%", "100.0%", "4,096", "12"),
            *("100.0%", "4,096"),
        ),
        (
            *("head", "1,536", "25.0%", "-", "16", "4"),
            *("25.0%", "16"),
        ),
    ]
    # An entropy-coded file has no gzipped size.
    assert files.rows[0][:3] == ("model.sqz", "12,345", "-")
    assert files.rows[1] == (
        *("saved_model/", "23,456", "7,818", "95.00%", "99.00%"),
        "1.2e-07",
    )


def test_accuracy_on_classes_of_a_teacher_is_called_agreement(make):
    made = make(dataset={"labeled_by_teacher": ["train", "test"]})
    stages, _, files, curve = report.tables(made)
    for table in (stages, files, curve):
        assert "teacher" in table.columns and "teacher" in table.terms
        assert "accuracy" not in table.columns
    made = make(dataset={"labeled_by_teacher": ["train", "validation"]})
    assert "accuracy" in report.tables(made)[0].columns


def test_curve_has_the_file_on_both_sets_and_standard_errors(make):
    *_, curve = report.tables(make())
    assert curve.rows == [
        (
            *("8,000", "0.4000 ± 0.0400", "60.00% ± 1.00%"),
            *("80.00%", "-17.00 ± 0.40"),
        ),
        (
            *("12,345 (this file)", "0.0200 ± 0.0020", "98.00% ± 1.00%"),
            *("96.75%", "-0.25 ± 0.40"),
        ),
        (
            *("12,345 (test set)", "0.0300 ± 0.0030", "97.00% ± 1.00%"),
            *("96.60%", "-0.40 ± 0.40"),
        ),
    ]
    assert "100 validation images" in curve.terms["bytes"]


def test_network_that_is_not_packed_has_no_curve(make):
    assert len(report.tables(make(packing=None))) == 3


def test_layers_without_an_int8_file_have_no_int8_figures(make):
    made = make()
    for layer in made["layers"]:
        layer["int8_density"] = None
        layer["int8_distinct_values_per_channel"] = None
    assert [row[-2:] for row in report.tables(made)[1].rows] == [
        ("-", "-"),
        ("-", "-"),
    ]


def test_tables_have_a_column_for_each_cell(make):
    for table in report.tables(make()):
        assert table.rows
        for cells in table.rows:
            assert len(cells) == len(table.columns), table.title
        assert set(table.terms) <= set(table.columns)
