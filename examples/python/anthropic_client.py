"""The official Anthropic SDK, pointed at Breakwater.

    pip install anthropic
    breakwater serve &
    python examples/python/anthropic_client.py
"""

from anthropic import Anthropic

client = Anthropic(base_url="http://127.0.0.1:8080", api_key="not-needed-on-loopback")

answer = client.messages.create(
    model="default",
    max_tokens=200,
    messages=[{"role": "user", "content": "What is a breakwater?"}],
)
print(answer.content[0].text)

with client.messages.stream(
    model="default",
    max_tokens=200,
    messages=[{"role": "user", "content": "And a mole?"}],
) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)
print()
