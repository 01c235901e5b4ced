// The tests of Vercel's AI SDK. Its providers for OpenAI and Anthropic differ in how models are made
// and in the names of the models that they know to have structured output.

import assert from "node:assert/strict";
import { APICallError, Output, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import {
  ANA, IMAGE_URL, KEY, LIMITED_KEY, PNG_BASE64, Person, RETRY_AFTER, TEXT, TOO_LONG, WEATHER, broken, caught, collect, each,
} from "./common.mjs";

const get_weather = tool({ description: "The weather in a city.", inputSchema: jsonSchema(WEATHER) });

// vercelTests declares all tests. model(key, name) makes a model; jsonModel names the one to ask for JSON.
export function vercelTests(model, jsonModel) {
  const call = (c, behaviour = "chat", more = {}, key = KEY) => ({
    model: model(key, c.model(behaviour)),
    prompt: more.messages ? undefined : c.say(),
    maxRetries: 0,
    headers: c.headers,
    ...more,
  });
  const ask = (...args) => generateText(call(...args));
  const parts = (...args) => collect(streamText({ onError() {}, ...call(...args) }).fullStream);

  each("completion", async (c) => {
    const r = await ask(c, "chat", { system: "You are a harbour pilot.", maxOutputTokens: 100, temperature: 0.5 });
    assert.equal(r.text, TEXT);
    assert.equal(r.finishReason, "stop");
    assert.deepEqual([r.usage.inputTokens, r.usage.outputTokens, r.usage.totalTokens], [12, 7, 19]);
  });

  each("streaming", async (c) => {
    const all = await parts(c);
    const texts = all.filter((p) => p.type === "text-delta").map((p) => p.text);
    assert.equal(texts.join(""), TEXT);
    assert.ok(texts.length > 2);
    const { finishReason, totalUsage } = all.at(-1);
    assert.equal(finishReason, "stop");
    assert.deepEqual([totalUsage.inputTokens, totalUsage.outputTokens], [12, 7]);
  });

  each("tools", async (c) => {
    const r = await ask(c, "tools", { tools: { get_weather } });
    assert.equal(r.finishReason, "tool-calls");
    assert.deepEqual(r.toolCalls.map((t) => [t.toolName, t.input]), [["get_weather", { city: "Lisbon" }]]);
    assert.ok(r.toolCalls[0].toolCallId);
  });

  const twoCalls = (text, toolCalls) => {
    assert.equal(text, "Let me look.");
    assert.deepEqual(toolCalls.map((t) => [t.toolName, t.input.city]), [["get_weather", "Lisbon"], ["get_weather", "Oslo"]]);
    assert.notEqual(toolCalls[0].toolCallId, toolCalls[1].toolCallId);
  };

  each("tools_parallel", async (c) => {
    const r = await ask(c, "tools-parallel", { tools: { get_weather } });
    twoCalls(r.text, r.toolCalls);
  });

  each("tools_stream", async (c) => {
    const all = await parts(c, "tools-parallel", { tools: { get_weather } });
    assert.ok(all.filter((p) => p.type === "tool-input-delta").length > 2);
    twoCalls(all.filter((p) => p.type === "text-delta").map((p) => p.text).join(""), all.filter((p) => p.type === "tool-call"));
  });

  each("tool_result", async (c) => {
    const weather = { Lisbon: "sunny", Oslo: "snow" };
    const r = await ask(c, "tools-parallel", {
      tools: { get_weather: { ...get_weather, execute: ({ city }) => weather[city] } },
      stopWhen: stepCountIs(2),
      prepareStep: ({ stepNumber }) => (stepNumber > 0 ? { model: model(KEY, c.model("chat")) } : {}),
    });
    assert.equal(r.steps.length, 2);
    assert.equal(r.text, TEXT);
  });

  const output = Output.object({ schema: Person });

  each("structured", async (c) => {
    const r = await ask(c, "json", { model: model(KEY, jsonModel(c.upstream)), output });
    assert.deepEqual(r.output, ANA);
  });

  each("structured_stream", async (c) => {
    const r = streamText(call(c, "json", { model: model(KEY, jsonModel(c.upstream)), output }));
    const partial = await collect(r.partialOutputStream);
    assert.ok(partial.length > 2);
    assert.deepEqual(await r.output, ANA);
  });

  const image = (c, data) =>
    ask(c, "chat", {
      messages: [{ role: "user", content: [{ type: "text", text: c.say() }, { type: "image", image: data, mediaType: "image/png" }] }],
    });

  each("image_base64", (c) => image(c, PNG_BASE64));
  each("image_url", (c) => image(c, new globalThis.URL(IMAGE_URL)));

  async function raises(status, f) {
    const e = await caught(f);
    assert.ok(APICallError.isInstance(e), e);
    assert.equal(e.statusCode, status);
    assert.ok(e.message);
    assert.notEqual(e.message, e.responseBody); // it has read the error's shape
    return e;
  }

  each("authentication", (c) => raises(401, () => ask(c, "chat", {}, "wrong")));

  each("permission", async (c) => {
    await raises(403, () => ask(c, "tools", {}, LIMITED_KEY));
    assert.equal((await ask(c, "chat", {}, LIMITED_KEY)).text, TEXT);
  });

  each("not_found", async (c) => {
    const e = await raises(404, () => ask(c, "chatt"));
    assert.ok(e.message.includes(c.model("chat"))); // the nearest name
  });

  each("too_large", (c) => raises(413, () => ask(c, "chat", { prompt: TOO_LONG })));

  each("rate_limit", async (c) => {
    const e = await raises(429, () => ask(c, c.own("rate-limit")));
    assert.equal(e.responseHeaders["retry-after"], RETRY_AFTER);
    assert.equal(e.isRetryable, true);
  });

  each("server_error", (c) => raises(502, () => ask(c, "server-error")));
  each("timeout", (c) => raises(504, () => ask(c, "hang")));

  each("client_timeout", async (c) => {
    const e = await caught(() => ask(c, "hang-long", { abortSignal: AbortSignal.timeout(500) }));
    assert.equal(e.name, "TimeoutError");
  });

  each("mid_stream_error", async (c) => {
    const all = await parts(c, "mid-stream-error");
    broken(all.filter((p) => p.type === "text-delta").map((p) => p.text).join(""));
    assert.equal(all.filter((p) => p.type === "error").length, 1);
    assert.ok(!all.some((p) => p.type === "finish" && p.finishReason === "stop"));
  });
}
