//! The providers, one row each.
//!
//! Beside each row stands the documentation it was checked against; "recordings" are those of `shared/corpus`. A
//! dialect is listed only where one of the two shows it. Chinese providers stand with their mainland address; for the
//! international one an operator sets `base_url`.

use dialect::{
    Dialect::{self, AnthropicMessages, GeminiGenerate, OpenaiChat, OpenaiResponses},
    Operation::{
        self, BatchEmbeddings, Chat, Compact, Completions, CountTokens, Embeddings, Moderations, Stored,
    },
};

use super::{
    Auth::{self, AnthropicKey, AzureKey, Bearer, GoogleKey},
    Provider, Quirk, Speaks,
};

const fn row(dialect: Dialect, operation: Operation, path: &'static str, auth: Auth) -> Speaks {
    Speaks { dialect, operation, path, auth }
}

pub(super) static PROVIDERS: &[Provider] = &[
    // OpenAI, "API reference"; recordings.
    Provider {
        name: "openai",
        base_url: Some("https://api.openai.com"),
        speaks: &[
            // Its chat neither gives thinking nor takes it back, and some of its models are not to be had there.
            row(OpenaiResponses, Chat, "/v1/responses", Bearer),
            row(OpenaiChat, Chat, "/v1/chat/completions", Bearer),
            row(OpenaiChat, Completions, "/v1/completions", Bearer),
            row(OpenaiChat, Embeddings, "/v1/embeddings", Bearer),
            row(OpenaiChat, Moderations, "/v1/moderations", Bearer),
            row(OpenaiResponses, Compact, "/v1/responses/compact", Bearer),
            row(OpenaiResponses, CountTokens, "/v1/responses/input_tokens", Bearer),
            row(OpenaiResponses, Stored, "/v1/responses/{rest}", Bearer),
        ],
        needs_secret: true,
        quirks: &[Quirk::NewLimitName],
    },
    // Anthropic, "API overview"; recordings. Its OpenAI-compatible endpoint ("OpenAI SDK compatibility") is left out:
    // it drops fields in silence and is documented as not meant for production.
    Provider {
        name: "anthropic",
        base_url: Some("https://api.anthropic.com"),
        speaks: &[
            row(AnthropicMessages, Chat, "/v1/messages", AnthropicKey),
            row(AnthropicMessages, CountTokens, "/v1/messages/count_tokens", AnthropicKey),
        ],
        needs_secret: true,
        quirks: &[],
    },
    // xAI, "REST API Reference"; recordings for chat and responses. The reference calls messages deprecated.
    Provider {
        name: "xai",
        base_url: Some("https://api.x.ai"),
        speaks: &[
            row(OpenaiChat, Chat, "/v1/chat/completions", Bearer),
            row(OpenaiChat, Completions, "/v1/completions", Bearer),
            row(OpenaiResponses, Chat, "/v1/responses", Bearer),
            row(OpenaiResponses, Stored, "/v1/responses/{rest}", Bearer),
            row(AnthropicMessages, Chat, "/v1/messages", Bearer),
        ],
        needs_secret: true,
        quirks: &[Quirk::ReasoningApart],
    },
    // Google, "Gemini API reference" and "OpenAI compatibility"; recordings for both.
    Provider {
        name: "gemini",
        base_url: Some("https://generativelanguage.googleapis.com"),
        speaks: &[
            row(GeminiGenerate, Chat, "/v1beta/models/{model}:{method}", GoogleKey),
            row(GeminiGenerate, CountTokens, "/v1beta/models/{model}:{method}", GoogleKey),
            row(GeminiGenerate, Embeddings, "/v1beta/models/{model}:{method}", GoogleKey),
            row(GeminiGenerate, BatchEmbeddings, "/v1beta/models/{model}:{method}", GoogleKey),
            row(OpenaiChat, Chat, "/v1beta/openai/chat/completions", Bearer),
            row(OpenaiChat, Embeddings, "/v1beta/openai/embeddings", Bearer),
        ],
        needs_secret: true,
        quirks: &[Quirk::ReasoningApart],
    },
    // Microsoft, "Azure OpenAI in Microsoft Foundry Models v1 API"; recordings. The model is the deployment's name.
    Provider {
        name: "azure",
        base_url: None,
        speaks: &[
            row(OpenaiResponses, Chat, "/openai/v1/responses", AzureKey),
            row(OpenaiChat, Chat, "/openai/v1/chat/completions", AzureKey),
            row(OpenaiChat, Completions, "/openai/v1/completions", AzureKey),
            row(OpenaiChat, Embeddings, "/openai/v1/embeddings", AzureKey),
            row(OpenaiResponses, Stored, "/openai/v1/responses/{rest}", AzureKey),
        ],
        needs_secret: true,
        quirks: &[Quirk::NewLimitName],
    },
    // DeepSeek, "Your First API Call", "FIM Completion (Beta)", "Anthropic API"; recordings for chat and responses.
    Provider {
        name: "deepseek",
        base_url: Some("https://api.deepseek.com"),
        speaks: &[
            row(OpenaiChat, Chat, "/chat/completions", Bearer),
            row(OpenaiChat, Completions, "//beta/completions", Bearer),
            row(OpenaiResponses, Chat, "/responses", Bearer),
            row(AnthropicMessages, Chat, "//anthropic/v1/messages", AnthropicKey),
        ],
        needs_secret: true,
        quirks: &[Quirk::WantsThinking],
    },
    // Mistral, "API specs" (the OpenAPI document in the corpus); recordings.
    Provider {
        name: "mistral",
        base_url: Some("https://api.mistral.ai"),
        speaks: &[
            row(OpenaiChat, Chat, "/v1/chat/completions", Bearer),
            row(OpenaiChat, Embeddings, "/v1/embeddings", Bearer),
            row(OpenaiChat, Moderations, "/v1/moderations", Bearer),
        ],
        needs_secret: true,
        quirks: &[
            Quirk::UsageUnasked,
            Quirk::FieldsRefused(&[
                "top_k",
                "verbosity",
                "user",
                "service_tier",
                "messages.name",
                "messages.refusal",
            ]),
            Quirk::RandomSeed,
            Quirk::NineLetterIds,
        ],
    },
    // Groq, "API Reference" (GroqCloud OpenAPI document); recordings for chat.
    Provider {
        name: "groq",
        base_url: Some("https://api.groq.com/openai/v1"),
        speaks: &[
            row(OpenaiChat, Chat, "/openai/v1/chat/completions", Bearer),
            row(OpenaiResponses, Chat, "/openai/v1/responses", Bearer),
        ],
        needs_secret: true,
        quirks: &[Quirk::FieldsRefused(&["top_k", "verbosity"])],
    },
    // Moonshot, "API Overview" (chat, responses) and "Use Kimi in Claude Code" (messages, key as a bearer token).
    Provider {
        name: "moonshot",
        base_url: Some("https://api.moonshot.cn/v1"),
        speaks: &[
            row(OpenaiChat, Chat, "/v1/chat/completions", Bearer),
            row(OpenaiResponses, Chat, "/v1/responses", Bearer),
            row(AnthropicMessages, Chat, "//anthropic/v1/messages", Bearer),
        ],
        needs_secret: true,
        quirks: &[Quirk::WantsThinking],
    },
    // Zhipu, "HTTP API", "Embeddings", "Claude API compatibility"; recordings for chat (at api.z.ai).
    Provider {
        name: "zhipu",
        base_url: Some("https://open.bigmodel.cn/api/paas/v4"),
        speaks: &[
            row(OpenaiChat, Chat, "/v4/chat/completions", Bearer),
            row(OpenaiChat, Embeddings, "/v4/embeddings", Bearer),
            row(AnthropicMessages, Chat, "//api/anthropic/v1/messages", AnthropicKey),
        ],
        needs_secret: true,
        quirks: &[Quirk::WantsThinking],
    },
    // Alibaba Cloud Model Studio, "OpenAI compatible - Chat", "… - Embedding", "… - Responses" (the path that replaced
    // /api/v2/apps/protocols), "Anthropic API compatibility"; recordings for chat.
    Provider {
        name: "qwen",
        base_url: Some("https://dashscope.aliyuncs.com/compatible-mode/v1"),
        speaks: &[
            row(OpenaiChat, Chat, "/v1/chat/completions", Bearer),
            row(OpenaiChat, Embeddings, "/v1/embeddings", Bearer),
            row(OpenaiResponses, Chat, "/v1/responses", Bearer),
            row(AnthropicMessages, Chat, "//apps/anthropic/v1/messages", AnthropicKey),
        ],
        needs_secret: true,
        quirks: &[],
    },
    // Volcengine Ark, "API calling guide" (chat, embeddings) and "Responses API".
    Provider {
        name: "doubao",
        base_url: Some("https://ark.cn-beijing.volces.com/api/v3"),
        speaks: &[
            row(OpenaiChat, Chat, "/v3/chat/completions", Bearer),
            row(OpenaiChat, Embeddings, "/v3/embeddings", Bearer),
            row(OpenaiResponses, Chat, "/v3/responses", Bearer),
            row(OpenaiResponses, Stored, "/v3/responses/{rest}", Bearer),
        ],
        needs_secret: true,
        quirks: &[],
    },
    // MiniMax, "OpenAI API compatible", "Responses API", "Anthropic API compatible".
    Provider {
        name: "minimax",
        base_url: Some("https://api.minimaxi.com/v1"),
        speaks: &[
            row(OpenaiChat, Chat, "/v1/chat/completions", Bearer),
            row(OpenaiResponses, Chat, "/v1/responses", Bearer),
            row(AnthropicMessages, Chat, "//anthropic/v1/messages", AnthropicKey),
        ],
        needs_secret: true,
        quirks: &[],
    },
    // OpenRouter, "API Reference", "Responses API Beta", "Claude Code" (key as a bearer token); recordings for chat,
    // responses and embeddings.
    Provider {
        name: "openrouter",
        base_url: Some("https://openrouter.ai/api/v1"),
        speaks: &[
            row(OpenaiChat, Chat, "/api/v1/chat/completions", Bearer),
            row(OpenaiChat, Completions, "/api/v1/completions", Bearer),
            row(OpenaiChat, Embeddings, "/api/v1/embeddings", Bearer),
            row(OpenaiResponses, Chat, "/api/v1/responses", Bearer),
            row(AnthropicMessages, Chat, "/api/v1/messages", Bearer),
        ],
        needs_secret: true,
        quirks: &[Quirk::WantsDetails],
    },
    // Together, "OpenAI compatibility"; recordings.
    Provider {
        name: "together",
        base_url: Some("https://api.together.ai/v1"),
        speaks: &[
            row(OpenaiChat, Chat, "/v1/chat/completions", Bearer),
            row(OpenaiChat, Completions, "/v1/completions", Bearer),
            row(OpenaiChat, Embeddings, "/v1/embeddings", Bearer),
        ],
        needs_secret: true,
        quirks: &[],
    },
    // Fireworks, "API reference" (chat, completions, embeddings, responses) and "Anthropic compatibility".
    Provider {
        name: "fireworks",
        base_url: Some("https://api.fireworks.ai/inference/v1"),
        speaks: &[
            row(OpenaiChat, Chat, "/inference/v1/chat/completions", Bearer),
            row(OpenaiChat, Completions, "/inference/v1/completions", Bearer),
            row(OpenaiChat, Embeddings, "/inference/v1/embeddings", Bearer),
            row(OpenaiResponses, Chat, "/inference/v1/responses", Bearer),
            row(AnthropicMessages, Chat, "/inference/v1/messages", AnthropicKey),
        ],
        needs_secret: true,
        quirks: &[],
    },
    // Cerebras, "OpenAI Compatibility" and "Completions"; recordings for chat.
    Provider {
        name: "cerebras",
        base_url: Some("https://api.cerebras.ai/v1"),
        speaks: &[
            row(OpenaiChat, Chat, "/v1/chat/completions", Bearer),
            row(OpenaiChat, Completions, "/v1/completions", Bearer),
        ],
        needs_secret: true,
        quirks: &[Quirk::FieldsRefused(&["top_k", "verbosity"])],
    },
    // Perplexity, "OpenAI Compatibility" (responses: an alias of its Agent API); recordings for chat (no version in its
    // path) and embeddings.
    Provider {
        name: "perplexity",
        base_url: Some("https://api.perplexity.ai"),
        speaks: &[
            row(OpenaiChat, Chat, "//chat/completions", Bearer),
            row(OpenaiChat, Embeddings, "/v1/embeddings", Bearer),
            row(OpenaiResponses, Chat, "/v1/responses", Bearer),
        ],
        needs_secret: true,
        quirks: &[Quirk::UsageUnasked],
    },
    // Ollama, "OpenAI compatibility" and "Anthropic compatibility"; recordings for chat (also at ollama.com, which
    // does need a key).
    Provider {
        name: "ollama",
        base_url: Some("http://localhost:11434"),
        speaks: &[
            row(OpenaiChat, Chat, "/v1/chat/completions", Bearer),
            row(OpenaiChat, Completions, "/v1/completions", Bearer),
            row(OpenaiChat, Embeddings, "/v1/embeddings", Bearer),
            row(OpenaiResponses, Chat, "/v1/responses", Bearer),
            row(AnthropicMessages, Chat, "/v1/messages", Bearer),
        ],
        needs_secret: false,
        quirks: &[],
    },
    // vLLM, "Online Serving"; its --api-key is a bearer token for every path.
    Provider {
        name: "vllm",
        base_url: Some("http://localhost:8000"),
        speaks: &[
            row(OpenaiChat, Chat, "/v1/chat/completions", Bearer),
            row(OpenaiChat, Completions, "/v1/completions", Bearer),
            row(OpenaiChat, Embeddings, "/v1/embeddings", Bearer),
            row(OpenaiResponses, Chat, "/v1/responses", Bearer),
            row(OpenaiResponses, Stored, "/v1/responses/{rest}", Bearer),
            row(AnthropicMessages, Chat, "/v1/messages", Bearer),
            row(AnthropicMessages, CountTokens, "/v1/messages/count_tokens", Bearer),
        ],
        needs_secret: false,
        quirks: &[],
    },
    // Any base URL: the channel's `dialect` picks the rows that hold for it.
    Provider {
        name: "custom",
        base_url: None,
        speaks: &[
            row(OpenaiChat, Chat, "/v1/chat/completions", Bearer),
            row(OpenaiChat, Completions, "/v1/completions", Bearer),
            row(OpenaiChat, Embeddings, "/v1/embeddings", Bearer),
            row(OpenaiChat, Moderations, "/v1/moderations", Bearer),
            row(OpenaiResponses, Chat, "/v1/responses", Bearer),
            row(OpenaiResponses, Compact, "/v1/responses/compact", Bearer),
            row(OpenaiResponses, CountTokens, "/v1/responses/input_tokens", Bearer),
            row(OpenaiResponses, Stored, "/v1/responses/{rest}", Bearer),
            row(AnthropicMessages, Chat, "/v1/messages", AnthropicKey),
            row(AnthropicMessages, CountTokens, "/v1/messages/count_tokens", AnthropicKey),
            row(GeminiGenerate, Chat, "/v1beta/models/{model}:{method}", GoogleKey),
            row(GeminiGenerate, CountTokens, "/v1beta/models/{model}:{method}", GoogleKey),
            row(GeminiGenerate, Embeddings, "/v1beta/models/{model}:{method}", GoogleKey),
            row(GeminiGenerate, BatchEmbeddings, "/v1beta/models/{model}:{method}", GoogleKey),
        ],
        needs_secret: false,
        quirks: &[],
    },
];
