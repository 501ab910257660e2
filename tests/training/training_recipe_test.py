import pytest

from keras_squeezenet.training import RECIPES
from keras_squeezenet.training import Recipe
from keras_squeezenet.utils import recipe_fields


@pytest.mark.parametrize(
    "field, value, expected",
    [
        ("epochs", 0, "an integer, at least 1"),
        ("epochs", 1.5, "an integer"),
        ("epochs", True, "an integer"),
        ("max_train_steps", "x", "an integer, or `None`"),
        ("schedule", 3, "a string"),
        ("batch_size", 0, "at least 1"),
        ("max_train_steps", 0, "at least 1, or `None`"),
        ("validation_share", 0.6, "at most 0.5"),
        ("momentum", 1, "from 0 to below 1"),
        ("learning_rate", 0, "greater than 0"),
        ("learning_rate", "fast", "a number"),
        ("clip_norm", -1, "at least 0"),
        ("augmentation", "flip", "one of None, 'crop', 'flip_crop'"),
        ("rand_augment", 1.1, "from 0 to 1"),
        ("mixup", -0.1, "from 0 to 1"),
    ],
)
def test_value_out_of_range_is_named(field, value, expected):
    with pytest.raises(
        ValueError, match=f"`{field}` must be .*{expected}.*{field}="
    ):
        Recipe(**{field: value})


def test_steps_are_bounded_and_make_whole_updates():
    assert Recipe(epochs=3).steps(10) == 30
    assert Recipe(epochs=3, max_train_steps=12).steps(10) == 12
    assert Recipe(epochs=3, accumulation=16).steps(10) == 16
    assert Recipe(epochs=3, accumulation=16).steps(11) == 32
    assert Recipe(epochs=1, accumulation=16).steps(10) == 16


def test_paper_is_the_solver_of_the_authors():
    paper = RECIPES["paper"]
    assert (paper.optimizer, paper.momentum) == ("sgd", 0.9)
    assert (paper.learning_rate, paper.schedule) == (0.04, "linear")
    assert paper.batch_size * paper.accumulation == 512
    assert paper.weight_decay == 2e-4
    # 170,000 updates on the 1,281,167 images of ImageNet.
    assert paper.epochs == round(170_000 * 512 / 1_281_167)


def test_every_recipe_has_the_remedy_for_getting_stuck():
    for recipe in (Recipe(), *RECIPES.values()):
        assert recipe.warmup == 0.1
        assert recipe.clip_norm == 1.0
        assert recipe.restarts == 3


def test_field_of_another_recipe_is_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("prune_epochs: 3")
    with pytest.raises(
        ValueError, match="Received: prune_epochs. Did you mean 'epochs'"
    ):
        recipe_fields.load(Recipe, path)
