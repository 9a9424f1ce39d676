"""The three import packages come from this distribution, hold what they should, and load nothing heavy."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import urlparse

import pytest

PACKAGES = ("cohort", "synthetic", "analyses")
CHECKOUT = Path(__file__).resolve().parents[2]
HEAVY = ("lifelines", "statsmodels", "sklearn", "matplotlib", "numba", "pandera")


def test_packages_come_from_this_distribution() -> None:
    distribution = importlib.metadata.distribution("lncohort")
    installed = {str(file): Path(str(file.locate())).resolve() for file in distribution.files or ()}
    url = json.loads(distribution.read_text("direct_url.json") or "{}")
    for package in PACKAGES:
        specification = importlib.util.find_spec(package)
        assert specification is not None
        assert specification.origin is not None
        origin = Path(specification.origin).resolve()
        if url.get("dir_info", {}).get("editable"):
            assert origin == Path(urlparse(url["url"]).path) / package / "__init__.py"
        else:
            assert origin == installed[f"{package}/__init__.py"]
        assert (origin.parent / "py.typed").is_file()


def test_version_is_one() -> None:
    import cohort

    assert importlib.metadata.version("lncohort") == cohort.__version__


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_loads_nothing_heavy(package: str) -> None:
    names = ", ".join(map(repr, HEAVY))
    program = f"""
import importlib, pkgutil, sys
package = importlib.import_module({package!r})
for found in pkgutil.walk_packages(package.__path__, {package + "."!r}):
    importlib.import_module(found.name)
print([name for name in ({names},) if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_loads_no_numpy_and_no_pydantic() -> None:
    program = """
import sys
sys.argv = ["lncohort", "--help"]
import cohort.cli.main
print([name for name in ("numpy", "pandas", "pydantic", "pyarrow", "scipy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_wheel_holds_the_three_packages_their_data_and_nothing_else(tmp_path: Path) -> None:
    built = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--wheel-dir",
            tmp_path,
            CHECKOUT,
        ],
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == set(PACKAGES)
    assert "cohort/studies/kim2025.toml" in names
    assert any(name.startswith("analyses/report/") and name.endswith(".html") for name in names)
    assert not [name for name in names if "/tests/" in name or name.endswith(".pyc")]
    metadata = next(name for name in names if name.endswith("/METADATA"))
    assert "lncohort" in zipfile.ZipFile(wheel).read(metadata).decode()
