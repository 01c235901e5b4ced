"""The official OpenAI SDK, pointed at Breakwater.

    pip install openai
    breakwater serve &
    python examples/python/openai_client.py
"""

from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8080/v1", api_key="not-needed-on-loopback")

answer = client.chat.completions.create(
    model="default",
    messages=[{"role": "user", "content": "What is a breakwater?"}],
)
print(answer.choices[0].message.content)

stream = client.chat.completions.create(
    model="default",
    messages=[{"role": "user", "content": "And a mole?"}],
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
