"""How Sphinx builds this site: C{script/test docs}, warnings are errors, nothing is fetched."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pybootd import __version__  # noqa: E402

project = "pybootd"
author = "the authors of pybootd"
version = release = __version__

sys.path.insert(0, str(Path(__file__).resolve().parent / "extensions"))
extensions = ["seams", "sequence"]
nitpicky = True
language = "en"
exclude_patterns = ["extensions"]

html_theme = "furo"
html_title = f"pybootd {release}"
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"top_of_page_buttons": []}  # no links to a source on the web
