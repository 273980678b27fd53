"""What runs inside a Bento: answers business records with the scores of one ONNX model."""
