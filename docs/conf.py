"""How Sphinx reads the documents. `python tools/build_site.py SITE` puts the pages together and builds them."""

project = "vidaug"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "vidaug"
html_show_sphinx = False
html_copy_source = False
myst_heading_anchors = 4  # as GitHub makes them
suppress_warnings = ["myst.header"]
html_static_path = ["films", "site"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
myst_enable_extensions = ["deflist"]  # options of commands
autodoc_typehints = "description"
autodoc_member_order = "bysource"
default_role = "code"  # of names in backticks, in docstrings
smartquotes = False  # they make one dash of the two of an option
