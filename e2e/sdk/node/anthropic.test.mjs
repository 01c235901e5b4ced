// The official Anthropic SDK for JavaScript, against either kind of upstream.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import {
  ANA, IMAGE_URL, KEY, LIMITED_KEY, PNG_BASE64, Person, RETRY_AFTER, TEXT, TOO_LONG, URL, WEATHER, broken, caught, collect, each,
} from "./common.mjs";

const tools = [{ name: "get_weather", description: "The weather in a city.", input_schema: WEATHER }];

const client = (c, options) =>
  new Anthropic({ apiKey: KEY, baseURL: URL, maxRetries: 0, timeout: 30_000, defaultHeaders: c.headers, ...options });

const params = (c, behaviour = "chat", more = {}) => ({
  model: c.model(behaviour),
  max_tokens: 100,
  messages: [{ role: "user", content: c.say() }],
  ...more,
});

const ask = (c, behaviour, more, options) => client(c, options).messages.create(params(c, behaviour, more));

function twoCalls(message) {
  assert.equal(message.stop_reason, "tool_use");
  const [text, ...calls] = message.content;
  assert.equal(text.text, "Let me look.");
  assert.deepEqual(calls.map((b) => [b.type, b.name, b.input]), [
    ["tool_use", "get_weather", { city: "Lisbon" }],
    ["tool_use", "get_weather", { city: "Oslo" }],
  ]);
  assert.notEqual(calls[0].id, calls[1].id);
}

each("completion", async (c) => {
  const r = await ask(c, "chat", { system: "You are a harbour pilot.", temperature: 0.5 });
  assert.deepEqual(r.content.map((b) => [b.type, b.text]), [["text", TEXT]]);
  assert.equal(r.type, "message");
  assert.equal(r.role, "assistant");
  assert.equal(r.stop_reason, "end_turn");
  assert.equal(r._request_id, c.headers["X-Request-Id"]);
});

each("usage", async (c) => {
  const { usage } = await ask(c);
  assert.deepEqual([usage.input_tokens, usage.output_tokens], [12, 7]);
});

each("streaming", async (c) => {
  const events = await collect(await ask(c, "chat", { stream: true }));
  const texts = events.filter((e) => e.type === "content_block_delta").map((e) => e.delta.text);
  assert.equal(texts.join(""), TEXT);
  assert.ok(texts.length > 2);
  assert.equal(events[0].type, "message_start");
  assert.equal(events.at(-1).type, "message_stop");
  assert.equal(events.at(-2).delta.stop_reason, "end_turn");
});

each("usage_stream", async (c) => {
  const { usage } = await client(c).messages.stream(params(c)).finalMessage();
  assert.deepEqual([usage.input_tokens, usage.output_tokens], [12, 7]);
});

each("tools", async (c) => {
  const r = await ask(c, "tools", { tools });
  assert.equal(r.stop_reason, "tool_use");
  assert.deepEqual(r.content.map((b) => [b.type, b.name, b.input]), [["tool_use", "get_weather", { city: "Lisbon" }]]);
  assert.ok(r.content[0].id);
});

each("tools_parallel", async (c) => {
  twoCalls(await ask(c, "tools-parallel", { tools, tool_choice: { type: "auto", disable_parallel_tool_use: false } }));
});

each("tools_stream", async (c) => {
  const stream = client(c).messages.stream(params(c, "tools-parallel", { tools }));
  let deltas = 0;
  stream.on("inputJson", () => deltas++);
  twoCalls(await stream.finalMessage());
  assert.ok(deltas > 2);
});

each("tool_result", async (c) => {
  const messages = [{ role: "user", content: c.say() }];
  const { content } = await ask(c, "tools-parallel", { messages, tools });
  messages.push(
    { role: "assistant", content },
    {
      role: "user",
      content: [
        { type: "tool_result", tool_use_id: content[1].id, content: "sunny" },
        { type: "tool_result", tool_use_id: content[2].id, content: "snow" },
      ],
    },
  );
  const r = await ask(c, "chat", { messages, tools });
  assert.equal(r.content[0].text, TEXT);
});

each("structured", async (c) => {
  const r = await client(c).messages.parse(params(c, "json", { output_config: { format: zodOutputFormat(Person) } }));
  assert.deepEqual(r.parsed_output, ANA);
});

each("structured_stream", async (c) => {
  const stream = client(c).messages.stream(params(c, "json", { output_config: { format: zodOutputFormat(Person) } }));
  let deltas = 0;
  stream.on("text", () => deltas++);
  const message = await stream.finalMessage();
  assert.ok(deltas > 2);
  assert.deepEqual(message.parsed_output, ANA);
});

const image = (c, source) =>
  ask(c, "chat", { messages: [{ role: "user", content: [{ type: "image", source }, { type: "text", text: c.say() }] }] });

each("image_base64", (c) => image(c, { type: "base64", media_type: "image/png", data: PNG_BASE64 }));
each("image_url", (c) => image(c, { type: "url", url: IMAGE_URL }));

each("models", async (c) => {
  const models = await collect(client(c).models.list({ limit: 1000 }));
  assert.ok(models.some((m) => m.id === c.model("chat")));
  assert.equal((await client(c).models.retrieve(c.model("chat"))).id, c.model("chat"));
});

each("count_tokens", async (c) => {
  const { input_tokens } = await client(c).messages.countTokens({ model: c.model("chat"), messages: [{ role: "user", content: c.say() }] });
  assert.ok(input_tokens > 0 && input_tokens < 100);
});

async function raises(type, status, kind, f) {
  const e = await caught(f);
  assert.equal(e.constructor, type, e);
  assert.equal(e.status, status);
  assert.equal(e.type, kind);
  assert.ok(e.requestID);
  assert.equal(e.error.request_id, e.requestID);
  return e;
}

each("bad_request", async (c) => {
  const e = await caught(() => ask(c, "chat", { messages: [] }));
  assert.equal(e.constructor, Anthropic.BadRequestError, e);
  assert.match(e.message, /messages/);
});

each("unsupported", async (c) => {
  if (c.upstream === "anthropic") { // has the parameter
    assert.equal((await ask(c, "chat", { top_k: 5 })).content[0].text, TEXT);
    return;
  }
  const e = await raises(Anthropic.BadRequestError, 400, "invalid_request_error", () => ask(c, "chat", { top_k: 5 }));
  assert.match(e.message, /top_k/);
});

each("authentication", (c) =>
  raises(Anthropic.AuthenticationError, 401, "authentication_error", () => ask(c, "chat", {}, { apiKey: "wrong" })));

each("permission", async (c) => {
  await raises(Anthropic.PermissionDeniedError, 403, "permission_error", () => ask(c, "tools", {}, { apiKey: LIMITED_KEY }));
  assert.equal((await ask(c, "chat", {}, { apiKey: LIMITED_KEY })).content[0].text, TEXT);
});

each("not_found", async (c) => {
  const e = await raises(Anthropic.NotFoundError, 404, "not_found_error", () => ask(c, "chatt"));
  assert.ok(e.message.includes(c.model("chat"))); // the nearest name
});

each("too_large", (c) =>
  raises(Anthropic.ContentTooLargeError, 413, "request_too_large", () => ask(c, "chat", { messages: [{ role: "user", content: TOO_LONG }] })));

each("rate_limit", async (c) => {
  const e = await raises(Anthropic.RateLimitError, 429, "rate_limit_error", () => ask(c, c.own("rate-limit")));
  assert.equal(e.headers.get("retry-after"), RETRY_AFTER);
});

each("rate_limit_stream", (c) =>
  raises(Anthropic.RateLimitError, 429, "rate_limit_error", () => ask(c, c.own("rate-limit-stream"), { stream: true })));

each("server_error", (c) => raises(Anthropic.InternalServerError, 502, "api_error", () => ask(c, "server-error")));
each("overloaded", (c) => raises(Anthropic.InternalServerError, 502, "api_error", () => ask(c, "overloaded")));
each("unreachable", (c) => raises(Anthropic.InternalServerError, 502, "api_error", () => ask(c, "unreachable")));
each("timeout", (c) => raises(Anthropic.GatewayTimeoutError, 504, "timeout_error", () => ask(c, "hang")));

each("client_timeout", async (c) => {
  const e = await caught(() => ask(c, "hang-long", {}, { timeout: 500 }));
  assert.equal(e.constructor, Anthropic.APIConnectionTimeoutError, e);
});

each("mid_stream_error", async (c) => {
  let text = "";
  const e = await caught(async () => {
    for await (const event of await ask(c, "mid-stream-error", { stream: true })) {
      if (event.type === "content_block_delta") text += event.delta.text;
    }
  });
  assert.ok(e instanceof Anthropic.APIError, e);
  assert.ok(e.type);
  broken(text);
});
