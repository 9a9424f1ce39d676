"""A process that has imported the libraries and forks once a command, so that a test does not wait for imports.

Run by the fixture ``lncohort``: a line of JSON in, ``{"arguments", "cwd", "stdout", "stderr"}``; a line out, the exit
code. What is forked runs the installed script from its beginning: of the project itself nothing is imported before.
"""

import json
import os
import runpy
import sys
from typing import NoReturn

import numpy  # noqa: F401
import pandas  # noqa: F401
import pyarrow.compute
import pyarrow.parquet  # noqa: F401
import pydantic  # noqa: F401
import scipy.linalg
import scipy.special  # noqa: F401
import typer  # noqa: F401


def run(request: dict[str, str]) -> NoReturn:
    """Become the command; leaves as the script leaves, through the interpreter's own exit."""
    os.chdir(request["cwd"])
    for stream, path in ((0, os.devnull), (1, request["stdout"]), (2, request["stderr"])):
        there = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(there, stream)
        os.close(there)
    sys.argv = list(request["arguments"])
    runpy.run_path(sys.argv[0], run_name="__main__")
    raise SystemExit(0)


for line in sys.stdin:
    child = os.fork()
    if not child:
        run(json.loads(line))
    sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
    sys.stdout.flush()
