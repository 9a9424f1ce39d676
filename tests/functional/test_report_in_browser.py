"""The report of the main job in a real browser: no console errors, and no sideways scrolling on a narrow screen."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).parent / "lncohort"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)
WIDTHS = (320, 390, 1200)
MEASURE = """<!DOCTYPE html><title>measure</title><body>{frames}<script>
addEventListener("load", () => {{
  document.querySelectorAll("iframe").forEach((frame) => {{
    const page = frame.contentDocument.documentElement;
    const result = document.createElement("output");
    const figures = page.querySelectorAll("svg").length;
    result.textContent = `width ${{frame.width}}: page ${{page.scrollWidth}}, figures ${{figures}}`;
    document.body.append(result);
  }});
}});
</script>"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


def browse(page: Path, profile: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--enable-logging=stderr", f"--user-data-dir={profile}", "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0 or not done.stdout.strip():
        pytest.skip(f"Chromium does not start here: exit code {done.returncode}")
    return done


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("report")
    subprocess.run([COMMAND, "reproduce", "--out", place / "run"], check=True, capture_output=True)
    return place / "run" / "report.html"


@pytest.mark.slow
def test_it_opens_from_disk_without_a_console_message(report: Path, tmp_path: Path) -> None:
    done = browse(report, tmp_path)
    assert "How to make this again" in done.stdout
    assert not re.findall(r".*CONSOLE.*", done.stderr)


@pytest.mark.slow
def test_only_tables_scroll_sideways_at_every_width(report: Path, tmp_path: Path) -> None:
    page = html.escape(report.read_text(encoding="utf-8"), quote=True)
    frames = "".join(f'<iframe width="{width}" height="900" srcdoc="{page}"></iframe>' for width in WIDTHS)
    harness = tmp_path / "measure.html"
    harness.write_text(MEASURE.format(frames=frames), encoding="utf-8")
    found = re.findall(r"width (\d+): page (\d+), figures (\d+)", browse(harness, tmp_path / "profile").stdout)
    assert [(int(width), int(figures)) for width, _, figures in found] == [(width, 36) for width in WIDTHS]
    assert all(int(page_width) <= int(width) for width, page_width, _ in found), found
