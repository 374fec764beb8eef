"""Filters of Spark as filter expressions: they select what the filters select. Tests/Foreign/spark runs them in Spark."""

import datetime
import operator

import mitm_flows
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from mitm_flows import _pushdown

UTC = datetime.timezone.utc
COLUMNS = ["id", "kind", "state", "started", "method", "host", "status"]
COMPARE = {
    "EqualTo": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqual": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqual": operator.le,
    "StringStartsWith": lambda found, wanted: found.startswith(wanted),
    "In": lambda found, wanted: found in wanted,
}


@pytest.fixture(scope="module")
def rows(captures):
    table = mitm_flows.read(captures, columns=COLUMNS)
    # Spark's times are microseconds.
    started = pc.cast(table["started"], pa.timestamp("us", tz="UTC"), safe=False)
    return table.set_column(COLUMNS.index("started"), "started", started).to_pylist()


def filters(rows):
    started = sorted(row["started"] for row in rows)
    for name in ["EqualTo", "GreaterThan", "GreaterThanOrEqual", "LessThan", "LessThanOrEqual"]:
        yield name, "status", 404
        yield name, "started", started[len(started) // 2]
    yield "In", "status", [404, 500, None]
    yield "In", "method", ["GET", "POST"]
    yield "In", "kind", ["tcp", "tls"]
    for kind in ["http", "tcp", "tls"]:
        yield "EqualTo", "kind", kind
    yield "EqualTo", "state", "incomplete"
    for method in {row["method"] for row in rows} - {None}:
        yield "EqualTo", "method", method
        yield "EqualTo", "method", method.lower()
        yield "StringStartsWith", "method", method[:2]
    for host in sorted({row["host"] for row in rows} - {None})[:4]:
        yield "EqualTo", "host", host
        yield "EqualTo", "host", host.upper()
        yield "StringStartsWith", "host", host[:4]


def test_expressions_select_what_the_filters_select(rows, captures):
    count = 0
    for name, column, value in filters(rows):
        term, is_exact = _pushdown.expression(name, column, value)
        assert term is not None, (name, column, value)
        compare = COMPARE[name]
        expected = {row["id"] for row in rows if row[column] is not None and compare(row[column], value)}
        found = set(mitm_flows.read(captures, term, columns=["id"], mode="permissive")["id"].to_pylist())
        assert (found == expected) if is_exact else (found >= expected), (name, column, value, term)
        count += 1
    assert count > 30


@pytest.mark.parametrize("text", ['a"b', "a'b", "a\\", '\\"', "a b", "(x)", "x|y", "~d", "a.b", "\\E.*", "$", "!", "#", "[a-z]", "&"])
def test_texts_are_quoted(text, captures):
    terms = [_pushdown.expression("EqualTo", "method", text)[0], _pushdown.expression("StringStartsWith", "host", text)[0]]
    assert mitm_flows.read(captures, "(%s) | (%s & ~http)" % tuple(terms), columns=["id"], mode="permissive").num_rows == 0


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("EqualTo", "path", "/"),
        ("EqualTo", "status", None),
        ("EqualTo", "status", 99),
        ("EqualTo", "status", 1000),
        ("EqualTo", "status", True),
        ("EqualTo", "kind", "HTTP"),
        ("EqualTo", "state", "complete"),
        ("EqualTo", "method", "GÉT"),
        ("EqualTo", "method", "GET\n"),
        ("EqualTo", "method", ""),
        ("EqualTo", "started", datetime.datetime(2026, 1, 1)),
        ("EqualTo", "started", datetime.datetime(2400, 1, 1, tzinfo=UTC)),
        ("EqualNullSafe", "status", 200),
        ("Not", "status", None),
        ("In", "status", [200, 99]),
        ("In", "status", [None]),
        ("StringContains", "host", "a"),
        ("IsNotNull", "status", None),
        ("IsNull", "status", None),
    ],
)
def test_other_filters_are_left_to_spark(name, column, value):
    assert _pushdown.expression(name, column, value) == (None, False)


def test_a_column_that_every_flow_has_is_never_null():
    assert _pushdown.expression("IsNotNull", "started", None) == (None, True)
