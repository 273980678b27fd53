"""Families of trees, and their graph in ONNX."""
