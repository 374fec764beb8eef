"""Evaluates JSONPath with PyPI jsonpath-rfc9535.

Reads a JSON array of cases, each [text, path]. Prints an array with an answer for each: "text" if the text is not JSON, "names" if an object has
a name twice, "path" if the path is not valid, otherwise the list of the normalized paths of the values."""
import json
import sys

import jsonpath_rfc9535


class Repeated(Exception):
    pass


def unique(pairs):
    if len({name for name, _ in pairs}) < len(pairs):
        raise Repeated
    return dict(pairs)


def refuse(constant):
    raise ValueError(constant)


def answer(text, path):
    try:
        document = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except Repeated:
        return "names"
    except (ValueError, RecursionError):
        return "text"
    try:
        query = jsonpath_rfc9535.compile(path)
    except jsonpath_rfc9535.JSONPathError:
        return "path"
    return [node.path() for node in query.find(document)]


json.dump([answer(text, path) for text, path in json.load(sys.stdin)], sys.stdout)
