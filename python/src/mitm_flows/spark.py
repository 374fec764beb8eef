"""A data source for Spark 4.

    spark.dataSource.register(mitm_flows.spark.FlowDataSource)
    spark.read.format("mflow").option("where", "~d api").load("captures/")

Each task reads splits of files, about 64 MiB; mitm-filter and this package must be on every worker, and files have the same paths there. Spark passes no
projection to data sources in Python: name the columns with the option `columns`, or with `.schema("host string, status int")`. It passes simple
filters when `spark.sql.python.filterPushdown.enabled` is true; see the option `pushdown`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
from pyspark.sql.types import StructType

from . import _pushdown
from ._tool import Query, ReadOptions, Split, byte_size, packed, query

OPTIONS = {"path", "paths", "where", "columns", "mode", "pushdown", "split", "body_limit", "tool"}


class FlowPartition(InputPartition):
    """Splits of flow files, which a task reads one after the other."""

    def __init__(self, splits: Sequence[Split]) -> None:
        super().__init__(splits)
        self.splits = splits


class FlowDataSource(DataSource):
    """The format "mflow". Options, besides the path of `load`:

    - where: a filter expression.
    - columns: names with commas between them; all facts of flows without it.
    - mode: "strict" (files that are not sealed, and damage, end the query) or "permissive".
    - pushdown: "true" turns filters of Spark into filter expressions. Load a data frame for each query then: Spark 4.1 to 4.3 keeps the filters
      of the first query for all queries of the data frame, and would leave out flows. `where` has no such limit.
    - split: the size of what a task reads, such as "64m".
    - body_limit: the most bytes of each body and message.
    - tool: the path of mitm-filter on all workers.
    """

    @classmethod
    def name(cls) -> str:
        return "mflow"

    def _query(self) -> Query:
        unknown = set(self.options) - OPTIONS
        if unknown:
            raise ValueError("the format mflow has no option %s; it has %s" % (sorted(unknown)[0], ", ".join(sorted(OPTIONS - {"paths"}))))
        path = self.options.get("path")
        if not path:
            raise ValueError("the format mflow needs a path: load('captures/')")
        options: Any = {name: value for name, value in self.options.items() if name in ReadOptions.__optional_keys__}
        return query(path, self.options.get("where"), **options)

    def schema(self) -> StructType:
        names = self.options.get("columns")
        columns = [name.strip() for name in names.split(",")] if names else None
        schema = self._query().schema(columns)
        return from_arrow_schema(pa.schema([pa.field(field.name, _plain_type(field.type)) for field in schema]))

    def reader(self, schema: StructType) -> FlowReader:
        if not schema.names:
            raise ValueError("the format mflow reads at least one column; name it in the schema")
        pushdown = self.options.get("pushdown", "false").lower()
        if pushdown not in ("true", "false"):
            raise ValueError("pushdown is %r; it must be true or false" % pushdown)
        reader = PushingFlowReader if pushdown == "true" else FlowReader
        return reader(self._query(), schema, self.options.get("split", "64m"))


class FlowReader(DataSourceReader):
    """Plans the tasks of a query, and reads the flows of a task."""

    def __init__(self, asked: Query, schema: StructType, size: str) -> None:
        self._query, self._schema, self._size = asked, schema, size

    def partitions(self) -> list[FlowPartition]:
        # A path that is relative to the driver's directory means nothing to an executor.
        asked = replace(self._query, files=tuple(map(os.path.abspath, self._query.files)))
        return [FlowPartition(splits) for splits in packed(asked.splits(self._size), byte_size(self._size))]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        target = to_arrow_schema(self._schema, timezone="UTC")
        # Spark makes a partition of its own when there is none.
        for split in partition.splits if isinstance(partition, FlowPartition) else ():
            with closing(self._query.split_stream(self._schema.names, split)) as stream:
                for batch in stream:
                    # Spark's times are microseconds, and it has no dictionaries.
                    arrays = [_cast(array, field.type) for array, field in zip(batch.columns, target, strict=True)]
                    yield pa.RecordBatch.from_arrays(arrays, schema=target)


class PushingFlowReader(FlowReader):
    """A reader that takes filters. Spark refuses it while `spark.sql.python.filterPushdown.enabled` is false."""

    def pushFilters(self, filters: list[Any]) -> Iterator[Any]:
        """Takes the filters that filter expressions can answer. Those that are not answered exactly are Spark's as well."""
        for one in filters:
            term, is_exact = None, False
            if len(getattr(one, "attribute", ())) == 1:
                term, is_exact = _pushdown.expression(type(one).__name__, one.attribute[0], getattr(one, "value", None))
            if term is not None:
                self._query = replace(self._query, filters=(*self._query.filters, term))
            if not is_exact:
                yield one


def _cast(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array if array.type == wanted else array.cast(wanted, safe=False)


def _plain_type(found: pa.DataType) -> pa.DataType:
    """The type of a column in Spark."""
    if pa.types.is_dictionary(found):
        return found.value_type
    if pa.types.is_timestamp(found):
        return pa.timestamp("us", tz="UTC")
    if pa.types.is_list(found):
        return pa.list_(_plain_field(found.value_field))
    if pa.types.is_struct(found):
        return pa.struct([_plain_field(found.field(index)) for index in range(found.num_fields)])
    return found


def _plain_field(field: pa.Field) -> pa.Field:
    return pa.field(field.name, _plain_type(field.type), field.nullable)
