"""The official Anthropic SDK for Python, against either kind of upstream."""

import anthropic
import pytest
from pydantic import BaseModel

from conftest import (
    ANA, IMAGE_URL, KEY, LIMITED_KEY, PNG_BASE64, RETRY_AFTER, TEXT, TOO_LONG, URL, WEATHER, Case,
)

TOOLS = [{"name": "get_weather", "description": "The weather in a city.", "input_schema": WEATHER}]


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]


def client(case: Case, **options) -> anthropic.Anthropic:
    options = {"api_key": KEY, "base_url": URL, "max_retries": 0, "timeout": 30} | options
    return anthropic.Anthropic(default_headers=case.headers, **options)


def params(case: Case, behaviour: str = "chat", content=None, **more) -> dict:
    messages = [{"role": "user", "content": content or case.say()}]
    return {"model": case.model(behaviour), "max_tokens": 100, "messages": messages} | more


def ask(case: Case, behaviour: str = "chat", content=None, *, options=None, **more):
    return client(case, **(options or {})).messages.create(**params(case, behaviour, content, **more))


def test_completion(case):
    r = ask(case, system="You are a harbour pilot.", extra_body={"temperature": 0.5})
    assert [(b.type, b.text) for b in r.content] == [("text", TEXT)]
    assert r.type == "message"
    assert r.role == "assistant"
    assert r.stop_reason == "end_turn"
    assert r.id
    assert r.model
    assert r._request_id == case.headers["X-Request-Id"]


def test_usage(case):
    r = ask(case)
    assert (r.usage.input_tokens, r.usage.output_tokens) == (12, 7)


def test_streaming(case):
    events = list(ask(case, stream=True))
    deltas = [e.delta.text for e in events if e.type == "content_block_delta"]
    assert "".join(deltas) == TEXT
    assert len(deltas) > 2
    assert events[0].type == "message_start"
    assert events[-1].type == "message_stop"
    assert [e.delta.stop_reason for e in events if e.type == "message_delta"] == ["end_turn"]


def test_usage_stream(case):
    with client(case).messages.stream(**params(case)) as stream:
        assert "".join(stream.text_stream) == TEXT
        usage = stream.get_final_message().usage
    assert (usage.input_tokens, usage.output_tokens) == (12, 7)


def test_tools(case):
    r = ask(case, "tools", tools=TOOLS)
    assert r.stop_reason == "tool_use"
    assert [b.type for b in r.content] == ["tool_use"]
    assert r.content[0].id
    assert r.content[0].name == "get_weather"
    assert r.content[0].input == {"city": "Lisbon"}


def test_tools_parallel(case):
    r = ask(case, "tools-parallel", tools=TOOLS, tool_choice={"type": "auto", "disable_parallel_tool_use": False})
    assert [b.type for b in r.content] == ["text", "tool_use", "tool_use"]
    assert r.content[0].text == "Let me look."
    assert [b.input["city"] for b in r.content[1:]] == ["Lisbon", "Oslo"]
    assert r.content[1].id != r.content[2].id


def test_tools_stream(case):
    with client(case).messages.stream(**params(case, "tools-parallel", tools=TOOLS)) as stream:
        deltas = [e for e in stream if e.type == "input_json"]
        message = stream.get_final_message()
    assert len(deltas) > 2
    assert message.stop_reason == "tool_use"
    assert [b.type for b in message.content] == ["text", "tool_use", "tool_use"]
    assert message.content[0].text == "Let me look."
    assert [(b.name, b.input) for b in message.content[1:]] == [
        ("get_weather", {"city": "Lisbon"}), ("get_weather", {"city": "Oslo"}),
    ]
    assert message.content[1].id != message.content[2].id


def test_tool_result(case):
    messages = [{"role": "user", "content": case.say()}]
    r = ask(case, "tools-parallel", messages=messages, tools=TOOLS)
    messages.append({"role": "assistant", "content": r.content})
    messages.append({"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": b.id, "content": weather}
        for b, weather in zip(r.content[1:], ["sunny", "snow"])
    ]})
    r = ask(case, messages=messages, tools=TOOLS)
    assert r.content[0].text == TEXT


def test_structured(case):
    r = client(case).messages.parse(**params(case, "json"), output_format=Person)
    assert r.parsed_output == Person(**ANA)


def test_structured_stream(case):
    with client(case).messages.stream(**params(case, "json"), output_format=Person) as stream:
        assert len(list(stream.text_stream)) > 2
        assert stream.get_final_message().parsed_output == Person(**ANA)


def test_image_base64(case):
    ask(case, content=[
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG_BASE64}},
        {"type": "text", "text": case.say()},
    ])


def test_image_url(case):
    ask(case, content=[
        {"type": "image", "source": {"type": "url", "url": IMAGE_URL}},
        {"type": "text", "text": case.say()},
    ])


def test_models(case):
    models = [m.id for m in client(case).models.list(limit=1000)]
    assert case.model("chat") in models
    assert client(case).models.retrieve(case.model("chat")).id == case.model("chat")


def test_count_tokens(case):
    r = client(case).messages.count_tokens(model=case.model("chat"), messages=[{"role": "user", "content": case.say()}])
    assert 0 < r.input_tokens < 100


def raises(cls, status, kind, call):
    with pytest.raises(cls) as caught:
        call()
    e = caught.value
    assert type(e) is cls
    assert e.status_code == status
    assert e.type == kind
    assert e.request_id
    assert e.body["request_id"] == e.request_id
    return e


def test_bad_request(case):
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask(case, messages=[])
    assert "messages" in str(caught.value)


def test_unsupported(case):
    if case.upstream == "anthropic":  # has the parameter
        assert ask(case, extra_body={"top_k": 5}).content[0].text == TEXT
        return
    e = raises(anthropic.BadRequestError, 400, "invalid_request_error", lambda: ask(case, extra_body={"top_k": 5}))
    assert "top_k" in str(e)


def test_authentication(case):
    raises(anthropic.AuthenticationError, 401, "authentication_error", lambda: ask(case, options={"api_key": "wrong"}))


def test_permission(case):
    raises(anthropic.PermissionDeniedError, 403, "permission_error", lambda: ask(case, "tools", options={"api_key": LIMITED_KEY}))
    assert ask(case, options={"api_key": LIMITED_KEY}).content[0].text == TEXT


def test_not_found(case):
    e = raises(anthropic.NotFoundError, 404, "not_found_error", lambda: ask(case, "chatt"))
    assert case.model("chat") in str(e)  # the nearest name


def test_too_large(case):
    raises(anthropic.ContentTooLargeError, 413, "request_too_large", lambda: ask(case, content=TOO_LONG))


def test_rate_limit(case):
    e = raises(anthropic.RateLimitError, 429, "rate_limit_error", lambda: ask(case, case.own("rate-limit")))
    assert e.response.headers["retry-after"] == RETRY_AFTER


def test_rate_limit_stream(case):
    raises(anthropic.RateLimitError, 429, "rate_limit_error", lambda: ask(case, case.own("rate-limit-stream"), stream=True))


def test_server_error(case):
    raises(anthropic.InternalServerError, 502, "api_error", lambda: ask(case, "server-error"))


def test_overloaded(case):
    raises(anthropic.InternalServerError, 502, "api_error", lambda: ask(case, "overloaded"))


def test_unreachable(case):
    raises(anthropic.InternalServerError, 502, "api_error", lambda: ask(case, "unreachable"))


def test_timeout(case):
    raises(anthropic.GatewayTimeoutError, 504, "timeout_error", lambda: ask(case, "hang"))


def test_client_timeout(case):
    with pytest.raises(anthropic.APITimeoutError):
        ask(case, "hang-long", options={"timeout": 0.5})


def test_mid_stream_error(case):
    text = ""
    with pytest.raises(anthropic.APIStatusError) as caught:
        for event in ask(case, "mid-stream-error", stream=True):
            if event.type == "content_block_delta":
                text += event.delta.text
    assert text and TEXT.startswith(text) and text != TEXT
    assert caught.value.type
