"""The declaration of the models."""

import re
from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model, model_validator

from ml.declaration.catalogue import CATALOGUE, module_of
from ml.declaration.families import CustomFamily, Family, TorchFamily
from ml.declaration.part import OpenPart, Part


class Ensemble(Part):
    """The blend of the other families."""

    rounds: int = Field(50, ge=1, le=1000, description="How often the selection adds a family, at most.")
    best: int = Field(
        1,
        ge=1,
        le=100,
        description="How many of each family's trials take part, its best ones: each is refitted.",
        exclude_if=lambda best: best == 1,  # so that what declares none is recorded as ever
    )
    calibrate: bool = Field(
        False,
        description="Makes the probabilities as sure as suits the rows of the selection; their order is the same.",
        exclude_if=lambda calibrate: not calibrate,
    )


BLENDS = "ml.search.blended"  # the module of what an ensemble fits, and of the mean of several refits
REFERENCE = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


def _described_extras(schema: dict[str, Any]) -> None:
    """In the schema for editors, a key of any other form than a reference is a mistake."""
    schema["patternProperties"] = {REFERENCE: schema["additionalProperties"]}
    schema["additionalProperties"] = False


# One field a family, in the order of the catalogue. A type checker cannot follow how they come about.
if TYPE_CHECKING:
    _CatalogueFields = OpenPart
else:
    _CatalogueFields = create_model(
        "_CatalogueFields",
        __base__=OpenPart,
        **{
            name: (entry.declared_by | None, Field(None, description=entry.description))
            for name, entry in CATALOGUE.items()
        },
    )


class Models(_CatalogueFields, json_schema_extra=_described_extras):
    """The model families that compete, at least one; `package.module:Class` is one of your own."""

    __pydantic_extra__: dict[str, CustomFamily] = Field(init=False)

    ensemble: Ensemble | None = Field(None, description="A blend of the others, at least two.")

    @classmethod
    def takes(cls, name: str) -> bool:
        """Return whether a key names a family of the user's own."""
        return re.match(REFERENCE, name) is not None

    @model_validator(mode="after")
    def _at_least_one(self) -> "Models":
        if not self.families:
            raise ValueError(f"no model family is declared; allowed: {sorted(type(self).model_fields)}")
        if self.ensemble and len(self.families) == 1:
            raise ValueError(f"an ensemble blends at least two families; declared: {sorted(self.families)}")
        names = [*type(self).model_fields, *map(short_name, self.model_extra or {})]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"several families would be called {twice}: rename your class, whose name in lower case it is"
            )
        return self

    @model_validator(mode="after")
    def _one_refit_of_an_ensemble(self) -> "Models":
        refits = {name: declared.refit for name, declared in self.families.items()}
        if self.ensemble and len(set(refits.values())) > 1:
            raise ValueError(f"an ensemble needs the same refit of all its families; declared: {refits}")
        return self

    @model_validator(mode="after")
    def _a_gpu_only_where_it_is_used(self) -> "Models":
        for name, declared in self.families.items():
            if declared.gpu != "never" and not isinstance(declared, TorchFamily | CustomFamily):
                raise ValueError(f"{name} trains on the CPU only, so its gpu must be never; networks can use a GPU")
            if declared.gpu == "never" and declared.gpu_share != 1:
                raise ValueError(f"{name} states a gpu_share, but gpu: never; set gpu: preferred or required")
        return self

    @property
    def families(self) -> dict[str, Family]:
        """The declared families by name, without the ensemble of them."""
        there = [name for name in type(self).model_fields if name != "ensemble" and name in vars(self)]
        given = {name: getattr(self, name) for name in there}
        own = {short_name(reference): declared for reference, declared in (self.model_extra or {}).items()}
        return {name: family for name, family in (given | own).items() if family is not None}

    @property
    def references(self) -> dict[str, str]:
        """The families of the user's own as `package.module:Class`, by name."""
        return {short_name(reference): reference for reference in self.model_extra or {}}

    @property
    def modules(self) -> list[str]:
        """The modules of the classes of all that compete, sorted: code of what fits, asks or converts their models."""
        families = {module_of(self.references.get(name, name)) for name in self.families}
        means = self.ensemble or any(declared.keep == "mean" for declared in self.families.values())
        return sorted({*families, *([BLENDS] if means else [])})

    @property
    def names(self) -> list[str]:
        """The families and, last, their ensemble, if there is one: one model each."""
        return [*self.families, *(["ensemble"] if self.ensemble else [])]


def short_name(reference: str) -> str:
    """`package.module:MyModel` is called my_model."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", reference.partition(":")[2]).lower()
