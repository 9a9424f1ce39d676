"""Response rates by group and visit, and their unadjusted comparison."""

from __future__ import annotations

from analyses.response.rates import compare_rates, response_rates

__all__ = ["compare_rates", "response_rates"]
