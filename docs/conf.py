"""Sphinx settings. `make docs` builds with every warning an error."""

import sys
from importlib.metadata import version as installed_version
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "bptt"
author = "The bptt authors"
copyright = author
version = release = installed_version("bptt")

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "native_math", "derivation"]
html_math_renderer = "native"  # no script and no network
exclude_patterns = ["_build"]

html_static_path = ["_static"]
html_theme = "furo"
html_title = f"bptt {release}"

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "imported-members": True}
autodoc_member_order = "groupwise"
autodoc_typehints = "none"  # the Parameters sections state them, with shapes and units
autodoc_preserve_defaults = True
# `bptt.torch`, `bptt.sklearn` and `bptt.sktime` are documented where there is no PyTorch, scikit-learn or sktime, too.
autodoc_mock_imports = [name for name in ("torch", "sklearn", "sktime") if not find_spec(name)]
numpydoc_show_class_members = False
