"""The deliberation: a protocol compiled to a LangGraph graph, and run.

Read `state` (what the graph holds), then `stages` (one module a stage: which acts it asks for, and
what it makes of the replies), `build` (how stages become a graph), `events` (what a caller sees
while it runs), `answers` and `scores` (what comes out), and `run` (all of it in one call).
"""
