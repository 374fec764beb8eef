"""Flows as a lazy frame of polars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Unpack

import polars as pl
import pyarrow as pa
from polars.io.plugins import register_io_source

from ._paths import Path
from ._tool import ReadOptions, query


def scan_polars(
    path: Path | Sequence[Path], where: str | None = None, columns: Sequence[str] | None = None, **options: Unpack[ReadOptions]
) -> pl.LazyFrame:
    """A lazy frame of flows; the parameters are those of `read`.

    Only the columns that a query needs are read, and predicates are applied to batches as they come. `where` skips blocks.
    """
    asked = query(path, where, **options)
    columns_found = asked.schema(columns)
    names = columns_found.names

    def frame(rows: pa.Table) -> pl.DataFrame:
        made = pl.from_arrow(rows.unify_dictionaries())
        assert isinstance(made, pl.DataFrame)
        return made.with_columns(pl.col(pl.Categorical).cast(pl.String))

    def source(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        wanted = names if with_columns is None else with_columns
        used = set(wanted) | set(predicate.meta.root_names() if predicate is not None else ())
        rest = n_rows
        with closing(asked.stream([name for name in names if name in used] or names[:1])) as stream:
            for batch in stream:
                if rest is not None:
                    batch = batch.slice(0, rest)
                    rest -= batch.num_rows
                rows = frame(pa.Table.from_batches([batch]))
                yield (rows if predicate is None else rows.filter(predicate)).select(wanted)
                if rest == 0:
                    return

    schema = frame(columns_found.empty_table()).schema
    return register_io_source(source, schema=schema)
