"""How a synthetic lupus-nephritis cohort is made from a published record."""
