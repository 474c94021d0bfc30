"""What `multiplex doctor` looks at: the installation, the content, and the model that is named.

Read `finding` first, then `examine`; `installation`, `served` and `engine` are what it looks at, and
`endpoint` asks a server that may answer anything.
"""

from multiplex.cli.doctor.examine import examine
from multiplex.cli.doctor.finding import Finding

__all__ = ["Finding", "examine"]
