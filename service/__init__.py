"""The service: all that runs inside a Bento. It answers business records with the scores of one ONNX model."""
