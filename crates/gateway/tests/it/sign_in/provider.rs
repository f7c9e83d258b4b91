//! A small OpenID provider: it says what the test tells it to say, signed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD as BASE64, Engine};
use gateway::clock::unix_ms;
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

const CLIENT: &str = "sluice";
const CLIENT_SECRET: &str = "secret-of-the-client";

/// What somebody agreed to at the provider.
struct Grant {
    claims: Value,
    challenge: String,
}

struct State {
    url: String,
    key: EcdsaKeyPair,
    /// By their code; each is good once.
    grants: Mutex<HashMap<String, Grant>>,
}

pub struct Provider {
    state: Arc<State>,
    serving: JoinHandle<()>,
}

impl Provider {
    pub async fn start() -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let state = Arc::new(State { url, key, grants: Mutex::default() });
        let shared = state.clone();
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        Provider { state, serving }
    }

    pub fn config(&self, more: &str) -> String {
        format!(
            "[admin]\npublic_url = \"https://llm.example.com\"\n[oidc]\nissuer = \"{}\"\nclient_id = \"{CLIENT}\"\n\
             client_secret = \"{CLIENT_SECRET}\"\n{more}",
            self.state.url
        )
    }

    /// Somebody agrees at the page that `url` leads to. `claims` go over those that are right. Returns code and state.
    pub fn agree(&self, url: &str, claims: Value) -> (String, String) {
        let query: HashMap<String, String> = url
            .split_once('?')
            .unwrap()
            .1
            .split('&')
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), decoded(value)))
            .collect();
        assert!(url.starts_with(&format!("{}/authorize?", self.state.url)), "{url}");
        assert_eq!(query["response_type"], "code");
        assert_eq!(query["code_challenge_method"], "S256");
        assert_eq!(query["redirect_uri"], "https://llm.example.com/api/v1/oidc/callback");
        assert!(query["scope"].contains("openid") && query["scope"].contains("email"));
        let mut all = json!({
            "iss": self.state.url, "aud": CLIENT, "sub": "42", "nonce": query["nonce"],
            "iat": unix_ms() / 1000, "exp": unix_ms() / 1000 + 300,
        });
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        let mut grants = self.state.grants.lock().unwrap();
        let code = format!("code-{}", grants.len());
        grants.insert(code.clone(), Grant { claims: all, challenge: query["code_challenge"].clone() });
        (code, query["state"].clone())
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8().unwrap().into_owned()
}

impl State {
    fn answer(&self, head: &str, body: &str) -> (u16, Value) {
        match head.split(' ').nth(1).unwrap() {
            "/.well-known/openid-configuration" => (
                200,
                json!({
                    "issuer": self.url,
                    "authorization_endpoint": format!("{}/authorize", self.url),
                    "token_endpoint": format!("{}/token", self.url),
                    "jwks_uri": format!("{}/keys", self.url),
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["ES256"],
                }),
            ),
            "/keys" => {
                let point = self.key.public_key().as_ref();
                let (x, y) = (BASE64.encode(&point[1..33]), BASE64.encode(&point[33..]));
                let key = json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "k", "x": x, "y": y});
                (200, json!({"keys": [key]}))
            }
            "/token" => self.token(head, body),
            other => panic!("nobody asks a provider for {other}"),
        }
    }

    fn token(&self, head: &str, body: &str) -> (u16, Value) {
        let form: HashMap<&str, String> = body
            .split('&')
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| (name, decoded(value)))
            .collect();
        let basic = base64::prelude::BASE64_STANDARD.encode(format!("{CLIENT}:{CLIENT_SECRET}"));
        assert!(head.contains(&format!("Basic {basic}")), "the client proves itself: {head}");
        let Some(grant) = self.grants.lock().unwrap().remove(&form["code"]) else {
            return (400, json!({"error": "invalid_grant"}));
        };
        let proof = BASE64.encode(digest(&SHA256, form["code_verifier"].as_bytes()));
        if proof != grant.challenge {
            return (400, json!({"error": "invalid_grant"}));
        }
        (200, json!({"access_token": "at", "token_type": "Bearer", "id_token": self.signed(&grant.claims)}))
    }

    fn signed(&self, claims: &Value) -> String {
        let head = json!({"alg": "ES256", "typ": "JWT", "kid": "k"});
        let text = format!("{}.{}", BASE64.encode(head.to_string()), BASE64.encode(claims.to_string()));
        let mut signature = self.key.sign(&SystemRandom::new(), text.as_bytes()).unwrap().as_ref().to_vec();
        if claims["forged"] == true {
            signature[7] ^= 1;
        }
        format!("{text}.{}", BASE64.encode(signature))
    }
}

async fn serve(mut stream: tokio::net::TcpStream, state: Arc<State>) {
    let mut heard = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let Ok(count @ 1..) = stream.read(&mut buffer).await else { return };
        heard.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&heard).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() < length.unwrap_or(0) {
            continue;
        }
        let (status, answer) = state.answer(head, body);
        let answer = answer.to_string();
        let words = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
            answer.len()
        );
        let _ = stream.write_all(words.as_bytes()).await;
        return;
    }
}
