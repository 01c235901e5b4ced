// The official OpenAI and Anthropic SDKs, pointed at Breakwater.
//
//   npm install openai @anthropic-ai/sdk
//   breakwater serve &
//   node examples/node/client.mjs
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const openai = new OpenAI({ baseURL: "http://127.0.0.1:8080/v1", apiKey: "not-needed-on-loopback" });

const answer = await openai.chat.completions.create({
  model: "default",
  messages: [{ role: "user", content: "What is a breakwater?" }],
});
console.log(answer.choices[0].message.content);

const stream = await openai.chat.completions.create({
  model: "default",
  messages: [{ role: "user", content: "And a mole?" }],
  stream: true,
});
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}
console.log();

const anthropic = new Anthropic({ baseURL: "http://127.0.0.1:8080", apiKey: "not-needed-on-loopback" });

const message = await anthropic.messages.create({
  model: "default",
  max_tokens: 200,
  messages: [{ role: "user", content: "What is a groyne?" }],
});
console.log(message.content[0].text);
