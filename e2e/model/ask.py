"""Asks the gateway with both official SDKs, whole and streamed, and prints what came as JSON."""

import json
import os
import sys

import anthropic
import openai

URL, MODEL, PROMPT, LIMIT = os.environ["BREAKWATER_URL"], sys.argv[1], sys.argv[2], int(sys.argv[3])
# Temperature 0 makes the answers repeat. Anthropic's SDK has no parameter for it.
ask = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": LIMIT, "extra_body": {"temperature": 0}}


def with_openai() -> dict:
    create = openai.OpenAI(base_url=URL + "/v1", api_key="none", max_retries=0).chat.completions.create
    whole = create(**ask)
    pieces = [c.choices[0].delta.content or "" for c in create(**ask, stream=True) if c.choices]
    return {
        "whole": whole.choices[0].message.content,
        "pieces": [p for p in pieces if p],
        "tokens": whole.usage.completion_tokens,
        "finish": whole.choices[0].finish_reason,
    }


def with_anthropic() -> dict:
    service = anthropic.Anthropic(base_url=URL, api_key="none", max_retries=0).messages
    whole = service.create(**ask)
    with service.stream(**ask) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert final.content[0].text == "".join(pieces)
    return {
        "whole": whole.content[0].text,
        "pieces": pieces,
        "tokens": whole.usage.output_tokens,
        "finish": whole.stop_reason,
    }


print(json.dumps({"openai": with_openai(), "anthropic": with_anthropic()}))
