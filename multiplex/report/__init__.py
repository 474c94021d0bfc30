"""Reports: a run made readable. `markdown` for now."""
