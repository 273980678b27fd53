"""The ground that everything else stands on: content hashes, references, processes, seeds, SQL, GPUs."""
