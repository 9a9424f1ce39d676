"""Published against reproduced, number by number."""

from analyses.reproduction.ledger import LEDGER_COLUMNS, Verdict, reproduction_ledger, unmet_rates

__all__ = ["LEDGER_COLUMNS", "Verdict", "reproduction_ledger", "unmet_rates"]
