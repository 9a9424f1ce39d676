"""The numerical core: arrays in, frozen dataclasses out, no data frames."""
