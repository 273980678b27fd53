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


class Bundle(MLModel):  # type: ignore[misc]
    """The bundle of a Bento, which is ready once it answers its golden records."""

    async def load(self) -> bool:
        self._predictor = load_predictor(Path(__file__).parent / "bundle")
        return self._predictor.difference() <= self._predictor.golden.tolerance

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        columns = {tensor.name: [_value(value) for value in tensor.data] for tensor in payload.inputs}
        if len(lengths := {len(values) for values in columns.values()}) != 1:
            raise InferenceError(f"inputs have to be of one length; given: {sorted(lengths)}")
        try:
            records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            predicted = self._predictor.predict(records)
        except InvalidRecords as error:
            named = [f"row {p.record}, {p.field or p.given}: {p.error}" for p in error.problems]
            raise InferenceError("; ".join(named)) from error
        task, thresholds = self._predictor.plan.task, self._predictor.thresholds
        answers = [one(task, score, thresholds) for score in predicted.scores]
        outputs = [_output(name, [answer[name] for answer in answers]) for name in (answers[0] if answers else {})]
        outputs.append(_output("warnings", [json.dumps(warnings) for warnings in predicted.warnings]))
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)


def _value(value: Any) -> Any:
    while isinstance(value, list) and len(value) == 1:  # of a tensor [n, 1]
        value = value[0]
    return None if value != value else value.decode() if isinstance(value, bytes) else value


def _output(name: str, values: list[Any]) -> ResponseOutput:
    """Return a tensor [n], or [n, k] of what is listed or named; what is no number, flag or text is one as JSON."""
    rows = [list(value.values()) if isinstance(value, dict) else value for value in values]
    several = [len(row) for row in rows[:1] if isinstance(row, list)]
    flat = [entry for row in rows for entry in (row if isinstance(row, list) else [row])]
    kinds = {TYPES.get(type(entry)) for entry in flat}
    kind = kinds.pop() if len(kinds) == 1 else None
    data = flat if kind else list(map(json.dumps, flat))
    return ResponseOutput(name=name, shape=[len(rows), *several], datatype=kind or "BYTES", data=data)
