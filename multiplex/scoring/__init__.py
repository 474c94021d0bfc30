"""How many perspectives an answer carries, how far the panel agrees, and how it moved.

Read in this order: score (what every function here returns), entropy, stances, consensus, polis,
bridging, agreement, pluralism, dynamics, jury, discretion, value_action, priorities, inequity, intervals;
and for perspectives: classifiers, evenness, floors, perspectives, measured, judge, nli, corpus. Every score
is a pure function over plain data; where it is undefined its value is None with a reason, never 0 or 1 by
accident. Perspective entropy (which viewpoints a text covers) and stance entropy (how far a panel
disagrees) are different things with different names.
"""
