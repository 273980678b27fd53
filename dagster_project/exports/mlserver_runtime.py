"""A Bento's own predictor behind MLServer: an input for each column of a record; of those left out all are missing."""

import json
from pathlib import Path
from typing import Any

from mlserver import MLModel
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput
from service.predict.answers import one
from service.predict.predictor import load_predictor
from service.records.reader import InvalidRecords

TYPES = {float: "FP64", bool: "BOOL", str: "BYTES"}


class Bundle(MLModel):
    """The bundle of a Bento, which is ready once it answers its golden records."""

    async def load(self) -> bool:
        self._predictor = load_predictor(Path(__file__).parent / "bundle")
        return self._predictor.difference() <= self._predictor.golden.tolerance

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        columns = {tensor.name: [_value(value) for value in tensor.data] for tensor in payload.inputs}
        try:
            records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            predicted = self._predictor.predict(records)
        except InvalidRecords as error:
            raise InferenceError("; ".join(f"row {p.record}, {p.field}: {p.error}" for p in error.problems)) from error
        except ValueError as error:
            raise InferenceError(f"inputs of different lengths: {error}") from error
        task, thresholds = self._predictor.plan.task, self._predictor.thresholds
        answers = [one(task, score, thresholds) for score in predicted.scores]
        outputs = [_output(name, [answer[name] for answer in answers]) for name in (answers[0] if answers else {})]
        outputs.append(_output("warnings", [json.dumps(warnings) for warnings in predicted.warnings]))
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)


def _value(value: Any) -> Any:
    return None if value != value else value.decode() if isinstance(value, bytes) else value


def _output(name: str, values: list[Any]) -> ResponseOutput:
    rows = [list(value.values()) if isinstance(value, dict) else [value] for value in values]
    kind = TYPES[type(rows[0][0])] if rows else "BYTES"
    shape = [len(rows), len(rows[0])] if values and isinstance(values[0], dict) else [len(rows)]
    return ResponseOutput(name=name, shape=shape, datatype=kind, data=[value for row in rows for value in row])
