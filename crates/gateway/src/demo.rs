//! `sluice demo`: the gateway with a built-in fake provider, so that everything can be tried with no account anywhere.

use std::net::SocketAddr;

use crate::{config::Config, config::parse};

/// The demo's key. Not a secret: it opens a fake provider on this machine.
pub const KEY: &str = "sk-sluice-demo";

/// Models that the demo serves: one for each dialect of its channels, which all callers reach; and others.
pub const MODELS: [&str; 6] =
    ["demo-gpt", "demo-responses", "demo-claude", "demo-gemini", "demo-embedding", "demo-moderation"];

/// The demo's configuration, in the words that an operator would write.
pub fn config(listen: SocketAddr, provider_url: &str) -> Config {
    let text = format!(
        r#"
listen = "{listen}"

[store]
url = "memory"

[[price]]
model = "*"
input = 2.5
output = 10

[[key]]
name = "demo"
secret = "{KEY}"

[[channel]]
name = "demo-openai-chat"
provider = "custom"
dialect = "openai_chat"
base_url = "{provider_url}"
secrets = ["demo-provider-key"]
models = ["demo-gpt", "demo-embedding", "demo-moderation"]

[[channel]]
name = "demo-openai-responses"
provider = "custom"
dialect = "openai_responses"
base_url = "{provider_url}"
secrets = ["demo-provider-key"]
models = ["demo-gpt", "demo-responses"]

[[channel]]
name = "demo-anthropic"
provider = "custom"
dialect = "anthropic_messages"
base_url = "{provider_url}"
secrets = ["demo-provider-key"]
models = ["demo-claude", "claude-*"]

[[channel]]
name = "demo-gemini"
provider = "custom"
dialect = "gemini_generate"
base_url = "{provider_url}"
secrets = ["demo-provider-key"]
models = ["demo-gemini"]
"#
    );
    match parse(&text, &|_: &str| None) {
        Ok(config) => config,
        Err(problems) => unreachable!("the demo's own configuration: {problems:?}"),
    }
}

/// What to paste next.
pub fn snippets(address: SocketAddr) -> String {
    format!(
        r#"
Sluice is running on http://{address} with a built-in fake provider. Nothing leaves this machine.

  key      {KEY}
  models   {models}

curl

  curl -N http://{address}/v1/chat/completions \
    -H "Authorization: Bearer {KEY}" -H "Content-Type: application/json" \
    -d '{{"model": "demo-gpt", "stream": true, "messages": [{{"role": "user", "content": "Hello!"}}]}}'

OpenAI SDK (Python)

  from openai import OpenAI
  client = OpenAI(base_url="http://{address}/v1", api_key="{KEY}")
  print(client.chat.completions.create(
      model="demo-gpt", messages=[{{"role": "user", "content": "Hello!"}}]).choices[0].message.content)

Anthropic SDK (Python)

  from anthropic import Anthropic
  client = Anthropic(base_url="http://{address}", api_key="{KEY}")
  print(client.messages.create(
      model="demo-claude", max_tokens=256, messages=[{{"role": "user", "content": "Hello!"}}]).content[0].text)

Claude Code

  ANTHROPIC_BASE_URL=http://{address} ANTHROPIC_AUTH_TOKEN={KEY} ANTHROPIC_MODEL=demo-claude claude

Any of the models can be named in any of these: demo-gpt, demo-responses, demo-claude and demo-gemini have channels of one
dialect each, and who asks in another one is translated.

What is going on

  curl http://{address}/api/monitor/health
  curl http://{address}/metrics

Each finished request is one line of JSON below. Stop with Ctrl-C.
"#,
        models = MODELS.join(", ")
    )
}
