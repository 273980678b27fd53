"""The declaration of a use case: configs/<use_case>/defs.yaml as typed, frozen models."""
