"""Values that assets hand on."""

from pydantic import BaseModel, ConfigDict


class ProductionModel(BaseModel):
    """The registered version that carries the alias `champion`."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    model_hash: str
    coordinates: str


class PackagedBento(BaseModel):
    """A Bento in the store."""

    model_config = ConfigDict(frozen=True)

    tag: str
    model_version: str
    coordinates: str
