"""A worker process: evaluates the trials that its driver sends, until that hangs up or dies."""

import os
import pickle
import sys
from multiprocessing.connection import Connection
from pathlib import Path


def main(handle: str) -> None:
    """Serve the open file `handle` of the driver."""
    channel = Connection(int(handle))
    folder, threads, pickled = channel.recv()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    # Only now: libraries read the number of threads when they are imported.
    from threadpoolctl import threadpool_limits

    from ml.search.evaluator import Evaluator, load_parts

    fitter, metric, around = pickle.loads(pickled)
    with threadpool_limits(threads):
        evaluate = Evaluator(fitter, load_parts(Path(folder)), metric, around)
        while True:
            try:
                job = channel.recv()
            except EOFError:
                return
            channel.send(evaluate(job))


if __name__ == "__main__":
    main(*sys.argv[1:])
