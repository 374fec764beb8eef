"""Flows as Arrow tables and as a dataset, which DuckDB and others scan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Unpack

import pyarrow as pa
import pyarrow.dataset as ds

from ._paths import Path
from ._tool import Query, ReadOptions, query


def read(
    path: Path | Sequence[Path], where: str | None = None, columns: Sequence[str] | None = None, **options: Unpack[ReadOptions]
) -> pa.Table:
    """The flows that a filter expression selects, as a table.

    - path: a flow file, a directory, a pattern, or a sequence of them.
    - where: an expression of the filter language; blocks that cannot match are not read.
    - columns: names of columns; all facts of flows without it. Heads, bodies and messages are read only when they are named.
    - options: `mode`, `body_limit` and `tool`; see ReadOptions.

    Raises ToolError, UnsealedFileError, DamagedFileError and FileNotFoundError.
    """
    stream = query(path, where, **options).stream(columns)
    return pa.Table.from_batches(stream, stream.schema)


def dataset(
    path: Path | Sequence[Path], where: str | None = None, columns: Sequence[str] | None = None, **options: Unpack[ReadOptions]
) -> FlowDataset:
    """A dataset of flows, which is read when it is scanned; the parameters are those of `read`.

    DuckDB takes it by the name of its variable: `duckdb.sql("select host, count(*) from flows group by 1")`. Only the columns that a scan needs
    are read. Filters of a scan are applied to its rows; `where` skips blocks.
    """
    return FlowDataset(query(path, where, **options), columns)


class FlowDataset(ds.Dataset):  # type: ignore[misc]
    """A dataset over mitm-filter. DuckDB uses `schema` and `scanner` alone."""

    def __init__(self, asked: Query, columns: Sequence[str] | None) -> None:
        self._query = asked
        self._schema = asked.schema(columns)

    @property
    def schema(self) -> pa.Schema:
        return self._schema

    def scanner(self, columns: Sequence[str] | None = None, filter: ds.Expression | None = None, **options: Any) -> ds.Scanner:
        """Reads the columns, and those that the filter needs, once. Other options are those of pyarrow's scanners."""
        names = self._schema.names if columns is None else list(columns)
        needed = [name for name in self._schema.names if name in names or (filter is not None and self._uses(filter, name))]
        # A scan of no columns counts rows.
        needed = needed or ["kind"]
        stream = self._query.stream(needed)
        options.pop("use_threads", None)
        return ds.Scanner.from_batches(stream, schema=stream.schema, columns=names, filter=filter, **options)

    def _uses(self, filter: ds.Expression, name: str) -> bool:
        """Whether a filter refers to a column: it cannot be bound to a schema without it."""
        others = pa.schema([field for field in self._schema if field.name != name])
        try:
            ds.Scanner.from_batches(iter(()), schema=others, filter=filter)
        except (pa.ArrowInvalid, KeyError):
            return True
        return False

    def to_batches(self, **options: Any) -> Iterator[pa.RecordBatch]:
        yield from self.scanner(**options).to_batches()

    def to_table(self, **options: Any) -> pa.Table:
        return self.scanner(**options).to_table()

    def count_rows(self, filter: ds.Expression | None = None, **options: Any) -> int:
        count: int = self.scanner([], filter, **options).count_rows()
        return count

    def head(self, num_rows: int, **options: Any) -> pa.Table:
        return self.scanner(**options).head(num_rows)

    def __reduce__(self) -> tuple[Any, ...]:
        return FlowDataset, (self._query, self._schema.names)
