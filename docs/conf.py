"""Sphinx settings. `make docs` builds with every warning an error."""

from importlib.metadata import version as installed_version

project = "bptt"
author = "The bptt authors"
copyright = author
version = release = installed_version("bptt")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "numpydoc"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"bptt {release}"

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "imported-members": True}
autodoc_member_order = "groupwise"
autodoc_typehints = "none"  # the Parameters sections state them, with shapes and units
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
