"""The model cards, their index and the registry say the same."""

import pathlib
import re

import pytest

from keras_squeezenet import architecture
from keras_squeezenet.pretrained import readers
from keras_squeezenet.pretrained import registry

WEIGHTS = pathlib.Path(__file__).parents[1] / "weights"
SECTIONS = [
    "Model details",
    "How to use",
    "Training",
    "Evaluation",
    "Limitations and bias",
    "License",
    "Citation",
    "File",
]
BUILDERS = {
    "1.0": "SqueezeNet1_0",
    "1.1": "SqueezeNet1_1",
    "simple_bypass": "SqueezeNetSimpleBypass",
    "1.1_simple_bypass": "SqueezeNet1_1SimpleBypass",
}


def read(name):
    return (WEIGHTS / name).read_text(encoding="utf-8")


README = read("README.md")


def rows(text):
    """The cells of every row of a Markdown text's tables."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def unwrapped(text):
    return " ".join(text.split())


@pytest.fixture
def metadata():
    """Return a function that gives a card's metadata as the Hub reads it."""
    hub = pytest.importorskip("huggingface_hub")
    return lambda name: hub.ModelCard.load(WEIGHTS / name).data


ENTRIES = registry.ENTRIES
PUBLIC = [entry for entry in ENTRIES if entry.file.url]
OWN = [entry for entry in ENTRIES if not entry.file.url]
CARDS = [entry.card for entry in PUBLIC]
every_source = pytest.mark.parametrize("source", PUBLIC, ids=CARDS)


def test_every_entry_has_a_card_and_every_card_an_entry():
    cards = {path.name for path in WEIGHTS.glob("*.md")} - {"README.md"}
    assert sorted(cards) == sorted(entry.card for entry in ENTRIES)


@every_source
def test_metadata_is_that_of_the_source(source, metadata):
    data = metadata(source.card)
    paper = source.citation.removeprefix("arXiv:")
    assert f"arxiv:{paper}" in data.tags
    assert source.license.lower() == data.license
    assert data.license_name is None
    assert data.library_name == "keras"
    assert data.pipeline_tag == "image-classification"
    assert data.datasets == ["imagenet-1k"]
    assert data.metrics == ["accuracy"]


@every_source
def test_results_are_those_of_the_source(source, metadata):
    data = metadata(source.card)
    assert data.model_name == source.card.removesuffix(".md")
    assert [
        (result.metric_name, result.metric_value)
        for result in data.eval_results
    ] == [
        ("Top-1 accuracy (%)", source.top_1),
        ("Top-5 accuracy (%)", source.top_5),
    ]
    for result in data.eval_results:
        assert result.task_type == "image-classification"
        assert result.dataset_type == "imagenet-1k"
        assert result.dataset_split == "validation"
        assert result.metric_type == "accuracy"
        assert result.source_name == source.reported_by
        assert result.source_url.startswith("https://")
        assert not result.verified


@every_source
def test_card_has_the_usual_sections_and_tells_the_files(source):
    text = read(source.card)
    assert re.findall(r"^## (.+)", text, re.MULTILINE) == SECTIONS
    found = rows(text.partition("## File")[2])[2:]
    assert len(found) == len(source.files)
    for row, file in zip(found, source.files):
        link, digest, size, verified = row
        assert link == f"[{file.name}]({file.url})"
        assert digest == f"{file.digest.algorithm} `{file.digest.value}`"
        assert verified == ("yes" if file.verified else "no")
        if file.size:
            assert size == f"{file.size:,} bytes"


@every_source
def test_card_tells_the_accuracy_and_who_reports_it(source):
    text = read(source.card)
    table = text.partition("## Evaluation")[2].partition("## Limit")[0]
    who, top_1, top_5 = rows(table)[2]
    assert who == source.reported_by
    assert (float(top_1), float(top_5)) == (source.top_1, source.top_5)
    assert "This project has not measured them" in unwrapped(table)


@every_source
def test_card_loads_the_weights_that_it_describes(source):
    text = read(source.card)
    code = re.search(r"```python\n(.+?)```", text, re.DOTALL)[1]
    compile(code, source.card, "exec")
    builder = BUILDERS[source.variant]
    assert f"from keras_squeezenet import {builder}\n" in code
    call = re.search(r"model = (\w+)\(\s*weights=\"(\w+)\"", code)
    assert call.groups() == (builder, source.name)


@every_source
def test_card_cites_the_papers(source):
    text = read(source.card)
    citation = text.partition("## Citation")[2]
    assert f"journal = {{{source.citation}}}" in citation
    assert f"journal = {{{registry.SQUEEZENET_PAPER}}}" in citation


def test_first_lines_name_the_most_accurate():
    ranked = [source for source in PUBLIC if source.variant == "1.1"]
    best, second = (max(ranked, key=lambda s: s.top_1), PUBLIC[0])
    assert (best.name, second.name) == ("imagenet_imgclsmob", "imagenet_dsd")
    assert round(second.top_1 - best.top_1, 1) == 0.8
    macs = [
        architecture.count_macs(source.config, 227) for source in (second, best)
    ]
    assert round(macs[0] / macs[1], 1) == 2.2
    downloads = unwrapped(README.partition("## Downloads")[2])
    assert downloads.startswith(
        'Take `"imagenet_imgclsmob"` for v1.1, or `"imagenet_dsd"` where 2.2 '
        "times the computation (v1.0) are worth 0.8 points"
    )


def test_index_lists_the_sources_with_the_figures_of_their_cards():
    table = [row for row in rows(README) if "](squeezenet_" in row[0]]
    table = table[len(OWN) :]
    assert len(table) == len(PUBLIC)
    for row, source in zip(table, PUBLIC):
        link, config, accuracy, who, license, size, verified = row
        assert link == f'[`"{source.name}"`]({source.card})'
        assert config == f'`"{source.variant}"`'
        top_1, top_5 = map(float, accuracy.split("/"))
        assert (top_1, top_5) == (source.top_1, source.top_5)
        assert who == source.reported_by
        assert license == source.license
        assert verified == ("yes" if source.file.verified else "no")
        if source.file.size:
            assert size == f"{source.file.size:,}"
        else:
            assert size.endswith(" million")


@pytest.mark.parametrize("own", OWN, ids=lambda own: own.name)
def test_card_of_packaged_weights_tells_their_file(own, metadata):
    name = own.card
    text = read(name)
    assert re.findall(r"^## (.+)", text, re.MULTILINE) == SECTIONS
    assert rows(text.partition("## File")[2])[2:] == [
        [
            f"[{own.file.name}]({own.file.name})",
            f"sha256 `{own.file.digest.value}`",
            f"{own.file.size:,} bytes",
            "yes",
        ]
    ]
    top_1, top_5 = (r.metric_value for r in metadata(name).eval_results)
    assert (top_1, top_5) == (own.top_1, own.top_5)
    assert f"| this file | {own.file.size:,} | {top_1} | {top_5} |" in text
    (row,) = [row for row in rows(README) if f"({name})" in row[0]]
    link, config, _, accuracy, size = row
    assert (link, config) == (f'[`"{own.name}"`]({name})', '`"1.1"`')
    assert accuracy == f"{top_1} / {top_5}"
    assert size == f"{own.file.size:,}"


def test_index_tells_files_formats_and_how_to_do_without_the_internet():
    assert "3,032,184 bytes" in README
    assert re.findall(r"`(\.[\w.]+)`", README) == list(readers.FORMATS)
    assert "`KERAS_SQUEEZENET_MIRROR`" in README
    assert "`~/.keras/models`" in README


@pytest.mark.parametrize("name", ["README.md", *CARDS])
def test_links_to_files_beside_lead_somewhere(name):
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", read(name)):
        file, _, anchor = target.partition("#")
        text = (WEIGHTS / file).read_text(encoding="utf-8")
        headings = [
            re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")
            for heading in re.findall(r"^#+ (.+)", text, re.MULTILINE)
        ]
        assert not anchor or anchor in headings, target
