"""The declaration of the Bento."""

from typing import Literal

from pydantic import Field

from ml.declaration.part import Part

Extra = Literal["arrow", "gpu", "grpc", "postgres"]


class BentoPlan(Part):
    """The environment of the Bento, which holds what its model needs, and no more unless it is named here."""

    extras: list[Extra] = Field(
        default_factory=list,
        description="What else is installed: `arrow` (pyarrow, for tables in Arrow and Parquet where the model reads "
        "none), `gpu` (onnxruntime-gpu instead of onnxruntime; its CUDA libraries come with the base image), `grpc` "
        "(grpcio), `postgres` (psycopg2).",
    )
