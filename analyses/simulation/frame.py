"""The frame that the pages of simulation studies share."""

from __future__ import annotations


def render_page(template: str, **values: object) -> str:
    """Fill a template of this package; every page extends ``frame.html``.

    Parameters
    ----------
    template
        Name of the file.
    values
        What the template and the frame name; ``facts`` at least.

    Raises
    ------
    jinja2.UndefinedError
        If the template names something that is not among the values.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("analyses.simulation", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)
