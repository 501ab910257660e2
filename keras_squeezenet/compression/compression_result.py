"""What a compression returns."""

import dataclasses

import keras


@dataclasses.dataclass(frozen=True, eq=False)
class CompressionResult:
    """A compressed model and the content of its `report.json`.

    `report/schema.json` describes every field of the report.
    """

    model: keras.Model
    report: dict

    @property
    def stages(self) -> list[dict]:
        """A dict for each stage, the dense model first."""
        return self.report["stages"]

    @property
    def files(self) -> list[dict]:
        """A dict for each artifact: its bytes, accuracy and agreement."""
        return self.report["files"]

    def to_json(self) -> dict:
        """Return the content of `report.json`."""
        return self.report
