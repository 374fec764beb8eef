"""Filters of Spark as filter expressions, which skip blocks that cannot match.

An expression selects at least the flows for which the filter is true. If it selects exactly these, Spark need not evaluate the filter again.
"""

from __future__ import annotations

import datetime
import re
from typing import Any

STATUSES = range(100, 1000)
ALWAYS_KNOWN = {"id", "kind", "state", "started"}
KINDS = {"http": "~http", "tcp": "~tcp", "tls": "(!~http & !~tcp)"}
COMPARISONS = {"GreaterThan": ">", "GreaterThanOrEqual": ">=", "LessThan": "<", "LessThanOrEqual": "<="}
#: Beyond them the number of nanoseconds does not fit, and Spark's own evaluation is the simple way.
EARLIEST, LATEST = datetime.datetime(1700, 1, 1, tzinfo=datetime.timezone.utc), datetime.datetime(2260, 1, 1, tzinfo=datetime.timezone.utc)
MICROSECOND = datetime.timedelta(microseconds=1)


def quoted(text: str) -> str:
    """A word of the filter language: in quotes a backslash precedes quotes and backslashes."""
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def exact_text(text: str, *, is_prefix: bool = False) -> str | None:
    """A regular expression for a text, or for what begins with it, that respects case; None if it has characters other than ASCII's.

    What is not valid UTF-8 in a flow is another character in a column, so such texts are left to Spark.
    """
    if not text or not text.isascii() or not text.isprintable():
        return None
    return quoted(r"\A(?-i:%s)%s" % (re.escape(text), "" if is_prefix else r"\z"))


def moment(value: Any) -> datetime.datetime | None:
    """A time that fits a filter expression. Spark passes times with a zone."""
    if not isinstance(value, datetime.datetime) or value.tzinfo is None:
        return None
    utc = value.astimezone(datetime.timezone.utc)
    return utc if EARLIEST < utc < LATEST else None


def time_word(value: datetime.datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def expression(name: str, column: str, value: Any) -> tuple[str | None, bool]:
    """The expression of a filter, given by the name of its class, and whether it is exact.

    None and False when there is none; None and True for a filter that all flows pass.
    """
    if name == "IsNotNull":
        return None, column in ALWAYS_KNOWN
    if value is None:
        return None, False
    if name == "In":
        terms = [expression("EqualTo", column, one) for one in value if one is not None]
        if not terms or any(term is None for term, _ in terms):
            return None, False
        return "(%s)" % " | ".join(term for term, _ in terms if term), all(is_exact for _, is_exact in terms)
    term = None
    if column == "status":
        term = _status(name, value)
    elif column == "started":
        term = _started(name, value)
    elif name == "EqualTo" and column == "kind":
        term = KINDS.get(value)
    elif name == "EqualTo" and column == "state" and value == "incomplete":
        term = "~incomplete"
    elif name in ("EqualTo", "StringStartsWith") and column in ("method", "host") and isinstance(value, str):
        text = exact_text(value, is_prefix=name == "StringStartsWith")
        if column == "host" and text:
            # Of a flow with an address and a name ~d tests both, and the column has one; and ~d is for HTTP alone.
            return "(~d %s | !~http)" % text, False
        term = "~m %s" % text if text else None
    return term, term is not None


def _status(name: str, value: Any) -> str | None:
    if not isinstance(value, int) or isinstance(value, bool) or value not in STATUSES:
        return None
    if name == "EqualTo":
        return "~c %d" % value
    return "~c %s%d" % (COMPARISONS[name], value) if name in COMPARISONS else None


def _started(name: str, value: Any) -> str | None:
    """Times of Spark are whole microseconds, of which each is a thousand nanoseconds of a flow file."""
    at = moment(value)
    if at is None:
        return None
    this, following = time_word(at), time_word(at + MICROSECOND)
    terms = {
        "EqualTo": "(~since %s & ~until %s)" % (this, following),
        "GreaterThan": "~since %s" % following,
        "GreaterThanOrEqual": "~since %s" % this,
        "LessThan": "~until %s" % this,
        "LessThanOrEqual": "~until %s" % following,
    }
    return terms.get(name)
