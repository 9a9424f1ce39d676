"""The report: one self-contained HTML page built only from a results folder."""

from __future__ import annotations

from analyses.report.inputs import write_frame
from analyses.report.page import build_report, is_report

__all__ = ["build_report", "is_report", "write_frame"]
