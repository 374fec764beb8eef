"""A data source for Spark 4.

    spark.dataSource.register(mitm_flows.spark.FlowDataSource)
    spark.read.format("mflow").option("where", "~d api").load("captures/")

Each split of a file is a task; mitm-filter and this package must be on every worker, and files have the same paths there. Spark passes no
projection to data sources in Python: name the columns with the option `columns`, or with `.schema("host string, status int")`. It passes simple
filters when `spark.sql.python.filterPushdown.enabled` is true; see the option `pushdown`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
from pyspark.sql.types import StructType

from . import _pushdown
from ._tool import Query, Split, query

OPTIONS = {"path", "paths", "where", "columns", "mode", "pushdown", "split", "body_limit", "tool"}


class FlowPartition(InputPartition):
    """A split of a flow file, which a task reads."""

    def __init__(self, split: Split) -> None:
        super().__init__(split)
        self.split = split


class FlowDataSource(DataSource):
    """The format "mflow". Options, besides the path of `load`:

    - where: a filter expression.
    - columns: names with commas between them; all facts of flows without it.
    - mode: "strict" (files that are not sealed, and damage, end the query) or "permissive".
    - pushdown: "true" turns filters of Spark into filter expressions. Load a data frame for each query then: Spark 4.1 to 4.3 keeps the filters
      of the first query for all queries of the data frame, and would leave out flows. `where` has no such limit.
    - split: the size of a task's range, such as "64m".
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
        mode: Any = self.options.get("mode", "strict")
        options = self.options
        return query(path, options.get("where"), mode, options.get("body_limit"), options.get("tool"))

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
        return FlowReader(self._query(), schema, self.options.get("split", "64m"), pushdown == "true")


class FlowReader(DataSourceReader):
    def __init__(self, asked: Query, schema: StructType, size: str, pushes_filters: bool) -> None:
        self._query, self._schema, self._size, self._pushes_filters = asked, schema, size, pushes_filters

    def pushFilters(self, filters: list[Any]) -> Iterator[Any]:
        """Takes the filters that filter expressions can answer. Those that are not answered exactly are Spark's as well."""
        for one in filters:
            term, is_exact = None, False
            if self._pushes_filters and len(getattr(one, "attribute", ())) == 1:
                term, is_exact = _pushdown.expression(type(one).__name__, one.attribute[0], getattr(one, "value", None))
            if term is not None:
                self._query = replace(self._query, filters=(*self._query.filters, term))
            if not is_exact:
                yield one

    def partitions(self) -> list[FlowPartition]:
        # A path that is relative to the driver's directory means nothing to an executor.
        asked = replace(self._query, files=tuple(map(os.path.abspath, self._query.files)))
        return [FlowPartition(split) for split in asked.splits(self._size)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        assert isinstance(partition, FlowPartition)
        target = to_arrow_schema(self._schema, timezone="UTC")
        for batch in self._query.split_batches(self._schema.names, partition.split):
            # Spark's times are microseconds, and it has no dictionaries.
            arrays = [_cast(array, field.type) for array, field in zip(batch.columns, target, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=target)


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
