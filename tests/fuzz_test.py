"""Some damaged files of every format; benchmarks/fuzz.py has more."""

import importlib
import os

import fuzz
import pytest

MAKE = {
    "weights": (fuzz.make_weights, 8),
    "texts": (fuzz.make_texts, 40),
    "images": (fuzz.make_images, 20),
    "networks": (fuzz.make_networks, 8),
}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.slow)
        if kind == "networks"
        else kind
        for kind in MAKE
    ],
)
def test_damaged_files_are_read_or_refused(kind, tmp_path):
    make, cases = MAKE[kind]
    whole, damaged = tmp_path / "whole", tmp_path / "damaged"
    whole.mkdir()
    damaged.mkdir()
    for name, found in make(whole).items():
        assert fuzz.outcome(found.door, found.path) == "read", name
        outcomes = []
        for seed in range(cases):
            path = fuzz.damage(seed, found.path, damaged)
            outcomes.append(fuzz.outcome(found.door, path))
            assert outcomes[-1].startswith(("read", "refused")), (name, seed)
        assert any(each.startswith("refused") for each in outcomes), name


DOORS = """
import os
import time

def read(path, fault):
    if path.parent.name == "damaged":
        fault()

def fail():
    raise KeyError("absent")

def talk():
    raise ValueError("a" * 3000)

def exit(path):
    read(path, lambda: os._exit(3))

def sleep(path):
    read(path, lambda: time.sleep(60))

def foreign(path):
    read(path, fail)

def fill(path):
    read(path, lambda: b"1" * 2**28)

def long(path):
    read(path, talk)
"""
FAULTS = {
    "exit": "crash: status 3",
    "sleep": "hang",
    "foreign": "foreign: KeyError('absent')",
    "fill": "memory: 25",
    "long": "foreign: a message of 3,000 characters",
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it needs /proc")
def test_every_fault_is_counted(tmp_path, monkeypatch, capsys):
    (tmp_path / "doors.py").write_text(DOORS)
    monkeypatch.syspath_prepend(tmp_path)
    doors = importlib.import_module("doors")
    path = tmp_path / "file.txt"
    path.write_text("whole")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    formats = {name: fuzz.Format(path, getattr(doors, name)) for name in FAULTS}
    cases = [(seed, name) for seed, name in enumerate(FAULTS)]
    worker = fuzz.Worker(formats, damaged)
    kept = []
    try:
        counts = fuzz.run(
            formats, worker, 2, cases, lambda seed, path: kept.append(seed)
        )
    finally:
        worker.stop()
    printed = capsys.readouterr().out.splitlines()
    assert kept == [0, 1, 2, 3, 4]
    for line, (seed, name) in zip(printed, cases, strict=True):
        start = f"{name}, --seed={seed} --cases=1: {FAULTS[name]}"
        assert line.startswith(start)
        assert counts[name]["cases"] == 1
