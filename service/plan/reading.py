"""Reading: the plan in `plan.json`, once nothing in it contradicts anything else."""

from __future__ import annotations

from collections import Counter

import msgspec

from service.plan.document import BundleError, Plan, Task
from service.plan.parts import (
    CALENDAR,
    COLUMN_AGGREGATIONS,
    LONGEST_WINDOW_S,
    MOST_DIGITS,
    ROW_AGGREGATIONS,
    ColumnFeature,
    Feature,
    LatestLookup,
    Lookup,
    LookupFeature,
    Part,
    StaticLookup,
    SynthesisFeature,
    WindowFeature,
    WindowLookup,
)
from service.plan.synthesis import synthesis_files, synthesis_problems


def read_plan(content: bytes) -> Plan:
    """Decode the plan in `content`; raises BundleError with every contradiction that it holds."""
    try:
        plan = msgspec.json.decode(content, type=Plan)
    except msgspec.DecodeError as error:
        raise BundleError("plan.json", [str(error)]) from None
    problems = [*_cutoff_problems(plan), *_feature_problems(plan), *_lookup_problems(plan), *_event_problems(plan)]
    problems += [*_source_problems(plan), *_task_problems(plan.task)]
    if plan.synthesis is not None:
        problems += synthesis_problems(plan.synthesis, plan.record, has_cutoff=plan.cutoff is not None)
    if problems:
        raise BundleError("plan.json", sorted(problems))
    return plan


def _task_problems(task: Task) -> list[str]:
    several = len(set(task.targets)) == len(task.targets) > 1 and task.kind == "binary"
    if task.several is not msgspec.UNSET and not several:
        return [f"task: several targets are those of 'binary', two or more, all different; given: {list(task.targets)}"]
    if task.kind != "multiclass":
        return [f"task: {task.kind!r} has no classes, and {list(task.classes)} were given"] if task.classes else []
    if len(set(task.classes)) == len(task.classes) > 1:
        return []
    return [f"task: 'multiclass' needs at least two classes, all different; given: {list(task.classes)}"]


def _cutoff_problems(plan: Plan) -> list[str]:
    problems = [f"required: {name!r} is not a column" for name in plan.required if name not in plan.record]
    if plan.cutoff is not None:
        column = plan.cutoff.column
        if plan.record.get(column) != "time":
            problems.append(f"cutoff: {column!r} is not a column of type time")
        if column not in plan.required:
            problems.append(f"cutoff: {column!r} is not among the required columns {plan.required}")
    return problems


def _feature_problems(plan: Plan) -> list[str]:
    return [f"feature {feature.name!r}: {p}" for feature in plan.features for p in _problems_of(feature, plan)]


def _problems_of(feature: Feature, plan: Plan) -> list[str]:
    if isinstance(feature, LookupFeature | WindowFeature):
        return _looked_up_problems(feature, plan.lookups)
    if isinstance(feature, SynthesisFeature):
        return [] if plan.synthesis is not None else ["the plan has no synthesis, whose query would return it"]
    if feature.column not in plan.record:
        return [f"the record has no column {feature.column!r}"]
    kind = plan.record[feature.column]
    if isinstance(feature, ColumnFeature):
        return ["a time cannot be a feature, only its calendar parts"] if kind == "time" else []
    problems = [] if kind == "time" else [f"column {feature.column!r} is not a time"]
    if feature.primitive not in CALENDAR:
        problems.append(f"{feature.primitive!r} is none of {sorted(CALENDAR)}")
    return problems


def _looked_up_problems(feature: LookupFeature | WindowFeature, lookups: dict[str, Lookup]) -> list[str]:
    lookup = lookups.get(feature.lookup)
    if lookup is None:
        return [f"there is no lookup {feature.lookup!r}"]
    if isinstance(lookup, WindowLookup) != isinstance(feature, WindowFeature):
        return [f"it is of kind {_kind(feature)}, and lookup {feature.lookup!r} of kind {_kind(lookup)}"]
    if isinstance(feature, WindowFeature) and isinstance(lookup, WindowLookup):
        return _window_problems(feature, lookup)
    return []


def _kind(part: Part) -> str:
    return repr(type(part).__struct_config__.tag)


def _window_problems(feature: WindowFeature, lookup: WindowLookup) -> list[str]:
    problems = []
    name, column = feature.aggregation, feature.column
    if name in ROW_AGGREGATIONS and column is not None:
        problems.append(f"{name!r} takes no column, and column {column!r} was given")
    elif name in COLUMN_AGGREGATIONS and column is None:
        problems.append(f"{name!r} needs a column")
    elif name not in ROW_AGGREGATIONS | COLUMN_AGGREGATIONS:
        problems.append(f"{name!r} is none of {sorted(ROW_AGGREGATIONS | COLUMN_AGGREGATIONS)}")
    if column is not None and column not in lookup.scales:
        problems.append(f"column {column!r} is none of those with a scale, {sorted(lookup.scales)}")
    if feature.window_s is not None and not 0 < feature.window_s <= LONGEST_WINDOW_S:
        allowed = f"above 0 and up to {LONGEST_WINDOW_S}; without one, all of the history counts"
        problems.append(f"a window of {feature.window_s} s is not {allowed}")
    return problems


def _lookup_problems(plan: Plan) -> list[str]:
    problems = []
    for name, lookup in plan.lookups.items():
        if missing := [column for column in lookup.on if column not in plan.record]:
            problems.append(f"lookup {name!r}: the record has no columns {missing}")
        if not (lookup.on or isinstance(lookup, WindowLookup)) or len(lookup.on) != len(lookup.keys):
            problems.append(f"lookup {name!r}: {lookup.on} cannot be matched with {lookup.keys}")
        if plan.cutoff is None and not isinstance(lookup, StaticLookup):
            problems.append(f"lookup {name!r}: it needs a cutoff, and the plan has none")
        if isinstance(lookup, WindowLookup):
            if lookup.since.tzinfo is not None:
                problems.append(f"lookup {name!r}: since {lookup.since.isoformat()} has an offset; times have none")
            if wrong := {c: scale for c, scale in lookup.scales.items() if not 0 <= scale <= MOST_DIGITS}:
                problems.append(f"lookup {name!r}: the scales {wrong} are not from 0 to {MOST_DIGITS}")
    return problems


def _event_problems(plan: Plan) -> list[str]:
    problems = []
    fed = Counter(view.file for table in plan.events.values() for view in table.views)
    for name, table in plan.events.items():
        if not table.keys or any(table.record.get(key) is None for key in table.keys):
            problems.append(f"events {name!r}: the key {table.key!r} is no column of {sorted(table.record)}")
        files = {lookup.file for lookup in plan.lookups.values() if _is_named_by(lookup, table.keys)}
        files.update(synthesis_files(plan.synthesis, table))
        if unknown := sorted({view.file for view in table.views} - files):
            belonging = f"files of no lookup and of no table with such a key; those are {sorted(files)}"
            problems.append(f"events {name!r}: {unknown} are {belonging}")
    problems += [f"events: {count} queries make {file!r}; only one can" for file, count in fed.items() if count > 1]
    return problems


def _is_named_by(lookup: Lookup, keys: list[str]) -> bool:
    """Check that the key of a row is that by which a lookup finds it, with its times where one key has several."""
    if isinstance(lookup, WindowLookup):
        return True
    times = {lookup.time, lookup.happened} if isinstance(lookup, LatestLookup) else set()
    return set(lookup.keys) <= set(keys) <= {*lookup.keys, *times}


def _source_problems(plan: Plan) -> list[str]:
    times = {(lookup.file, lookup.time) for lookup in plan.lookups.values() if not isinstance(lookup, StaticLookup)}
    if plan.synthesis is not None:
        tables = plan.synthesis.tables.values()
        times |= {(t.file, name) for t in tables for name, kind in t.columns.items() if kind == "TIMESTAMP"}
    problems = []
    for source in plan.sources:
        if (source.file, source.time) not in times:
            problems.append(
                f"source {source.table!r}: {source.time!r} is no time of a lookup or table of {source.file!r}"
            )
        limits = [limit for limit in (source.within_s, source.not_ready_after_s) if limit is not None]
        if any(limit <= 0 for limit in limits) or limits != sorted(limits):
            problems.append(
                f"source {source.table!r}: {limits} s are not above 0, the limit of readiness the greater one"
            )
    return problems
