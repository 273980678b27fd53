"""A task says how targets become labels, what shape answers have, and what a difference is large against."""

import numpy as np
import pandas as pd
import pytest

from ml.tasks.task import BINARY, DIGITS, Task

SEVERAL = Task(targets=("left", "late"))
SIZES = Task("multiclass", ("large", "small"))


@pytest.mark.parametrize("task", [BINARY, SIZES, SEVERAL, Task("regression")], ids=str)
def test_it_is_read_as_it_was_described(task: Task) -> None:
    assert Task.stored(task.to_dict()) == task


def test_classes_are_those_of_the_targets_in_the_order_of_their_names() -> None:
    targets = pd.Series(["small", "large", "small"])

    assert Task.of("multiclass", targets) == SIZES
    assert SIZES.labels(targets).tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match=r"the classes \['tiny'\] are none of the model's, \['large', 'small'\]"):
        SIZES.labels(pd.Series(["tiny"]))


@pytest.mark.parametrize(
    ("task", "shape"), [(BINARY, ()), (Task("regression"), ()), (SIZES, (2,)), (SEVERAL, (2,))], ids=str
)
def test_answers_have_a_shape(task: Task, shape: tuple[int, ...]) -> None:
    assert task.answer_shape == shape
    assert task.outputs == (shape[0] if shape else 1)


def test_several_targets_have_a_column_of_labels_each() -> None:
    rows = pd.DataFrame({column: [0, number] for number, column in enumerate(SEVERAL.columns)})

    assert SEVERAL.labels_of(rows).tolist() == [[0, 0], [0, 1]]
    assert SEVERAL.alone == BINARY
    assert SEVERAL.summary_of(rows) == {"share of left": 0.0, "share of late": 0.5}


def test_a_difference_of_numbers_is_measured_against_their_spread() -> None:
    numbers = Task("regression")

    assert numbers.unit(np.array([1.0, 5.0])) == 4.0
    assert numbers.unit(np.array([3.0, 3.0])) == 3.0
    assert numbers.unit(np.zeros(2)) == 1.0
    assert numbers.unit(np.array([1e15, 1e15 + 1])) == DIGITS * np.spacing(1e15 + 1)
    assert BINARY.unit(np.array([0.1, 0.2])) == 1.0
