"""What every test starts from: no model in the environment, and no network but loopback."""

import socket
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("steady", deadline=None)  # machines are noisy, and no test is about time
settings.load_profile("steady")

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_connect = socket.socket.connect


def _connect_to_loopback(self: socket.socket, address: Any) -> None:
    if isinstance(address, tuple) and address[0] not in _LOOPBACK:
        raise AssertionError(f"a test reached for the network: {address}")
    _connect(self, address)


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "MULTIPLEX_MODEL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(socket.socket, "connect", _connect_to_loopback)
