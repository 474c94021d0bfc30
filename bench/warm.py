"""What every process of bench/kills.py would read and compile anew; its fork server imports it once."""

import multiplex.report.markdown  # noqa: F401 (for those who are forked)
from bench.kills import _personas, _scenario
from multiplex.content.roles import load_roles
from multiplex.deliberation.build import build

load_roles()
_personas()
build(_scenario()[1])
