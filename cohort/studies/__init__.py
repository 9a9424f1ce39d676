"""The published records that lncohort carries: one TOML file a study, read by :mod:`cohort.targets`."""
