"""The moral graph in the shapes that others read and write.

Read in this order: cards, edges, dft, mgg, graphml, spreadsheets, reading, and tables for judgements. These are
functions between plain data (what a JSON parser returns, a stream of bytes, a text) and a `MoralGraph`; opening
files is left to the caller. What is read is not trusted: an error is a ValueError whose one sentence says where the
data are wrong.
"""

from multiplex.moral_graph.formats.dft import read_dft, to_dft_json
from multiplex.moral_graph.formats.graphml import to_graphml

__all__ = ["read_dft", "to_dft_json", "to_graphml"]
