"""What every process of bench/kills.py would import, read, compile and train anew; its fork server does it once.

It runs nothing that starts a thread, which a fork would not take along.
"""

import sqlite3  # noqa: F401 (as all that is imported here: for those who are forked)

import aiohttp  # noqa: F401
import langgraph.checkpoint.sqlite  # noqa: F401
import networkx  # noqa: F401

import multiplex.cli.run
import multiplex.deliberation.checkpoints
import multiplex.models.served
import multiplex.report.markdown  # noqa: F401
from bench.kills import _personas, _scenario, _Words
from multiplex.content.panels import seat
from multiplex.content.roles import _template, load_roles
from multiplex.deliberation.build import build
from multiplex.deliberation.scores import classifier_for

for role in load_roles().values():
    _template(role.body)
build(_scenario()[1])
classifier_for(seat(_personas()).pack, _Words())
