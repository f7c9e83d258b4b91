//! A browser as far as it matters: it keeps cookies, and its page repeats the session's token.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    harness::World,
    wire::{Answer, Request},
};

pub const PASSWORD: &str = "correct horse battery";

pub struct Browser<'w> {
    pub world: &'w World,
    pub cookies: BTreeMap<String, String>,
    pub csrf_token: Option<String>,
    /// Sent with everything.
    pub headers: Vec<(String, String)>,
}

impl<'w> Browser<'w> {
    pub fn new(world: &'w World) -> Browser<'w> {
        Browser { world, cookies: BTreeMap::new(), csrf_token: None, headers: Vec::new() }
    }

    /// One in which root is signed in, by the setup link.
    pub async fn root(world: &'w World) -> Browser<'w> {
        let mut browser = Browser::new(world);
        let token = world.setup_token().unwrap();
        let answer =
            browser.post("/setup", json!({"token": token, "name": "root", "password": PASSWORD})).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        browser
    }

    /// One in which a new user is signed in, invited by root.
    pub async fn invited(root: &mut Browser<'w>, name: &str, role: &str) -> Browser<'w> {
        let answer = root.post("/invitations", json!({"role": role})).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let token = answer.json()["token"].clone();
        let mut browser = Browser::new(root.world);
        let answer = browser
            .post("/sign_up/complete", json!({"token": token, "name": name, "password": PASSWORD}))
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        browser
    }

    pub async fn sign_in(&mut self, name: &str, password: &str) -> Answer {
        self.post("/session", json!({"name": name, "password": password})).await
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, None).await
    }

    pub async fn post(&mut self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, Some(body)).await
    }

    pub async fn put(&mut self, path: &str, body: Value) -> Answer {
        self.ask("PUT", path, Some(body)).await
    }

    pub async fn delete(&mut self, path: &str) -> Answer {
        self.ask("DELETE", path, None).await
    }

    pub fn request(&self, method: &'static str, path: &str, body: Option<&Value>) -> Request {
        let mut request = Request::new(method, format!("/api/v1{path}"));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", pairs.join("; "));
        }
        if let Some(token) = &self.csrf_token {
            request = request.header("x-csrf-token", token);
        }
        match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        }
    }

    pub async fn ask(&mut self, method: &'static str, path: &str, body: Option<Value>) -> Answer {
        let answer = self.world.ask(&self.request(method, path, body.as_ref())).await;
        self.keep(&answer);
        answer
    }

    fn keep(&mut self, answer: &Answer) {
        let cookies = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        for (_, line) in cookies {
            let (pair, rest) = line.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if rest.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        if let Ok(body) = serde_json::from_slice::<Value>(&answer.body)
            && let Some(token) = body["csrf_token"].as_str()
        {
            self.csrf_token = Some(token.to_owned());
        }
    }

    pub async fn is_signed_in(&mut self) -> bool {
        self.get("/session").await.status == 200
    }
}

/// The status and the code of a problem.
#[track_caller]
pub fn assert_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{answer:?}");
}

/// Configuration with invitations.
pub const INVITATIONS: &str = "[sign_up]\nmode = \"invitation\"\n";
