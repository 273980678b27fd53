"""Reading the prediction log again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.predictions.store import Store

if TYPE_CHECKING:
    from pyarrow import dataset


def predictions(url: str, use_case: str) -> dataset.Dataset:
    """Return all that was logged of a use case, with the columns of `Layout`, and `date`, by which files are chosen.

    Models of other columns lie beside each other: what one has not is null. Raises FileNotFoundError where nothing was
    logged, and ValueError where a column has several types, such as one that was hashed later.
    """
    import pyarrow as pa
    from pyarrow import dataset, fs

    filesystem, base = Store(url).open()
    folder = f"{base}/{use_case}"
    if filesystem.get_file_info(folder).type is not fs.FileType.Directory:
        raise FileNotFoundError(f"{url} has no predictions of {use_case!r}")
    by_day = dataset.HivePartitioning(pa.schema([("date", pa.date32())]))
    options = dataset.FileSystemFactoryOptions(partition_base_dir=folder, partitioning=by_day)
    selected = fs.FileSelector(folder, recursive=True)
    factory = dataset.FileSystemDatasetFactory(filesystem, selected, dataset.ParquetFileFormat(), options)
    try:
        return factory.finish(factory.inspect(promote_options="permissive"))
    except pa.ArrowTypeError as error:
        raise ValueError(f"the predictions of {use_case!r} have a column of several types: {error}") from None
