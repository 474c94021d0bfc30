"""Models: text in, text out.

Read `base` first (the one-method protocol), then `served` (any OpenAI-compatible endpoint) and
`scripted` (a public fake); `limited`, `cached` and `given` are wrappers with the same method.
"""
