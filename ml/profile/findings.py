"""The findings of a profile: what to look at before training, in words, the most serious first."""

from collections.abc import Callable, Sequence
from math import isfinite

from ml.base.text import shortened
from ml.profile.columns import WORDS
from ml.profile.distribution import number
from ml.profile.record import ColumnProfile, Drift, Profile
from ml.tasks.targets import of_target

MOST = 4  # columns that a sentence names
NAME = 60  # characters of a name
ERROR_RATE = 0.01  # how often columns that are alike in all splits may seem different, in all comparisons together
APART = 0.1  # a distance between splits that is worth a look
GAP = 0.05  # by how much the share of missing values differs
NEW = 0.05  # of the rows have a text that training lacks
EMPTY = 0.5  # of the values are missing
NAMES = 0.9  # of the rows of a text have a value of their own
FAR = 10  # times the distance between the quantiles of 5 and 95%
RARE = 0.05  # of the rows are of a class
SILENT = 0.05  # the share of false discoveries (Benjamini and Hochberg 1995) above which chance explains a relation
TELLING = {"roc_auc": 0.95, "r2": 0.9}
CLOSE = 0.95  # an association that leaves little to tell

Named = tuple[float, str]


def findings(profile: Profile) -> tuple[str, ...]:
    """Return the sentences of a profile; there is one for each kind of finding at most."""
    kinds: Sequence[Callable[[Profile], str | None]] = (
        _learns_nothing, _telling, _constant, _same, _empty, _missing_apart, _apart, _unseen, _infinite, _far, _names,
        _close, _rare, _gaps, _silent,
    )  # fmt: skip
    return tuple(sentence for kind in kinds if (sentence := kind(profile)))


def _listed(found: list[Named], one: str, many: str, advice: str = "") -> str | None:
    """Return a sentence about columns, the worst first, of which MOST are named."""
    if not found:
        return None
    order = [text for _, text in sorted(found, key=lambda pair: (-pair[0], pair[1]))]
    more = f" and {len(order) - MOST:,} more" if len(order) > MOST else ""
    subject = one if len(order) == 1 else many.format(len(order))
    return f"{subject}: {', '.join(order[:MOST])}{more}.{f' {advice}' if advice else ''}"


def _name(column: ColumnProfile) -> str:
    return shortened(column.name, NAME)


def _learns_nothing(profile: Profile) -> str | None:
    target = profile.target["train"]
    if profile.targets:  # of each of them how rare it is is said
        return None
    is_one = (
        target["least"] == target["greatest"] if profile.task == "regression" else set(target.values()) <= {0.0, 1.0}
    )
    return "The target has the same value in every training row: a model can learn nothing of it." if is_one else None


def _telling(profile: Profile) -> str | None:
    least, metric = TELLING[profile.measure], {"roc_auc": "ROC AUC", "r2": "R²"}[profile.measure]
    beyond = _beyond_all_chance(profile)
    found = [
        (column.alone.value, f"{_name(column)} ({of_target(metric, column.target)} {column.alone.value:.3f})")
        for column in profile.columns
        if column.alone and column.alone.value >= least and column.name in beyond
    ]
    advice = "If it is not yet known at the cutoff, it is a leak: say in known_at when it becomes known."
    return _listed(found, "One column alone nearly gives the target", "{} columns alone nearly give the target", advice)


def _beyond_all_chance(profile: Profile) -> set[str]:
    """Return the names of the columns of which chance does not explain what they tell of the target."""
    from scipy.stats import false_discovery_control

    judged = [column for column in profile.columns if column.alone]
    rates = false_discovery_control([column.by_chance for column in judged]) if judged else []
    return {column.name for column, rate in zip(judged, rates, strict=True) if rate <= SILENT}


def _constant(profile: Profile) -> str | None:
    found = [(0.0, _name(column)) for column in profile.columns if column.distinct == 1 and not _any_missing(column)]
    return _listed(found, "One column has the same value in every row", "{} columns have one value each in every row")


def _any_missing(column: ColumnProfile) -> bool:
    return any(column.missing.values())


def _same(profile: Profile) -> str | None:
    found = [
        (0.0, f"{_name(column)} = {shortened(column.same_as, NAME)}") for column in profile.columns if column.same_as
    ]
    return _listed(found, "One column is a copy of another", "{} columns are copies of others")


def _empty(profile: Profile) -> str | None:
    found = [
        (share, f"{_name(column)} ({share:.0%})")
        for column in profile.columns
        if (share := _missing(profile, column)) >= EMPTY
    ]
    return _listed(found, "One column is mostly missing", "{} columns are mostly missing")


def _missing(profile: Profile, column: ColumnProfile) -> float:
    """Return the share of all rows without a value."""
    total = sum(profile.rows.values())
    return sum(column.missing[split] * rows for split, rows in profile.rows.items()) / total


def _missing_apart(profile: Profile) -> str | None:
    found = []
    for column in profile.columns:
        gaps = {
            split: abs(column.missing[split] - column.missing["train"]) for split in profile.rows if split != "train"
        }
        split = max(gaps, key=lambda name: (gaps[name], name))
        if gaps[split] >= GAP and _beyond_chance(profile, column, split):
            shares = f"{column.missing['train']:.0%} of train, {column.missing[split]:.0%} of {split}"
            found.append((gaps[split], f"{_name(column)} ({shares})"))
    return _listed(
        found, "One column is missing more often in one split", "{} columns are missing more often in one split"
    )


def _beyond_chance(profile: Profile, column: ColumnProfile, split: str) -> bool:
    """Return whether chance does not explain a difference of the missing shares (chi-squared, Bonferroni)."""
    from scipy.stats import chi2_contingency

    rows = [profile.rows["train"], profile.rows[split]]
    gone = [round(column.missing[name] * count) for name, count in zip(("train", split), rows, strict=True)]
    there = [count - missing for count, missing in zip(rows, gone, strict=True)]
    if not (sum(gone) and sum(there) and all(rows)):
        return False
    p_value = float(chi2_contingency([gone, there]).pvalue)
    return p_value * len(profile.columns) * (len(profile.rows) - 1) <= ERROR_RATE


def _apart(profile: Profile) -> str | None:
    found = []
    for column in profile.columns:
        wide = {split: drift.distance for split, drift in column.drift.items() if is_apart(profile, drift)}
        if wide and column.kind != "time":
            split = max(wide, key=lambda name: (wide[name], name))
            found.append((wide[split], f"{_name(column)} (by {wide[split]:.2f} in {split})"))
    advice = "A model meets other values there than it learned from."
    return _listed(found, "One column differs between the splits", "{} columns differ between the splits", advice)


def is_apart(profile: Profile, drift: Drift) -> bool:
    """Return whether a distance between splits is worth a look, and chance does not explain it (Bonferroni)."""
    comparisons = sum(len(column.drift) for column in profile.columns)
    return drift.distance >= APART and drift.p_value * comparisons <= ERROR_RATE


def _unseen(profile: Profile) -> str | None:
    found = []
    for column in profile.columns:
        shares = {split: drift.unseen for split, drift in column.drift.items() if drift.unseen >= NEW}
        if shares and column.type != WORDS and not _names_rows(profile, column):
            split = max(shares, key=lambda name: (shares[name], name))
            found.append((shares[split], f"{_name(column)} ({shares[split]:.0%} of {split})"))
    advice = "Models take them for missing ones."
    return _listed(
        found, "One column has texts that training lacks", "{} columns have texts that training lacks", advice
    )


def _infinite(profile: Profile) -> str | None:
    found = [
        (float(column.infinite), f"{_name(column)} ({column.infinite:,})")
        for column in profile.columns
        if column.infinite
    ]
    return _listed(found, "One column holds infinite numbers", "{} columns hold infinite numbers")


def _far(profile: Profile) -> str | None:
    found = []
    for column in profile.columns:
        if column.kind != "number" or len(column.quantiles) != 5 or column.distinct <= 2:
            continue
        least, low, _, high, greatest = column.quantiles
        width = high / FAR - low / FAR  # which no double is too small for
        if width <= 0 or not isfinite(width):
            continue
        beyond = {least: low / FAR - least / FAR, greatest: greatest / FAR - high / FAR}
        value = max(beyond, key=lambda end: beyond[end])
        if beyond[value] > FAR * width:
            inside = f"{number(low)} to {number(high)} for 90% of the rows"
            found.append((beyond[value] / width, f"{_name(column)} (reaches {number(value)}, {inside})"))
    advice = "Is it a mark of missing values, or another unit?"
    return _listed(
        found, "One column has a number far from all others", "{} columns have numbers far from all others", advice
    )


def _names_rows(profile: Profile, column: ColumnProfile) -> bool:
    there = sum(profile.rows.values()) * (1 - _missing(profile, column))
    return column.kind == "text" and there > 1 and column.distinct >= NAMES * there


def _names(profile: Profile) -> str | None:
    found = [
        (float(column.distinct), f"{_name(column)} ({column.distinct:,} values)")
        for column in profile.columns
        if _names_rows(profile, column) and column.type != WORDS
    ]
    return _listed(
        found,
        "One column of texts has another value in nearly every row",
        "{} columns of texts have another value in nearly every row",
        "As categories they tell nothing of new rows; where their words may, write `logical_types: text`.",
    )


def _close(profile: Profile) -> str | None:
    copies = {frozenset((column.name, column.same_as)) for column in profile.columns if column.same_as}
    found = [
        (
            abs(pair.association),
            f"{shortened(pair.one, NAME)} and {shortened(pair.other, NAME)} ({pair.association:.3f})",
        )
        for pair in profile.pairs
        if abs(pair.association) >= CLOSE and frozenset((pair.one, pair.other)) not in copies
    ]
    return _listed(found, "Two columns say nearly the same", "{} pairs of columns say nearly the same")


def _rare(profile: Profile) -> str | None:
    if profile.task == "regression" or _learns_nothing(profile):
        return None
    shares = profile.target["train"]
    if profile.targets:
        of_targets = [(name, shares[f"share of {name}"]) for name in profile.targets]
        rare = [(name, share) if share < RARE else (f"no {name}", 1 - share) for name, share in of_targets]
        rare = [(name, share) for name, share in rare if share < RARE]
    elif profile.task == "binary":
        positive = shares["share positive"]
        rare = [("yes", positive)] if positive < RARE else [("no", 1 - positive)] if 1 - positive < RARE else []
    else:
        rare = [(name.removeprefix("share of "), share) for name, share in shares.items() if share < RARE / len(shares)]
    rows = profile.rows["train"]
    found = [
        (-share, f"{shortened(name, NAME)} ({share:.2%}, {round(share * rows):,} rows of train)")
        for name, share in rare
    ]
    advice = "Accuracy says little here."
    return _listed(found, "One class of the target is rare", "{} classes of the target are rare", advice)


def _gaps(profile: Profile) -> str | None:
    if (coverage := profile.coverage) is None:
        return None
    totals = [sum(rows) for rows in zip(*coverage.rows.values(), strict=True)]
    empty = [start for start, total in zip(coverage.starts, totals, strict=True) if total == 0]
    noun = coverage.unit if len(empty) == 1 else f"{len(empty):,} of {len(totals):,} {coverage.unit}s"
    return _listed([(0.0, start) for start in empty], f"One {noun} has no example", f"{noun} have no example")


def _silent(profile: Profile) -> str | None:
    judged = [column for column in profile.columns if column.alone]
    beyond = _beyond_all_chance(profile)
    silent = [column for column in judged if column.name not in beyond]
    if not silent:
        return None
    if len(silent) == len(judged):
        return "No column tells more of the target than chance would, each by itself; together they may."
    verb = "tells" if len(silent) == 1 else "tell"
    return (
        f"{len(silent):,} of {len(judged):,} columns {verb} no more of the target than chance would, each by itself; "
        "together with others they may."
    )
