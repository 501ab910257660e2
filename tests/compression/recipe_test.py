import pytest

from keras_squeezenet.compression import Recipe


@pytest.mark.parametrize(
    "field, value, expected",
    [
        ("target_density", 0.0, "greater than 0 and at most 1"),
        ("target_density", 1.01, "greater than 0 and at most 1"),
        ("target_density", -0.5, "greater than 0 and at most 1"),
        ("number_of_clusters", 2, "from 3 to 256"),
        ("number_of_clusters", 257, "from 3 to 256"),
        ("train_epochs", -1, "at least 0"),
        ("prune_epochs", 0, "at least 1"),
        ("cluster_epochs", 0, "at least 1"),
        ("quantize_epochs", 0, "at least 1"),
        ("batch_size", 0, "at least 1"),
        ("max_train_steps", 0, "at least 1"),
        ("learning_rate", 0.0, "greater than 0"),
        ("finetune_learning_rate", -1.0, "greater than 0"),
    ],
)
def test_value_out_of_range_is_named(field, value, expected):
    with pytest.raises(
        ValueError, match=f"`{field}` should be .*{expected}.*{field}={value}"
    ):
        Recipe(**{field: value})


def test_bounds_of_the_ranges_are_in_them():
    Recipe(target_density=1, number_of_clusters=3, train_epochs=0)
    Recipe(number_of_clusters=256)


def test_steps_of_a_stage_are_bounded():
    assert Recipe().steps(3, epoch_steps=10) == 30
    assert Recipe(max_train_steps=12).steps(3, epoch_steps=10) == 12
    assert Recipe(max_train_steps=12).steps(1, epoch_steps=10) == 10
    assert Recipe(max_train_steps=12).steps(0, epoch_steps=10) == 0
