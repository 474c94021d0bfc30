"""The privacy agent: finds personal data in prompts and answers, and masks it.

Read `masking` first (the `Masker` that everything else calls), then `engine` (Presidio and its recognizers),
`contacts` and `identities` (the patterns that we add), `names` and `scripts` (how a name is told from a
word), and `contexts` and `gazetteer` (what it is told by). `reading` is a text as all of
them look through it, `public` holds what is never masked, and `references` tells a chapter from the address of a
computer.
"""

from multiplex.dataset.privacy.masking import DEFAULT, Found, Masked, Masker, Session
from multiplex.dataset.privacy.public import public_names

__all__ = ["DEFAULT", "Found", "Masked", "Masker", "Session", "public_names"]
