"""gRPC: the V2 protocol without HTTP's JSON, as an option."""
