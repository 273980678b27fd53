"""The audit of columns of texts that are numbers but for a few words, which stand for a missing value."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from ml.base.sql import connection, quoted
from ml.base.table_file import TableFile
from ml.declaration.tables import Table
from ml.tables.columns import NUMBER
from ml.tables.findings import Finding, worst_first
from ml.tables.types import is_text

NUMBERS_AMONG_TEXTS = "no_numbers_among_texts"
NUMBERS = 0.9  # of the texts, at least, that are numbers
WORDS = 3  # different other texts, at most: more are values of their own


@dataclass(frozen=True)
class _Mixed:
    """A column of `texts`, of which so many are numbers, and the other texts with their counts."""

    column: str
    texts: int
    numbers: int
    words: tuple[tuple[str, int], ...]

    def fault(self) -> str:
        others = " and ".join(f"{word!r} ({count:,})" for word, count in self.words)
        return (
            f"column {self.column!r}: {self.numbers / self.texts:.1%} of {self.texts:,} texts are numbers, the other "
            f"{self.texts - self.numbers:,} are {others}"
        )


def numbers_among_texts(table: pa.Table | TableFile, declared: Table) -> Finding:
    """Find columns of texts that are numbers but for a few words; one that is declared a category is meant to be so."""
    left_out = {*declared.keys, *declared.ignore, *declared.logical_types, *declared.derived}
    texts = [field.name for field in table.schema if is_text(field.type) and field.name not in left_out]
    mixed = list(_mixed(table, texts))
    words = {one.column: [word for word, _ in one.words] for one in mixed}
    return Finding(
        NUMBERS_AMONG_TEXTS,
        f"none of {len(texts)} columns of texts holds numbers and a few words",
        worst_first((one.numbers / one.texts, one.fault()) for one in mixed),
        f"if these stand for a missing value, write source.missing: {words}, or make them null at the source; if they "
        f"are values, logical_types: {dict.fromkeys(words, 'category')}",
        tuple({"column": one.column, "texts": one.texts, "numbers": one.numbers, "words": str(words[one.column])}
              for one in mixed),
    )  # fmt: skip


def _mixed(table: pa.Table | TableFile, columns: list[str]) -> Iterator[_Mixed]:
    with connection(threads=1) as opened:
        for column in columns:
            opened.register("source", table.select([column]))
            text = quoted(column)
            rows = opened.execute(
                f"select x, n, regexp_full_match(trim(x), '{NUMBER}') as number "
                f"from (select {text} as x, count(*) as n from source where {text} is not null group by 1) "
                f"order by number, n desc, x limit {WORDS + 1}"
            ).fetchall()
            words = tuple((str(text), int(count)) for text, count, number in rows if not number)
            if not 0 < len(words) <= WORDS:
                continue
            ((total,),) = opened.execute(f"select count({text}) from source").fetchall()
            numbers = total - sum(count for _, count in words)
            if numbers >= NUMBERS * total:
                yield _Mixed(column, total, numbers, words)
