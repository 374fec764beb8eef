#!/usr/bin/env python3
"""Prints flow files with Python alone: the package mitm_flows of python/ as a program, without an installation.

usage: mflow.py FILE...              one JSON object for each flow, bodies in base64, as `mitm-dump --format json --raw-body` prints them
       mflow.py --structure FILE...  the frames of a file
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python" / "src"))
from mitm_flows.__main__ import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
