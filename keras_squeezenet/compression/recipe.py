"""What the compression pipeline does, as data."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The stages' lengths and targets.

    Args:
        train_epochs: int, epochs of training before any compression; 0 for a
            model that is trained. Defaults to `6`.
        prune_epochs: int, epochs of pruning. Defaults to `3`.
        cluster_epochs: int, epochs of weight sharing. Defaults to `1`.
        quantize_epochs: int, epochs of quantization-aware training. Defaults
            to `1`.
        max_train_steps: int, an upper bound to the training steps of each
            stage, for trials. Defaults to `None`, no bound.
        batch_size: int. Defaults to `32`.
        learning_rate: float, of the first stage. Defaults to `1e-3`.
        finetune_learning_rate: float, of pruning; weight sharing and
            quantization-aware training take a half and a fifth of it.
            Defaults to `1e-3`.
        target_density: float in (0, 1], the share of weights that pruning
            keeps in every kernel but those of `conv1` and the squeeze layers,
            which have few and stay dense, as most do in the paper (table 1).
            Defaults to `0.25`.
        number_of_clusters: int from 3 to 256, the size of each kernel's
            codebook, zero included. Defaults to `16`.
        seed: int, of the order of the images and of every random number.
            Defaults to `0`.

    Raises:
        ValueError: if a value is out of range.
    """

    train_epochs: int = 6
    prune_epochs: int = 3
    cluster_epochs: int = 1
    quantize_epochs: int = 1
    max_train_steps: int | None = None
    batch_size: int = 32
    learning_rate: float = 1e-3
    finetune_learning_rate: float = 1e-3
    target_density: float = 0.25
    number_of_clusters: int = 16
    seed: int = 0

    def __post_init__(self):
        self._require("train_epochs", "at least 0", lambda value: value >= 0)
        for field in (
            "prune_epochs",
            "cluster_epochs",
            "quantize_epochs",
            "batch_size",
        ):
            self._require(field, "at least 1", lambda value: value >= 1)
        if self.max_train_steps is not None:
            self._require(
                "max_train_steps", "at least 1", lambda value: value >= 1
            )
        for field in ("learning_rate", "finetune_learning_rate"):
            self._require(field, "greater than 0", lambda value: value > 0)
        self._require(
            "target_density",
            "a share of weights to keep, greater than 0 and at most 1",
            lambda value: 0 < value <= 1,
        )
        self._require(
            "number_of_clusters",
            "from 3 to 256",
            lambda value: 3 <= value <= 256,
        )

    def _require(self, field, expected, is_valid):
        value = getattr(self, field)
        if not is_valid(value):
            raise ValueError(
                f"`{field}` should be {expected}. Received: {field}={value}"
            )

    def steps(self, epochs, epoch_steps):
        """Returns the number of training steps of a stage."""
        steps = epochs * epoch_steps
        if self.max_train_steps is not None:
            steps = min(steps, self.max_train_steps)
        return steps
