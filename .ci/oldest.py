"""Print, as pip constraints, the oldest version that pyproject.toml allows of each dependency and of its extras."""

import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
requirements = [*project["dependencies"]]
for extra in ("data", "test"):
    requirements += project["optional-dependencies"][extra]
for requirement in requirements:
    if found := re.match(r"([\w.-]+)>=([\d.]+)", requirement):
        print(f"{found[1]}=={found[2]}")
