"""What the tests of both SDKs share: the gateway to call, and a name for each call.

The gateway, its keys and the simulated providers behind it are set up by the Go test in
the folder above, which also reads the results and checks what the providers received.
"""

import base64
import os
import struct
import zlib

import pytest

URL = os.environ["BREAKWATER_URL"]
KEY = os.environ["BREAKWATER_KEY"]
LIMITED_KEY = os.environ["BREAKWATER_LIMITED_KEY"]  # may use the chat models only
SDK = os.environ["BREAKWATER_SDK"]  # the name of this run

# What testdata/replies.yaml says.
TEXT = "The harbour is calm today."
ANA = {"name": "Ana", "age": 31, "tags": ["sailor", 'née "Silva"']}
RETRY_AFTER = "7"

IMAGE_URL = "https://images.example/harbour.png"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# A picture of one pixel.
PNG = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress(b"\0\0"))
    + _chunk(b"IEND", b"")
)
PNG_BASE64 = base64.b64encode(PNG).decode()

# More than the gateway's limits.max_body.
TOO_LONG = "wave " * 300_000

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


class Case:
    """One call, or one conversation, and the upstream that answers it."""

    def __init__(self, upstream: str, name: str):
        self.upstream = upstream
        self.id = f"{SDK}/{upstream}/{name}"
        # The id goes with the call as its request id; with that the Go test finds its log line.
        self.headers = {"X-Request-Id": self.id.replace("/", ".")}

    def model(self, behaviour: str) -> str:
        return f"{self.upstream}-{behaviour}"

    def own(self, behaviour: str) -> str:
        """A model that nobody else calls: rate limits have an effect on later calls."""
        return f"{behaviour}-{SDK}"

    def say(self, text: str = "How is the sea?") -> str:
        return f"{text} [{self.id}]"


@pytest.fixture(params=["openai", "anthropic"])
def case(request) -> Case:
    name = request.node.originalname.removeprefix("test_")
    return Case(request.param, name)
