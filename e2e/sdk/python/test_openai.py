"""The official OpenAI SDK for Python, against either kind of upstream."""

import json

import openai
import pytest
from pydantic import BaseModel

from conftest import (
    ANA, IMAGE_URL, KEY, LIMITED_KEY, PNG_BASE64, RETRY_AFTER, TEXT, TOO_LONG, URL, WEATHER, Case,
)

TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "The weather in a city.", "parameters": WEATHER}}]


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]


def client(case: Case, **options) -> openai.OpenAI:
    options = {"api_key": KEY, "base_url": URL + "/v1", "max_retries": 0, "timeout": 30} | options
    return openai.OpenAI(default_headers=case.headers, **options)


def ask(case: Case, behaviour: str = "chat", content=None, *, options=None, **params):
    messages = [{"role": "user", "content": content or case.say()}]
    return client(case, **(options or {})).chat.completions.create(
        **({"model": case.model(behaviour), "messages": messages} | params)
    )


def test_completion(case):
    r = ask(case, messages=[
        {"role": "system", "content": "You are a harbour pilot."},
        {"role": "user", "content": case.say()},
    ], max_tokens=100, temperature=0.5)
    assert r.choices[0].message.content == TEXT
    assert r.choices[0].message.role == "assistant"
    assert r.choices[0].finish_reason == "stop"
    assert r.object == "chat.completion"
    assert r.id
    assert r.model
    assert r._request_id == case.headers["X-Request-Id"]


def test_usage(case):
    r = ask(case)
    assert (r.usage.prompt_tokens, r.usage.completion_tokens, r.usage.total_tokens) == (12, 7, 19)


def test_streaming(case):
    chunks = list(ask(case, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == TEXT
    assert sum(1 for c in chunks if c.choices and c.choices[0].delta.content) > 2
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    assert len({c.id for c in chunks}) == 1
    # The provider is asked for the usage, which the gateway needs; the client did not ask.
    assert all(c.usage is None and c.choices for c in chunks)


def test_usage_stream(case):
    chunks = list(ask(case, stream=True, stream_options={"include_usage": True}))
    assert [c.usage.total_tokens for c in chunks if c.usage] == [19]
    assert chunks[-1].choices == []
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (12, 7)


def test_tools(case):
    r = ask(case, "tools", tools=TOOLS)
    message = r.choices[0].message
    assert r.choices[0].finish_reason == "tool_calls"
    assert message.content is None
    assert len(message.tool_calls) == 1
    call = message.tool_calls[0]
    assert call.type == "function" and call.id
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Lisbon"}


def test_tools_parallel(case):
    r = ask(case, "tools-parallel", tools=TOOLS, tool_choice="auto", parallel_tool_calls=True)
    message = r.choices[0].message
    assert message.content == "Let me look."
    assert [json.loads(c.function.arguments)["city"] for c in message.tool_calls] == ["Lisbon", "Oslo"]
    assert len({c.id for c in message.tool_calls}) == 2


def test_tools_stream(case):
    with client(case).chat.completions.stream(
        model=case.model("tools-parallel"), messages=[{"role": "user", "content": case.say()}], tools=TOOLS,
    ) as stream:
        deltas = [e for e in stream if e.type == "tool_calls.function.arguments.delta"]
        message = stream.get_final_completion().choices[0].message
    assert len(deltas) > 2
    assert message.content == "Let me look."
    assert [(c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls] == [
        ("get_weather", {"city": "Lisbon"}), ("get_weather", {"city": "Oslo"}),
    ]
    assert len({c.id for c in message.tool_calls}) == 2


def test_tool_result(case):
    messages = [{"role": "user", "content": case.say()}]
    message = ask(case, "tools-parallel", messages=messages, tools=TOOLS).choices[0].message
    messages.append(message.model_dump(exclude_none=True))
    for call, weather in zip(message.tool_calls, ["sunny", "snow"]):
        messages.append({"role": "tool", "tool_call_id": call.id, "content": weather})
    r = ask(case, messages=messages, tools=TOOLS)
    assert r.choices[0].message.content == TEXT


def test_structured(case):
    r = client(case).chat.completions.parse(
        model=case.model("json"), messages=[{"role": "user", "content": case.say()}], response_format=Person,
    )
    assert r.choices[0].message.parsed == Person(**ANA)


def test_structured_stream(case):
    with client(case).chat.completions.stream(
        model=case.model("json"), messages=[{"role": "user", "content": case.say()}], response_format=Person,
    ) as stream:
        assert sum(1 for e in stream if e.type == "content.delta") > 2
        assert stream.get_final_completion().choices[0].message.parsed == Person(**ANA)


def test_image_base64(case):
    ask(case, content=[
        {"type": "text", "text": case.say()},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PNG_BASE64}},
    ])


def test_image_url(case):
    ask(case, content=[
        {"type": "text", "text": case.say()},
        {"type": "image_url", "image_url": {"url": IMAGE_URL}},
    ])


def test_models(case):
    models = [m.id for m in client(case).models.list()]
    assert case.model("chat") in models
    assert client(case).models.retrieve(case.model("chat")).id == case.model("chat")


def raises(cls, status, code, call):
    with pytest.raises(cls) as caught:
        call()
    e = caught.value
    assert type(e) is cls
    assert e.status_code == status
    assert e.code == code
    assert e.request_id
    return e


def test_bad_request(case):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(case, messages=[])
    assert "messages" in str(caught.value)


def test_unsupported(case):
    if case.upstream == "openai":  # has the parameter
        assert len(ask(case, n=2).choices) == 2
        return
    e = raises(openai.BadRequestError, 400, "invalid_request", lambda: ask(case, n=2))
    assert e.param == "n"


def test_authentication(case):
    raises(openai.AuthenticationError, 401, "invalid_api_key", lambda: ask(case, options={"api_key": "wrong"}))


def test_permission(case):
    raises(openai.PermissionDeniedError, 403, "model_not_allowed", lambda: ask(case, "tools", options={"api_key": LIMITED_KEY}))
    assert ask(case, options={"api_key": LIMITED_KEY}).choices[0].message.content == TEXT


def test_not_found(case):
    e = raises(openai.NotFoundError, 404, "model_not_found", lambda: ask(case, "chatt"))
    assert case.model("chat") in e.message  # the nearest name


def test_too_large(case):
    raises(openai.APIStatusError, 413, "request_too_large", lambda: ask(case, content=TOO_LONG))


def test_rate_limit(case):
    e = raises(openai.RateLimitError, 429, "all_providers_failed", lambda: ask(case, case.own("rate-limit")))
    assert e.response.headers["retry-after"] == RETRY_AFTER


def test_rate_limit_stream(case):
    raises(openai.RateLimitError, 429, "all_providers_failed", lambda: ask(case, case.own("rate-limit-stream"), stream=True))


def test_server_error(case):
    raises(openai.InternalServerError, 502, "all_providers_failed", lambda: ask(case, "server-error"))


def test_overloaded(case):
    raises(openai.InternalServerError, 502, "all_providers_failed", lambda: ask(case, "overloaded"))


def test_unreachable(case):
    raises(openai.InternalServerError, 502, "all_providers_failed", lambda: ask(case, "unreachable"))


def test_timeout(case):
    raises(openai.InternalServerError, 504, "all_providers_failed", lambda: ask(case, "hang"))


def test_client_timeout(case):
    with pytest.raises(openai.APITimeoutError):
        ask(case, "hang-long", options={"timeout": 0.5})


def test_mid_stream_error(case):
    text = ""
    with pytest.raises(openai.APIError) as caught:
        for chunk in ask(case, "mid-stream-error", stream=True):
            text += chunk.choices[0].delta.content or ""
    assert text and TEXT.startswith(text) and text != TEXT
    assert caught.value.message
    assert caught.value.code
