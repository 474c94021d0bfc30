"""Responders: whoever answers acts.

Read `language_model` (renders a role, calls a model, validates), then `extractive` (answers from
the panel's own sourced commitments, with no language model), then `scripted` (a public fake).
"""
