"""`sextant score` as a process: python -m tests.support.score CASE FILE…"""

import sys

from dagster_project.commands.main import main

if __name__ == "__main__":
    main(["score", *sys.argv[1:]])
