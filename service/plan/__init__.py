"""The plan of a model: how a business record becomes its features, as `plan.json` says it.

`ml.features.online_state` writes plans and the service reads them, both by the structs of this package. It therefore
belongs to the code that decides the asset `online_state`, and imports msgspec and the standard library alone.
"""
