"""What a use case declares: configs/<use_case>/defs.yaml as typed, frozen models."""
