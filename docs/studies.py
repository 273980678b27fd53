"""Takes docs/study.png, the page of a real study of breast_cancer: python docs/studies.py. It needs Chromium."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import optuna
import yaml
from playwright.sync_api import sync_playwright

from ml.declaration.use_case import UseCaseSpec
from ml.examples.build import make_examples
from ml.features.define import define_features
from ml.features.matrix import feature_matrix
from ml.models.catalogue import family
from ml.search.evaluator import Evaluator, Fitter
from ml.search.folds import folded, random_folds
from ml.search.plots import page
from ml.search.space import Space
from ml.search.study import Search, Study
from ml.search.workers import evaluating
from ml.tables.sources import load_table
from ml.tasks.encoding import Encoder
from ml.tasks.task import Task

HERE = Path(__file__).resolve().parent
USE_CASE, FAMILY, METRIC, TRIALS = "breast_cancer", "lightgbm", "log_loss", 40


def study() -> optuna.Study:
    """Run a search on five folds of the training rows."""
    text = (HERE.parent / "configs" / USE_CASE / "defs.yaml").read_text()
    spec = UseCaseSpec.model_validate(yaml.safe_load(text)["attributes"])
    tables = {name: load_table(USE_CASE, name, table, spec.times_of(name)) for name, table in spec.tables.items()}
    examples = make_examples(USE_CASE, spec, tables).to_pandas()
    rows = examples[examples["split"] == "train"].reset_index(drop=True)
    definitions = define_features(USE_CASE, spec, tables)
    frame = feature_matrix(spec, definitions, tables, rows)
    encoder, y = Encoder.fit(frame, definitions.numeric, definitions.categorical), Task().labels(frame["target"])
    problem = folded(frame, y, encoder, Task(), random_folds(y, Task(), 5, spec.seed), np.arange(len(y)))
    search = Search(batch=4, workers=2, storage=optuna.storages.InMemoryStorage(), name=f"{USE_CASE}/{FAMILY}")
    fitter = Fitter(family(FAMILY), spec.seed)
    with evaluating(Evaluator(fitter, problem.parts, METRIC), search.workers) as evaluate:
        list(Study(Space(fitter.family), search, METRIC, spec.seed).run(TRIALS, evaluate))
    return optuna.load_study(study_name=search.name, storage=search.storage)


def main() -> None:
    """Write the picture beside this file."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        (place := Path(folder) / "study.html").write_text(page(study(), METRIC))
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 1300, "height": 900})
        opened.goto(place.as_uri())
        opened.wait_for_timeout(2000)  # the plots are drawn
        opened.screenshot(path=HERE / "study.png", full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
