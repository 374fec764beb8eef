"""Prints flow files; the program of tools/mflow.py and of `python -m mitm_flows`.

usage: mflow.py FILE...              one JSON object for each flow, bodies in base64, as `mitm-dump --format json --raw-body` prints them
       mflow.py --structure FILE...  the frames of a file

Exit status: 0; 2 when a file cannot be read; 3 when something was damaged or torn, which is reported on stderr.
"""

from __future__ import annotations

import json
import os
import sys

from ._errors import FlowFileError
from ._file import Block, FlowFile
from ._reader import Recording

NAME = "mflow.py"


def _report(sentence: str) -> None:
    print("%s: %s" % (NAME, sentence), file=sys.stderr)


def _print_structure(files: list[str]) -> bool:
    damage: list[str] = []
    for path in files:
        file = FlowFile(path, damage.append)
        for kind, offset, end, rest in file.frames():
            if isinstance(rest, Block):
                detail = "%d records, %d flows, %d content chunks" % (rest.count, rest.flows, len(rest.chunks))
            else:
                detail = "%d bytes" % (end - offset)
            print(offset, kind, detail)
        file.close()
    for sentence in damage:
        _report(sentence)
    return bool(damage)


def _print_flows(files: list[str]) -> bool:
    recording = Recording(files, "permissive", _report)
    for flow in recording:
        print(json.dumps(flow.to_dict(), ensure_ascii=False))
    return bool(recording.damage)


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__ and __doc__.split("\n\n", 1)[1].strip())
        return 0 if arguments else 2
    files = [argument for argument in arguments if argument != "--structure"]
    try:
        is_damaged = _print_structure(files) if "--structure" in arguments else _print_flows(files)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone. Python would report it once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:
        _report("%s: %s" % (error.filename, error.strerror))
        return 2
    except FlowFileError as error:
        _report(str(error))
        return 2
    return 3 if is_damaged else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
