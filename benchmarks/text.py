"""Texts: Sextant's words and characters beside a plain script of TfidfVectorizer and LogisticRegression.

The data are 10,605 sentences of film reviews (Pang and Lee 2005, rated anew by Hutto and Gilbert 2014), as the source
distribution of the package vaderSentiment 2.5 ships them: pip brings it, or `--file` names the archive. Every side
sees the same rows, 60% train, 20% validation, 20% test, drawn anew for every seed, tries the same strengths of the
penalty on validation, and is judged by its ROC AUC on test. `plain` learns as many terms as Sextant may, and `plain,
all terms` all of them.

`--rows` many texts of as many words as the reviews have are also encoded, in a process of their own, for what that
takes of memory beside the matrix itself.
"""

import argparse
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean

import numpy as np
import pandas as pd

from ml.base.text import markdown_table
from ml.exported.onnx import export, predict, session
from ml.models.catalogue import family
from ml.models.family import Training
from ml.tasks.encoding import Encoder
from ml.tasks.metrics import score
from service.plan.texts import Kind, Span, unlearned

INNER, REVIEWS = "hutto_ICWSM_2014.tar.gz", "movieReviewSnippets_GroundTruth.txt"
STRENGTHS = (0.1, 1.0, 10.0)
WORDS: dict[Kind, Span] = {"words": (1, 2)}
BOTH: dict[Kind, Span] = {"words": (1, 2), "characters": (3, 5)}
ROWS_LEAST, MANY = 3, 10_000
Split = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


def main() -> None:
    """Print a table and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, help="vaderSentiment-2.5.tar.gz")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--terms", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--encode", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.encode:
        encode_many(arguments.rows, arguments.terms)
        return
    frame, terms = reviews(arguments.file), arguments.terms
    sides: dict[str, Callable[[Split], float]] = {
        f"plain, {terms} terms": lambda parts: plain(parts, terms),
        "plain, all terms": lambda parts: plain(parts, None),
        "Sextant, logistic": lambda parts: ours(parts, "logistic", WORDS, terms),
        "Sextant, logistic, characters too": lambda parts: ours(parts, "logistic", BOTH, terms),
        f"Sextant, logistic, {MANY} of both": lambda parts: ours(parts, "logistic", BOTH, MANY),
        "Sextant, lightgbm, characters too": lambda parts: ours(parts, "lightgbm", BOTH, terms),
    }
    results = {name: measured(side, frame, arguments.seeds) for name, side in sides.items()}
    many = encoded_apart(arguments.rows, terms)
    print(markdown_table(pd.DataFrame([{"side": name, **numbers} for name, numbers in results.items()]), ".4f"))
    print(f"{arguments.rows:,} texts, {terms} words: {many}")
    print(json.dumps({"name": "text", "sides": results, "encoded": many}))


def reviews(file: Path | None) -> pd.DataFrame:
    """Return the reviews, and whether each is more positive than negative."""
    with tempfile.TemporaryDirectory() as folder:
        if file is None:
            options = ["--quiet", "--no-deps", "--no-binary", ":all:", "--dest", folder]
            subprocess.run([sys.executable, "-m", "pip", "download", *options, "vaderSentiment==2.5"], check=True)
            (file,) = Path(folder).glob("*.tar.gz")
        lines = _member(_member(file.read_bytes(), INNER), REVIEWS).decode("utf-8", "replace").splitlines()
    rows = [line.split("\t", 2) for line in lines if line]
    return pd.DataFrame({"review": [row[2] for row in rows], "positive": [float(row[1]) > 0 for row in rows]})


def _member(packed: bytes, name: str) -> bytes:
    """Return the content of the one file of this name in an archive."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        (member,) = [member for member in archive.getmembers() if Path(member.name).name == name]
        content = archive.extractfile(member)
        assert content is not None
        return content.read()


def measured(side: Callable[[Split], float], frame: pd.DataFrame, seeds: int) -> dict[str, float]:
    """Return the mean ROC AUC of a side over seeds, its spread, and the processor time of a seed."""
    began, values = time.process_time(), []
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(frame))
        train, valid, test = np.split(order, [len(order) * 3 // 5, len(order) * 4 // 5])
        values.append(side((frame.iloc[train], frame.iloc[valid], frame.iloc[test])))
    seconds = (time.process_time() - began) / seeds
    return {"roc_auc": round(mean(values), 4), "spread": round(max(values) - min(values), 4), "s": round(seconds, 1)}


def plain(parts: Split, terms: int | None) -> float:
    """Return what the script that everybody writes reaches."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    train, valid, test = parts
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), max_features=terms, min_df=1 if terms is None else ROWS_LEAST)
    X = vectorizer.fit_transform(train["review"])
    X_valid, X_test = (vectorizer.transform(part["review"]) for part in (valid, test))
    models = [LogisticRegression(C=strength).fit(X, train["positive"]) for strength in STRENGTHS]
    best = max(models, key=lambda model: _auc(valid, model.predict_proba(X_valid)[:, 1]))
    return _auc(test, best.predict_proba(X_test)[:, 1])


def ours(parts: Split, name: str, spans: dict[Kind, Span], terms: int) -> float:
    """Return what the exported model reaches, as a service answers it."""
    train, valid, test = parts
    encoder = Encoder.fit(train, [], [], [unlearned("review", spans, terms, ROWS_LEAST)])
    y, y_valid = (part["positive"].to_numpy(np.int8) for part in (train, valid))
    data = Training(encoder.encode(train), y, encoder.encode(valid), y_valid, encoder)
    tried = [{"C": strength} for strength in STRENGTHS] if name == "logistic" else [family(name).defaults()]
    models = [family(name).fit(data, settings, seed=0) for settings in tried]
    best = max(models, key=lambda model: _auc(valid, model.predict(data.X_valid)))
    return _auc(test, predict(session(export(best, encoder, {})), encoder, test))


def _auc(part: pd.DataFrame, answers: np.ndarray) -> float:
    return score("roc_auc", part["positive"].to_numpy(np.int8), answers)


def encoded_apart(rows: int, terms: int) -> dict[str, float]:
    """Return what `encode_many` measures in a process of its own."""
    command = [sys.executable, __file__, "--encode", "--rows", str(rows), "--terms", str(terms)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(printed))


def encode_many(rows: int, terms: int) -> None:
    """Learn and encode texts of 20 words drawn from 50,000, and print times and memory as JSON."""
    random = np.random.default_rng(0)
    drawn = random.zipf(1.3, (rows, 20)) % 50_000
    frame = pd.DataFrame({"review": [" ".join(map("w{}".format, row)) for row in _lists(drawn)]})
    before, began = _peak_mb(), time.process_time()
    encoder = Encoder.fit(frame, [], [], [unlearned("review", WORDS, terms, ROWS_LEAST)])
    learned = time.process_time()
    X = encoder.encode(frame)
    figures = {
        "learn_s": learned - began, "encode_s": time.process_time() - learned, "matrix_mb": X.nbytes / 2**20,
        "beside_matrix_mb": _peak_mb() - before - X.nbytes / 2**20,
    }  # fmt: skip
    print(json.dumps({name: round(value, 1) for name, value in figures.items()}))


def _lists(numbers: np.ndarray) -> Sequence[list[int]]:
    rows: list[list[int]] = numbers.tolist()
    return rows


def _peak_mb() -> float:
    """Return the most memory that this process has had; what `getrusage` says is the parent's at first."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
