import base64
import html.parser
import io
import re

import numpy as np
import pytest
from PIL import Image

from keras_squeezenet.report import html_page


class Page(html.parser.HTMLParser):
    """The text, the tags and the attributes of a page."""

    def __init__(self, page):
        super().__init__()
        self.texts, self.tags = [], []
        self.feed(page)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_data(self, data):
        self.texts.append(data)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def attributes(self, name):
        return [found[name] for _, found in self.tags if name in found]


@pytest.fixture(scope="module")
def source(make, images):
    return html_page.html(make(), images)


@pytest.fixture(scope="module")
def page(source):
    return Page(source)


def test_page_is_self_contained(page):
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    for name in ("src", "href", "xlink:href"):
        for address in page.attributes(name):
            assert re.match("#|data:image/(png|jpeg);base64,", address)


def test_every_plot_and_sample_is_on_the_page(page):
    assert page.attributes("aria-label") == [
        name for _, name, _, _ in html_page.PLOTS
    ]
    assert page.attributes("src")[-1].startswith("data:image/png;base64,")
    assert "two dense: two 90.0% compressed: one 50.0%" in page.text


def test_page_without_epochs_has_no_plot_of_them(make):
    report = make()
    for stage in report["stages"]:
        stage["history"] = []
    names = Page(html_page.html(report)).attributes("aria-label")
    assert "Size and accuracy" in names and "Training" not in names


def test_plots_take_their_colors_from_the_page(source):
    svgs = "".join(re.findall("<svg.*?</svg>", source, flags=re.DOTALL))
    assert set(re.findall('(?:fill|stroke): ([^;"]+)', svgs)) <= {
        "none",
        "white",
        "#ffffff",
        *html_page.COLORS.values(),
    }
    for variable in re.findall(r"var\((--\w+)\)", svgs):
        # Each has a light and a dark value.
        assert source.count(f"{variable}: #") == 2, variable


def test_ids_are_unique_and_references_lead_to_them(page):
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    for values in page.tags:
        for text in values[1].values():
            for target in re.findall(r"url\(#([^)]+)\)", text or ""):
                assert target in ids
    for target in page.attributes("xlink:href"):
        assert target.startswith("data:") or target[1:] in ids


def test_terms_are_explained_beside_their_tables(page):
    for words in (
        "density : share of the kernel weights that are not zero",
        "values : distinct values in the kernel, zero included",
        "Huffman : size of the weights as Deep Compression counts it",
        "agreement : share of the images for which the file predicts the",
        "difference : largest difference between a probability of the file",
    ):
        assert words in page.text, words


def test_page_has_the_figures_of_the_tables(page):
    assert page.text.count("squeezenet on digits") == 2
    for words in (
        "98.77% → 97.00%",
        "Huffman size: 1452.6 times smaller 2,905,128 → 2,000",
        "100.0% → 33.0%",
        "model_int8.tflite 812 270 95.00% 99.00% 4.0e-03",
    ):
        assert words in page.text, words


def test_headline_is_that_of_the_last_stage(make):
    made = make()
    # The last stage of dense-sparse-dense training is not smaller.
    made["stages"][1] |= {"huffman_bytes": 8_500, "density": 1.0}
    assert [found[:3] for found in html_page.headline(made)] == [
        ("Accuracy", "98.77%", "97.00%"),
        ("Huffman size: 341.8 times smaller", "2,905,128", "8,500"),
        (
            "Smallest file, model_int8.tflite: 3577.7 times smaller",
            "2,905,128",
            "812",
        ),
        ("Density", "100.0%", "100.0%"),
    ]


def test_headline_of_images_without_labels_is_agreement(make):
    made = make(dataset={"labeled_by_teacher": ["test"]})
    (name, _, _, text), *_ = html_page.headline(made)
    assert name == "Agreement with the teacher"
    assert "the class that the teacher predicts" in text


def test_page_of_photographs_stays_small(make):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (12, 57, 57, 3), "uint8")
    photographs = list(noise.repeat(4, 1).repeat(4, 2))
    made = make()
    made["samples"] *= 12
    pairs = list(zip(photographs, photographs))
    assert len(html_page.html(made, pairs)) < 2_500_000


def test_each_sample_has_its_heat_map_beside_it(make):
    image, heat_map = np.zeros((2, 8, 8, 3), "uint8")
    heat_map[0, 0] = 255
    page = Page(html_page.html(make(), [(image, heat_map)]))
    found = [tag for name, tag in page.tags if name == "img"]
    assert [tag["alt"] for tag in found] == ["two", "its heat map"]
    sources = [tag["src"].partition("base64,")[2] for tag in found]
    for source, expected in zip(sources, (image, heat_map)):
        opened = Image.open(io.BytesIO(base64.b64decode(source)))
        np.testing.assert_array_equal(np.asarray(opened), expected)


def test_samples_may_have_no_heat_maps(make, images):
    page = Page(html_page.html(make(), [(image, None) for image, _ in images]))
    found = [tag["alt"] for name, tag in page.tags if name == "img"]
    assert found == ["two"]
    assert "evidence" not in page.text


def test_names_cannot_break_the_page(make, images):
    evil = "<script>alert('$x$')</script>"
    made = make(
        dataset={"name": evil, "classes": [evil, "$a_{", "犬" * 40]},
        message=evil,
        status="accuracy_lost",
    )
    page = Page(html_page.html(made, images))
    assert "script" not in {tag for tag, _ in page.tags}
    assert f"Accuracy was lost: {evil}" in page.text


def test_page_omits_empty_sections(make):
    made = make(sensitivity=None, samples=[])
    text = Page(html_page.html(made)).text
    assert "Sensitivity" not in text and "Samples" not in text
    assert "Confusion" in text


def test_same_report_gives_the_same_page(make, images, source):
    assert html_page.html(make(), images) == source
