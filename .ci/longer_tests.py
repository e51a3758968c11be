"""Print a `--deselect` option per test that took longer than some seconds: `longer_tests.py times.xml SECONDS`.

The times come from `pytest --junitxml=times.xml -o junit_family=xunit1`. Of a parametrized test, all cases are left out
if their sum is longer. Without the file, nothing is printed, so that all tests run.
"""

import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree


def times(report: Path) -> Counter[str]:
    """The seconds of every test function, all its cases together, by node id."""
    found: Counter[str] = Counter()
    for case in ElementTree.parse(report).iter("testcase"):
        if "file" in case.attrib:
            found[f"{case.attrib['file']}::{case.attrib['name'].partition('[')[0]}"] += float(case.attrib["time"])
    return found


if __name__ == "__main__":
    path, limit_s = Path(sys.argv[1]), float(sys.argv[2])
    for test, duration_s in times(path).items() if path.is_file() else ():
        if duration_s > limit_s:
            print(f"--deselect={test}")
