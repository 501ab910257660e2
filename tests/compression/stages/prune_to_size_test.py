import base64
import json
import types

import numpy as np
import pytest
import quarters

from keras_squeezenet import codec
from keras_squeezenet.compression import Recipe
from keras_squeezenet.compression import checks
from keras_squeezenet.compression import stages
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression.stages.prune import Prune
from keras_squeezenet.compression.stages.prune_to_size import PruneToSize
from keras_squeezenet.compression.stages.prune_to_size import bytes_of_round
from keras_squeezenet.data import splits
from keras_squeezenet.utils.progress import Progress

SMALL = Recipe(
    stages=("prune", "pack"),
    density_split="packing",
    target_bytes=2_378,
    prune_rounds=1,
)


@pytest.fixture
def make_stage(make_model, dataset, monkeypatch):
    """Return a function that makes a stage, which evaluates few lambdas."""
    quarters.pack_few_points(monkeypatch)

    def make_stage(recipe):
        stage = PruneToSize(make_model(), recipe)
        stage.context = types.SimpleNamespace(
            images=types.SimpleNamespace(
                train=splits.training_split(dataset, 16)
            ),
            provenance={},
            progress=Progress(),
        )
        return stage

    return make_stage


def test_weights_that_packing_sets_to_zero_stay_zero(make_stage, fit):
    stage = make_stage(SMALL)
    # The checkpoint keeps it.
    stage.chosen = json.loads(json.dumps(stage.choose([], Progress())))
    packed = tf_keras_twin.kernels(codec.loads(base64.b64decode(stage.chosen)))
    trainee = stage.wrap(4, [])
    fit(trainee, 4, stage.callbacks)
    stage.finish(trainee)
    zeros = 0
    for name, kernel in tf_keras_twin.kernels(stage.model).items():
        np.testing.assert_array_equal(kernel == 0, packed[name] == 0, name)
        zeros += np.count_nonzero(kernel == 0)
    assert zeros > 1000
    # The others were trained.
    kernel = stage.model.get_layer("conv10").get_weights()[0]
    assert np.any(kernel != packed["conv10"])


def test_recipe_chooses_between_densities_and_a_size():
    assert stages.of(Recipe(stages=("prune",))) == [Prune]
    assert stages.of(SMALL)[0] is PruneToSize
    assert PruneToSize.kind == Prune.kind == "prune"


def test_rounds_approach_the_size():
    recipe = SMALL.replace(prune_rounds=3, prune_epochs=6, target_bytes=2_000)
    rounds = PruneToSize.rounds(recipe)
    assert [*map(bytes_of_round, rounds)] == [3_364, 2_378, 1_682]
    names = [PruneToSize(None, round).name for round in rounds]
    assert names == ["pruned, 3 kB", "pruned, 2 kB", "pruned, 2 kB"]
    large = PruneToSize(None, SMALL.replace(target_bytes=2_000_000))
    assert large.name == "pruned, 1.7 MB"
    assert {round.prune_epochs for round in rounds} == {2}
    assert {round.target_bytes for round in rounds} == {2_000}
    assert Prune.rounds(Recipe()) == [Recipe()]
    relaxed = PruneToSize.relax(rounds[1], 1)
    assert relaxed.target_bytes == 2_500
    assert bytes_of_round(relaxed) == 2_973


def test_size_that_no_file_has_is_an_error_about_the_size_of_the_user(
    make_stage,
):
    stage = make_stage(SMALL.replace(target_bytes=100))
    with pytest.raises(
        checks.TargetError,
        match="^`target_bytes` must be larger for this network: a round of "
        r"pruning aims at 84 bytes, and the smallest file has [\d,]+. "
        "Received: target_bytes=100$",
    ):
        stage.choose([], Progress())


def test_round_that_prunes_nothing_is_not_needed(make_model):
    model = make_model()
    size = len(codec.dump(model))
    fitting = SMALL.replace(target_bytes=round(size * 1.2))
    assert not PruneToSize.is_needed(model, fitting)
    smaller = SMALL.replace(target_bytes=round(size * 1.1))
    assert PruneToSize.is_needed(model, smaller)
