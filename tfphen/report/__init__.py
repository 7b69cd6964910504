"""Reports of runs: on a terminal, as HTML, Markdown and JSON. Nothing here trains."""
