"""The extractive responder: answers from the panel's own sourced commitments, with no language model.

Read `responder` first (one method an act), then `persona` and `moderator` (how each agent's
replies are put together), then `relevance` (how commitments are found) and `wording` (how
sentences are made).
"""

from multiplex.responders.extractive.responder import ExtractiveResponder

__all__ = ["ExtractiveResponder"]
