// The official OpenAI SDK for JavaScript, against either kind of upstream.

import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import {
  ANA, IMAGE_URL, KEY, LIMITED_KEY, PNG_BASE64, Person, RETRY_AFTER, TEXT, TOO_LONG, URL, WEATHER, broken, caught, collect, each,
} from "./common.mjs";

const tools = [
  { type: "function", function: { name: "get_weather", description: "The weather in a city.", parameters: WEATHER } },
];

const client = (c, options) =>
  new OpenAI({ apiKey: KEY, baseURL: URL + "/v1", maxRetries: 0, timeout: 30_000, defaultHeaders: c.headers, ...options });

const params = (c, behaviour = "chat", more = {}) => ({
  model: c.model(behaviour),
  messages: [{ role: "user", content: c.say() }],
  ...more,
});

const ask = (c, behaviour, more, options) => client(c, options).chat.completions.create(params(c, behaviour, more));

const calls = (message) => message.tool_calls.map((t) => [t.function.name, JSON.parse(t.function.arguments)]);
const twoCities = [["get_weather", { city: "Lisbon" }], ["get_weather", { city: "Oslo" }]];

each("completion", async (c) => {
  const r = await ask(c, "chat", {
    messages: [
      { role: "system", content: "You are a harbour pilot." },
      { role: "user", content: c.say() },
    ],
    max_tokens: 100,
    temperature: 0.5,
  });
  assert.equal(r.choices[0].message.content, TEXT);
  assert.equal(r.choices[0].finish_reason, "stop");
  assert.equal(r.object, "chat.completion");
  assert.equal(r._request_id, c.headers["X-Request-Id"]);
});

each("usage", async (c) => {
  const { usage } = await ask(c);
  assert.deepEqual([usage.prompt_tokens, usage.completion_tokens, usage.total_tokens], [12, 7, 19]);
});

each("streaming", async (c) => {
  const chunks = await collect(await ask(c, "chat", { stream: true }));
  const texts = chunks.map((k) => k.choices[0].delta.content ?? "").filter((s) => s !== "");
  assert.equal(texts.join(""), TEXT);
  assert.ok(texts.length > 2);
  assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
  // The provider is asked for the usage, which the gateway needs; the client did not ask.
  assert.ok(chunks.every((k) => !k.usage));
});

each("usage_stream", async (c) => {
  const chunks = await collect(await ask(c, "chat", { stream: true, stream_options: { include_usage: true } }));
  const last = chunks.at(-1);
  assert.deepEqual(last.choices, []);
  assert.deepEqual([last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens], [12, 7, 19]);
});

each("tools", async (c) => {
  const r = await ask(c, "tools", { tools });
  const { message } = r.choices[0];
  assert.equal(r.choices[0].finish_reason, "tool_calls");
  assert.equal(message.content, null);
  assert.deepEqual(calls(message), [["get_weather", { city: "Lisbon" }]]);
  assert.equal(message.tool_calls[0].type, "function");
  assert.ok(message.tool_calls[0].id);
});

each("tools_parallel", async (c) => {
  const r = await ask(c, "tools-parallel", { tools, tool_choice: "auto", parallel_tool_calls: true });
  const { message } = r.choices[0];
  assert.equal(message.content, "Let me look.");
  assert.deepEqual(calls(message), twoCities);
  assert.notEqual(message.tool_calls[0].id, message.tool_calls[1].id);
});

each("tools_stream", async (c) => {
  const stream = client(c).chat.completions.stream(params(c, "tools-parallel", { tools }));
  let deltas = 0;
  stream.on("tool_calls.function.arguments.delta", () => deltas++);
  const { message } = (await stream.finalChatCompletion()).choices[0];
  assert.ok(deltas > 2);
  assert.equal(message.content, "Let me look.");
  assert.deepEqual(calls(message), twoCities);
  assert.notEqual(message.tool_calls[0].id, message.tool_calls[1].id);
});

each("tool_result", async (c) => {
  const messages = [{ role: "user", content: c.say() }];
  const { message } = (await ask(c, "tools-parallel", { messages, tools })).choices[0];
  const [sunny, snow] = message.tool_calls.map((t) => t.id);
  messages.push(
    message,
    { role: "tool", tool_call_id: sunny, content: "sunny" },
    { role: "tool", tool_call_id: snow, content: "snow" },
  );
  const r = await ask(c, "chat", { messages, tools });
  assert.equal(r.choices[0].message.content, TEXT);
});

each("structured", async (c) => {
  const r = await client(c).chat.completions.parse(params(c, "json", { response_format: zodResponseFormat(Person, "person") }));
  assert.deepEqual(r.choices[0].message.parsed, ANA);
});

each("structured_stream", async (c) => {
  const stream = client(c).chat.completions.stream(params(c, "json", { response_format: zodResponseFormat(Person, "person") }));
  let deltas = 0;
  stream.on("content.delta", () => deltas++);
  const r = await stream.finalChatCompletion();
  assert.ok(deltas > 2);
  assert.deepEqual(r.choices[0].message.parsed, ANA);
});

const image = (c, url) =>
  ask(c, "chat", {
    messages: [{ role: "user", content: [{ type: "text", text: c.say() }, { type: "image_url", image_url: { url } }] }],
  });

each("image_base64", (c) => image(c, "data:image/png;base64," + PNG_BASE64));
each("image_url", (c) => image(c, IMAGE_URL));

each("models", async (c) => {
  const models = await collect(client(c).models.list());
  assert.ok(models.some((m) => m.id === c.model("chat")));
  assert.equal((await client(c).models.retrieve(c.model("chat"))).id, c.model("chat"));
});

async function raises(type, status, code, f) {
  const e = await caught(f);
  assert.equal(e.constructor, type, e);
  assert.equal(e.status, status);
  assert.equal(e.code, code);
  assert.ok(e.requestID);
  return e;
}

each("bad_request", async (c) => {
  const e = await caught(() => ask(c, "chat", { messages: [] }));
  assert.equal(e.constructor, OpenAI.BadRequestError, e);
  assert.match(e.message, /messages/);
});

each("unsupported", async (c) => {
  if (c.upstream === "openai") { // has the parameter
    assert.equal((await ask(c, "chat", { n: 2 })).choices.length, 2);
    return;
  }
  const e = await raises(OpenAI.BadRequestError, 400, "invalid_request", () => ask(c, "chat", { n: 2 }));
  assert.equal(e.param, "n");
});

each("authentication", (c) =>
  raises(OpenAI.AuthenticationError, 401, "invalid_api_key", () => ask(c, "chat", {}, { apiKey: "wrong" })));

each("permission", async (c) => {
  await raises(OpenAI.PermissionDeniedError, 403, "model_not_allowed", () => ask(c, "tools", {}, { apiKey: LIMITED_KEY }));
  assert.equal((await ask(c, "chat", {}, { apiKey: LIMITED_KEY })).choices[0].message.content, TEXT);
});

each("not_found", async (c) => {
  const e = await raises(OpenAI.NotFoundError, 404, "model_not_found", () => ask(c, "chatt"));
  assert.ok(e.message.includes(c.model("chat"))); // the nearest name
});

each("too_large", (c) =>
  raises(OpenAI.APIError, 413, "request_too_large", () => ask(c, "chat", { messages: [{ role: "user", content: TOO_LONG }] })));

each("rate_limit", async (c) => {
  const e = await raises(OpenAI.RateLimitError, 429, "all_providers_failed", () => ask(c, c.own("rate-limit")));
  assert.equal(e.headers.get("retry-after"), RETRY_AFTER);
});

each("rate_limit_stream", (c) =>
  raises(OpenAI.RateLimitError, 429, "all_providers_failed", () => ask(c, c.own("rate-limit-stream"), { stream: true })));

each("server_error", (c) => raises(OpenAI.InternalServerError, 502, "all_providers_failed", () => ask(c, "server-error")));
each("overloaded", (c) => raises(OpenAI.InternalServerError, 502, "all_providers_failed", () => ask(c, "overloaded")));
each("unreachable", (c) => raises(OpenAI.InternalServerError, 502, "all_providers_failed", () => ask(c, "unreachable")));
each("timeout", (c) => raises(OpenAI.InternalServerError, 504, "all_providers_failed", () => ask(c, "hang")));

each("client_timeout", async (c) => {
  const e = await caught(() => ask(c, "hang-long", {}, { timeout: 500 }));
  assert.equal(e.constructor, OpenAI.APIConnectionTimeoutError, e);
});

each("mid_stream_error", async (c) => {
  let text = "";
  const e = await caught(async () => {
    for await (const chunk of await ask(c, "mid-stream-error", { stream: true })) {
      text += chunk.choices[0].delta.content ?? "";
    }
  });
  assert.ok(e instanceof OpenAI.APIError, e);
  assert.ok(e.code);
  assert.ok(e.message);
  broken(text);
});
