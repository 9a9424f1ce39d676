"""A cohort as a real registry would hold it: other layout, units and spellings, planted faults, all of them listed."""
