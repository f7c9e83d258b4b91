//! The leanest upstream: reads a request to its end, throws it away, and answers with prepared bytes.
//!
//! In: connections; out: always the same good answer. It exists because upstream-sim reads and records each request, which
//! costs about as much as nginx takes to pass it on: at saturation the upstream would be the bottleneck on the core that it
//! shares with the load generator, and the server in between would be measured half idle. It must only be used where
//! the answer does not matter.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::request;
use crate::program;

/// Holds a small request; large ones pass through in pieces.
const READ_BYTES: usize = 64 * 1024;
/// Text of the answer: with what is around it, about 1.2 KB.
const TEXT_BYTES: usize = 900;

/// Serves for ever, as the whole of a process.
pub fn be(address: SocketAddr) -> Result<(), String> {
    program::runtime()?.block_on(serve(address)).map_err(|error| format!("{address}: {error}"))
}

/// Serves for ever.
pub async fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let answer = answer();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answer = answer.clone();
        // A connection that breaks is the peer's business.
        tokio::spawn(async move { attend(stream, &answer).await });
    }
}

/// A good Chat answer with its usage.
fn answer() -> Vec<u8> {
    let body = format!(
        r#"{{"id":"chatcmpl-bench","object":"chat.completion","created":1764000000,"model":"upstream-model","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":250,"completion_tokens":200,"total_tokens":450}}}}"#,
        request::text(TEXT_BYTES)
    );
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

async fn attend(mut stream: TcpStream, answer: &[u8]) -> io::Result<()> {
    let mut inbox = vec![0; READ_BYTES];
    let (mut filled, mut body_left) = (0, None);
    loop {
        let count = stream.read(&mut inbox[filled..]).await?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        if body_left.is_none() {
            let Some((head, length)) = head(&inbox[..filled])? else { continue };
            filled -= head;
            body_left = Some(length);
        }
        // The peer sends the next request only after the answer: everything here is body.
        let left = body_left.unwrap_or(0).saturating_sub(filled);
        filled = 0;
        if left == 0 {
            stream.write_all(answer).await?;
            body_left = None;
        } else {
            body_left = Some(left);
        }
    }
}

/// The lengths of the head, if it is whole, and of the body.
fn head(bytes: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Partial) => Ok(None),
        Ok(httparse::Status::Complete(head)) => {
            let length =
                request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
            let length =
                length.and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse().ok());
            Ok(Some((head, length.unwrap_or(0))))
        }
        Err(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_measured_by_its_head() {
        let bytes = request::post("/x", &[], &[b'a'; 300]);
        let (head_length, body) = head(&bytes).expect("well formed").expect("whole");
        assert_eq!((head_length + body, body), (bytes.len(), 300));
        assert_eq!(head(&bytes[..20]).expect("well formed"), None);
        let text = String::from_utf8(answer()).expect("text");
        let (_, body) = text.split_once("\r\n\r\n").expect("a head");
        serde_json::from_str::<serde_json::Value>(body).expect("JSON");
    }
}
