"""Print the oldest versions that pyproject.toml allows, as pip constraints: `python .ci/floors.py test > floors.txt`.

Lists the dependencies of the package and of the extras named on the command line, extras of extras included.
"""

import re
import sys
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

_PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[(?P<extras>[^\]]*)\])?(>=|==)(?P<version>[0-9.]+)")


def floors(requirements: list[str]) -> dict[str, str]:
    """The lower bound of every distribution that the requirements name."""
    found: dict[str, str] = {}
    for requirement in requirements:
        own = re.match(rf"{_PROJECT['name']}\[(.*)\]", requirement)
        if own:
            for extra in own[1].split(","):
                found |= floors(_PROJECT["optional-dependencies"][extra.strip()])
        elif (match := _REQUIREMENT.match(requirement)) and "python_version" not in requirement:
            found[match["name"]] = match["version"]
    return found


if __name__ == "__main__":
    wanted = [*_PROJECT["dependencies"], *(f"{_PROJECT['name']}[{extra}]" for extra in sys.argv[1:])]
    print("\n".join(f"{name}=={version}" for name, version in floors(wanted).items()))
