"""Content: what people who are not programmers write, one kind of file a module.

Read `files` (finding and reading, errors), then `personas`, `panels`, `scenarios`, `protocols` and
`roles`; `topics` and `schwartz` hold the closed lists they use.
"""
