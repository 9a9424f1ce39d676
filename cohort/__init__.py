"""What a lupus-nephritis cohort is: schema, published record, definitions, validation and storage.

The package is one of three in the distribution ``lncohort`` (``cohort``, ``synthetic``, ``analyses``).
"""

__version__ = "0.1.0"
"""Version of the ``lncohort`` distribution."""
