"""What a fine-tuning run returns and writes to its report."""

import dataclasses

import keras


@dataclasses.dataclass(frozen=True, eq=False)
class FineTuningResult:
    """The best model of a fine-tuning run, and the accuracy of each phase.

    Args:
        model: `keras.Model` of the best phase, all of it trainable.
        dataset: dict, as in `TrainingResult`.
        parameters: int, the number of parameters of the model.
        seconds: float, the time of all phases.
        kept: str, the name of the best phase.
        phases: list of a dict for each phase: `name`, `seconds`,
            `validation_accuracy` and `test_accuracy` (`None` without a test
            set). Phases after the head also have `recipe` and `history`, as in
            the JSON of `TrainingResult`.
        early: dict, what was known after the head: `validation_accuracy` with
            its `standard_error`, an estimate of the `seconds` of the other
            phases, the `near_duplicates` of images in other sets, `warnings`
            about the data, and perhaps the `learning_curve`: `images` and
            `validation_accuracy` of heads that were fitted to so many of the
            training images. With several labels, `standard_error` is `None`.
        teacher, several_labels: as in `TrainingResult`.
    """

    model: keras.Model
    dataset: dict
    parameters: int
    seconds: float
    kept: str
    phases: list[dict]
    early: dict
    teacher: dict | None = None
    several_labels: list[dict] | None = None

    def to_json(self) -> dict:
        """Return the content of `report.json`: every field but `model`."""
        values = dict(vars(self))
        del values["model"]
        return values
