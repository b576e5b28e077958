"""The repository's address and release, written wherever they are needed.

They stand in ``_config.yml`` (repository: url) and ``pyproject.toml`` (version);
`written` says what every other file must then read, and a test compares.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

FILES = ("README.md", "CONTRIBUTING.md", "CITATION.cff", "LICENSE", "_config.yml")
COLAB = """\
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("diffkit") is None:  # on Colab: this release
    pip = [sys.executable, "-m", "pip", "install", "-q"]
    book = "git+{url}@v{version}"
    subprocess.check_call([*pip, "jaxtyping"])
    subprocess.check_call([*pip, "--no-deps", book])
"""
CELL = re.compile(r'(# %% tags=\["remove-cell"\]\n).*?(?=\n# %%)', re.DOTALL)


def release(root: Path) -> tuple[str, str]:
    """The repository's address, https://github.com/owner/name, and its version."""
    config = yaml.safe_load((root / "_config.yml").read_text())
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    url = config["repository"]["url"].rstrip("/")
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", url):
        raise ValueError(f"_config.yml: {url!r} is not https://github.com/owner/name")
    return url, project["version"]


def colab(root: Path) -> str:
    """The first code cell of every chapter."""
    url, version = release(root)
    return COLAB.format(url=url, version=version)


def readdressed(text: str, url: str, version: str) -> str:
    """A text with its GitHub, Binder, Colab and Pages links to this repository.

    It takes every link of these four forms for its own: such files may not link
    to other people's repositories.
    """
    owner, name = url.split("/")[-2:]
    forms = {
        r"github\.com/[\w-]+/[\w.-]*\w": f"github.com/{owner}/{name}",
        r"mybinder\.org/v2/gh/[\w-]+/[\w.-]+": f"mybinder.org/v2/gh/{owner}/{name}",
        r"google\.com/github/[\w-]+/[\w.-]+": f"google.com/github/{owner}/{name}",
        r"[\w-]+\.github\.io/[\w.-]*\w": f"{owner}.github.io/{name}",
        r"(?m)^version: .*$": f"version: {version}",
    }
    for form, ours in forms.items():
        text = re.sub(form, ours, text)
    return text


def written(root: Path) -> dict[Path, str]:
    """The files that name the address, and what they must read."""
    url, version = release(root)
    files = [root / name for name in FILES if (root / name).exists()]
    found = {p: readdressed(p.read_text(), url, version) for p in files}
    for path in sorted((root / "chapters").glob("*/*.py")):
        text = path.read_text()
        if not CELL.search(text):
            raise ValueError(
                f'{path.name}: its first code cell must be # %% tags=["remove-cell"]'
            )
        cell = colab(root).rstrip("\n")
        found[path] = CELL.sub(lambda m, c=cell: m[1] + c + "\n", text, count=1)
    return found
