//! A mail server that keeps what it is given.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    task::JoinHandle,
};

use crate::harness::eventually;

#[derive(Clone, Debug)]
pub struct Received {
    pub to: String,
    pub text: String,
}

impl Received {
    /// The token of the link in it.
    pub fn token(&self) -> String {
        let text = self.text.replace("=\r\n", "").replace("=3D", "=");
        let rest = text.split("#token=").nth(1).unwrap_or_else(|| panic!("no link: {}", self.text));
        rest.split_whitespace().next().unwrap().to_owned()
    }
}

pub struct Mailbox {
    pub port: u16,
    letters: Arc<Mutex<Vec<Received>>>,
    serving: JoinHandle<()>,
}

impl Mailbox {
    pub async fn start() -> Mailbox {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let letters: Arc<Mutex<Vec<Received>>> = Arc::default();
        let kept = letters.clone();
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, kept.clone()));
            }
        });
        Mailbox { port, letters, serving }
    }

    /// The configuration that sends letters here.
    pub fn config(&self) -> String {
        format!(
            "[admin]\npublic_url = \"https://llm.example.com\"\n[mail]\nhost = \"127.0.0.1\"\nport = {}\n\
             encryption = \"none\"\nfrom = \"Sluice <sluice@example.com>\"\n",
            self.port
        )
    }

    pub fn count(&self) -> usize {
        self.letters.lock().unwrap().len()
    }

    /// The letters as soon as there are `count`.
    pub async fn letters(&self, count: usize) -> Vec<Received> {
        eventually(&format!("{count} letters"), || self.count() >= count).await;
        let letters = self.letters.lock().unwrap().clone();
        assert_eq!(letters.len(), count, "{letters:?}");
        letters
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(stream: tokio::net::TcpStream, letters: Arc<Mutex<Vec<Received>>>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 sink\r\n").await.unwrap();
    let (mut to, mut text, mut in_letter) = (String::new(), String::new(), false);
    while let Ok(Some(line)) = lines.next_line().await {
        if in_letter && line != "." {
            text.push_str(&line);
            text.push_str("\r\n");
            continue;
        }
        let answer: &[u8] = match line.split([' ', ':']).next().unwrap_or_default() {
            "." => {
                in_letter = false;
                letters.lock().unwrap().push(Received { to: to.clone(), text: std::mem::take(&mut text) });
                b"250 kept\r\n"
            }
            "DATA" => {
                in_letter = true;
                b"354 go on\r\n"
            }
            "RCPT" => {
                to = line.split(['<', '>']).nth(1).unwrap().to_owned();
                b"250 ok\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 sink\r\n",
        };
        if write.write_all(answer).await.is_err() {
            return;
        }
    }
}
