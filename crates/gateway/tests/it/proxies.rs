//! Ways out through a proxy: HTTP CONNECT and SOCKS5.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::harness::{SECRET, World, channel, plain, stream};

/// A proxy that lets everything through to one place, and what it was asked for.
struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn proxy<F, W>(handshake: F, to: SocketAddr) -> Proxy
where
    F: Fn(TcpStream) -> W + Send + Sync + 'static,
    W: Future<Output = Option<(TcpStream, String)>> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let (noted, handshake) = (asked.clone(), Arc::new(handshake));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (noted, handshake) = (noted.clone(), handshake.clone());
            tokio::spawn(async move {
                let Some((mut stream, target)) = handshake(stream).await else { return };
                noted.lock().unwrap().push(target);
                let mut upstream = TcpStream::connect(to).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut upstream).await;
            });
        }
    });
    Proxy { address, asked }
}

/// `CONNECT host:port`, with whatever credentials come along.
async fn connect(mut stream: TcpStream) -> Option<(TcpStream, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
    let target = head.split(' ').nth(1)?.to_owned();
    let login = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("proxy-authorization").then(|| value.to_owned())
    });
    assert!(head.starts_with("CONNECT ") && !head.contains("upstream-secret-c"), "{head}");
    Some((stream, format!("{target} {}", login.unwrap_or_default())))
}

/// RFC 1928 with RFC 1929, as far as a client of ours goes.
async fn socks(mut stream: TcpStream) -> Option<(TcpStream, String)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).await.ok()?;
    let mut methods = vec![0; head[1].into()];
    stream.read_exact(&mut methods).await.ok()?;
    let mut login = String::new();
    if methods.contains(&2) {
        stream.write_all(&[5, 2]).await.ok()?;
        assert_eq!(stream.read_u8().await.ok()?, 1);
        for _ in 0..2 {
            let mut part = vec![0; stream.read_u8().await.ok()?.into()];
            stream.read_exact(&mut part).await.ok()?;
            login.push_str(&String::from_utf8(part).unwrap());
            login.push(':');
        }
        stream.write_all(&[1, 0]).await.ok()?;
    } else {
        stream.write_all(&[5, 0]).await.ok()?;
    }
    let mut request = [0; 4];
    stream.read_exact(&mut request).await.ok()?;
    let host = match request[3] {
        3 => {
            let mut name = vec![0; stream.read_u8().await.ok()?.into()];
            stream.read_exact(&mut name).await.ok()?;
            String::from_utf8(name).unwrap()
        }
        kind => panic!("an address of kind {kind}: the name was looked up here"),
    };
    let port = stream.read_u16().await.ok()?;
    stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).await.ok()?;
    Some((stream, format!("{host}:{port} {login}")))
}

#[tokio::test]
async fn a_channel_goes_out_through_its_proxy() {
    for kind in ["http", "socks5"] {
        for login in ["", "user:upstream-secret-proxy@"] {
            let sim = upstream_sim::Sim::start().await;
            let proxy = match kind {
                "http" => proxy(connect, sim.addr).await,
                _ => proxy(socks, sim.addr).await,
            };
            let text = format!("[[key]]\nname = \"app\"\nsecret = \"{}\"\n", crate::harness::KEY)
                + &channel("c", "openai_chat", "http://provider.test:8080", "sim")
                + &format!("proxy = \"{kind}://{login}{}\"\n", proxy.address);
            let world = World::with(sim, &text);
            for request in [plain("openai_chat"), stream("openai_chat")] {
                let answer = world.ask(&request).await;
                assert_eq!(answer.status, 200, "{kind}, {login}: {answer:?}");
            }
            assert_eq!(world.sim.log()[0].header("host"), Some("provider.test:8080"));
            let credentials = match (kind, login) {
                (_, "") => "",
                ("http", _) => "Basic dXNlcjp1cHN0cmVhbS1zZWNyZXQtcHJveHk=",
                _ => "user:upstream-secret-proxy:",
            };
            let asked = proxy.asked.lock().unwrap().clone();
            assert_eq!(
                asked,
                [format!("provider.test:8080 {credentials}")],
                "{kind}: one connection for both"
            );
            world.close().await;
        }
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_is_a_failure_to_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let refusing = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
        }
    });
    let world = World::start(|sim| {
        channel("c", "openai_chat", "http://provider.test", "sim")
            + &format!("proxy = \"http://user:{SECRET}-p@{address}\"\npriority = 1\n")
            + &channel("good", "openai_chat", &sim.url(), "sim")
    })
    .await;
    let answer = world.ask(&plain("openai_chat")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let line = world.settlement(&answer).await;
    assert!(line["attempts"][0]["fault"].as_str().unwrap().contains("cannot connect"), "{line}");
    world.close().await;
    refusing.abort();
}
