"""The stages, one module each: which acts a stage asks for, and what it makes of the replies.

`step` holds the shape they share. The rest is in the order of a deliberation: `opening`, `exchange`,
`articulate`, `compare`, `synthesise`, `ratify`, `contrast`; and, for strategies without a panel, `alone`;
`observe`.
"""
