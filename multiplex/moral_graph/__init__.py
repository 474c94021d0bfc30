"""The values behind a deliberation: cards as nodes, "wiser than" judgements as edges.

Read in this order: cards, criteria, merging (what is one value), candidates (what is compared),
judgements, edges, graph, pooling, bradley_terry, ranking, contradictions, across (what is one
value in several runs), combining, formats, comparing, in_text.
Everything here is a pure function over plain data and knows nothing of models, files or LangGraph.
The method is Moral Graph Elicitation (Klingefjord, Lowe and Edelman 2024, arXiv 2404.10636); where this
project departs from the published code, the docstring says so.
"""
