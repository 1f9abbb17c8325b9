"""Sphinx: the pages of this folder, and every lesson as a page with its output, its figure and a notebook: `make docs`.

`TGE_DOCS_QUICK=1` leaves the lessons unrun.
"""

from __future__ import annotations

import os
import re
from typing import Any

from sphinx_gallery.sorting import FileNameSortKey

from tinygrad_edu.lessons import lesson

project = "tinygrad_edu"
author = "tinygrad_edu developers"
extensions = ["myst_parser", "sphinx_gallery.gen_gallery"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {  # lines of 120 characters are read whole
    "page_width": "1240px",
    "body_max_width": "none",
    "sidebar_width": "250px",
    "code_font_size": "0.85em",
    "show_powered_by": "false",
    "description": "Automatic differentiation to read, to measure and to do exercises on",
}
html_copyright = "2026, tinygrad_edu developers"
suppress_warnings = ["myst.header", "config.cache"]

# The lesson's own file is page, notebook and test: text between its cells is reStructuredText.
sphinx_gallery_conf = {
    "examples_dirs": "../tinygrad_edu/lessons",
    "gallery_dirs": "path",
    "filename_pattern": r"lesson_\d\d_",
    "ignore_pattern": r"(__init__|\blesson|\bstyle)\.py$",
    "within_subsection_order": FileNameSortKey,
    "image_scrapers": ("matplotlib",),
    "capture_repr": (),  # what a cell prints, not what its last line is
    "remove_config_comments": True,
    "show_memory": False,
    "plot_gallery": "TGE_DOCS_QUICK" not in os.environ,
    "abort_on_example_error": True,
    "min_reported_time": 1,
    "copyfile_regex": "",
    "notebook_images": False,
}


def without_links_to_code(app: Any, name: str, source: list[str]) -> None:
    """In a page, a link to a file of the repository becomes the file's name: the page does not carry the repository."""
    source[0] = re.sub(r"\[`?([^]`]+)`?\]\(\.\./[^)]+\)", r"`\1`", source[0])


def setup(app: Any) -> None:
    """Called by Sphinx. Figures go into the pages, and not also into a folder beside the lessons."""
    lesson.settings.set(lesson.Settings(out=None))
    app.connect("source-read", without_links_to_code)
