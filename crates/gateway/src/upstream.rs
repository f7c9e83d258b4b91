//! The one HTTP client: everything that goes to a provider goes through here.
//!
//! In: a request whose body is slices of the caller's. Out: the answer's head and a body to be polled. Dropping either
//! closes or releases the connection; redirects are not followed, nothing is retried. Only this file names the client
//! library.

use std::{
    collections::VecDeque,
    convert::Infallible,
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
    task::{Context, Poll},
};

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::{
    body::Incoming,
    rt::{Read, ReadBufCursor, Write},
};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{
            Connected, Connection, HttpConnector,
            proxy::{SocksV5, Tunnel},
        },
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::{net::TcpStream, time::Duration};
use tower_service::Service;

use crate::{
    config::{Proxy, ProxyScheme},
    flow::Entry,
};

/// Idle connections are closed after this: shorter than what providers keep, so that few are stale when used.
const POOL_IDLE: Duration = Duration::from_secs(30);
/// Idle connections kept per channel.
const POOL_MAX_IDLE: usize = 1024;

/// A way to an upstream. The simulation puts a scripted one in the place of the network.
pub trait Upstream: Send + Sync + fmt::Debug {
    fn send(&self, request: Request<RequestBody>) -> Sending;
}

/// The answer's head, to come.
pub type Sending = Pin<Box<dyn Future<Output = Result<Response<ReplyBytes>, SendError>> + Send>>;

/// Why no answer's head came.
#[derive(Debug)]
pub enum SendError {
    /// Not connected: nothing was sent.
    Connect(String),
    ConnectTimedOut,
    /// Connected, and then the connection broke: the upstream may have seen the request.
    Broken(String),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Connect(detail) => write!(f, "cannot connect: {detail}"),
            SendError::ConnectTimedOut => f.write_str("cannot connect within timeouts.connect"),
            SendError::Broken(detail) => write!(f, "connection broke before an answer: {detail}"),
        }
    }
}

/// A request body in slices, written one after the other without a copy.
#[derive(Debug)]
pub struct RequestBody {
    parts: VecDeque<Bytes>,
    left: u64,
    /// Told when the body is first asked for: then there is a connection, and the request goes out.
    entry: Option<Arc<Entry>>,
}

impl RequestBody {
    pub fn new(parts: Vec<Bytes>, entry: Option<Arc<Entry>>) -> RequestBody {
        let left = parts.iter().map(|part| part.len() as u64).sum();
        RequestBody { parts: parts.into(), left, entry }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(entry) = self.entry.take() {
            entry.sent();
        }
        Poll::Ready(self.parts.pop_front().map(|part| {
            self.left -= part.len() as u64;
            Ok(Frame::data(part))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// An answer's body.
#[derive(Debug)]
pub enum ReplyBytes {
    Network(Incoming),
    Scripted(Scripted),
}

/// A body that a simulation makes up.
pub struct Scripted(pub Pin<Box<dyn Body<Data = Bytes, Error = io::Error> + Send>>);

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

impl ReplyBytes {
    /// The next bytes; trailers are passed over.
    pub fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>> {
        loop {
            let frame = match self {
                ReplyBytes::Network(body) => Pin::new(body)
                    .poll_frame(context)
                    .map(|frame| frame.map(|frame| frame.map_err(|error| chain(&error)))),
                ReplyBytes::Scripted(body) => body
                    .0
                    .as_mut()
                    .poll_frame(context)
                    .map(|frame| frame.map(|frame| frame.map_err(|error| chain(&error)))),
            };
            return match frame {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => Poll::Ready(Some(Ok(data))),
                    _ => continue,
                },
                Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            };
        }
    }

    pub async fn next(&mut self) -> Option<Result<Bytes, String>> {
        std::future::poll_fn(|context| self.poll_bytes(context)).await
    }

    /// The length that the head promised.
    pub fn exact_length(&self) -> Option<u64> {
        match self {
            ReplyBytes::Network(body) => body.size_hint().exact(),
            ReplyBytes::Scripted(body) => body.0.size_hint().exact(),
        }
    }
}

/// An error with its causes, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// One channel's connections.
#[derive(Clone)]
pub struct HttpUpstream {
    client: Client<Connector, RequestBody>,
}

impl fmt::Debug for HttpUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpUpstream")
    }
}

impl HttpUpstream {
    /// `sockets` counts this channel's open connections into the whole.
    pub fn new(connect: Duration, proxy: Option<&Proxy>, sockets: Arc<AtomicI64>) -> HttpUpstream {
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_MAX_IDLE)
            .pool_timer(TokioTimer::new())
            .build(Connector::new(connect, proxy, sockets));
        HttpUpstream { client }
    }
}

impl Upstream for HttpUpstream {
    fn send(&self, request: Request<RequestBody>) -> Sending {
        let response = self.client.request(request);
        Box::pin(async move {
            match response.await {
                Ok(response) => Ok(response.map(ReplyBytes::Network)),
                Err(error) if timed_out(&error) => Err(SendError::ConnectTimedOut),
                Err(error) if error.is_connect() => Err(SendError::Connect(chain(&error))),
                Err(error) => Err(SendError::Broken(chain(&error))),
            }
        })
    }
}

fn timed_out(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| error.is::<ConnectTimedOut>())
}

/// Marks our own clock among the connector's errors.
#[derive(Debug)]
struct ConnectTimedOut;

impl fmt::Display for ConnectTimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timed out")
    }
}

impl std::error::Error for ConnectTimedOut {}

/// Opens connections: directly or through a proxy, with TLS where the URL says so, within one clock, and counted.
#[derive(Clone)]
struct Connector {
    egress: HttpsConnector<Egress>,
    within: Duration,
    sockets: Arc<AtomicI64>,
}

/// The way out of the house.
#[derive(Clone)]
enum Egress {
    Direct(HttpConnector),
    Http(Tunnel<HttpConnector>),
    Socks5(SocksV5<HttpConnector>),
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

impl Connector {
    fn new(within: Duration, proxy: Option<&Proxy>, sockets: Arc<AtomicI64>) -> Connector {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        tcp.set_connect_timeout(Some(within));
        let egress = match proxy {
            None => Egress::Direct(tcp),
            Some(proxy) => match proxy.scheme {
                ProxyScheme::Http => {
                    let tunnel = Tunnel::new(proxy.address.clone(), tcp);
                    Egress::Http(match proxy_authorization(proxy) {
                        Some(value) => tunnel.with_auth(value),
                        None => tunnel,
                    })
                }
                ProxyScheme::Socks5 => {
                    let socks = SocksV5::new(proxy.address.clone(), tcp);
                    Egress::Socks5(match &proxy.credentials {
                        Some((user, password)) => socks.with_auth(user.clone(), password.reveal().to_owned()),
                        None => socks,
                    })
                }
            },
        };
        let egress = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls_config())
            .https_or_http()
            .enable_http1()
            .wrap_connector(egress);
        Connector { egress, within, sockets }
    }
}

fn proxy_authorization(proxy: &Proxy) -> Option<HeaderValue> {
    let (user, password) = proxy.credentials.as_ref()?;
    let token = BASE64_STANDARD.encode(format!("{user}:{}", password.reveal()));
    let mut value = HeaderValue::from_str(&format!("Basic {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Service<Uri> for Egress {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Connecting<TokioIo<TcpStream>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Egress::Direct(tcp) => tcp.poll_ready(context).map_err(Into::into),
            Egress::Http(tunnel) => tunnel.poll_ready(context).map_err(Into::into),
            Egress::Socks5(socks) => socks.poll_ready(context).map_err(Into::into),
        }
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        match self {
            Egress::Direct(tcp) => {
                let connecting = tcp.call(target);
                Box::pin(async move { connecting.await.map_err(Into::into) })
            }
            Egress::Http(tunnel) => {
                let connecting = tunnel.call(target);
                Box::pin(async move { connecting.await.map_err(Into::into) })
            }
            Egress::Socks5(socks) => {
                let connecting = socks.call(target);
                Box::pin(async move { connecting.await.map_err(Into::into) })
            }
        }
    }
}

impl Service<Uri> for Connector {
    type Response = Counted;
    type Error = BoxError;
    type Future = Connecting<Counted>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.egress.poll_ready(context)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let (connecting, within, sockets) = (self.egress.call(target), self.within, self.sockets.clone());
        Box::pin(async move {
            match tokio::time::timeout(within, connecting).await {
                Ok(Ok(stream)) => Ok(Counted::new(stream, sockets)),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(ConnectTimedOut.into()),
            }
        })
    }
}

/// A connection that is counted for as long as it is open.
struct Counted {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    sockets: Arc<AtomicI64>,
}

impl Counted {
    fn new(stream: MaybeHttpsStream<TokioIo<TcpStream>>, sockets: Arc<AtomicI64>) -> Counted {
        sockets.fetch_add(1, Ordering::Relaxed);
        Counted { stream, sockets }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.sockets.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection for Counted {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl Read for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }
}

/// Roots: the bundled public ones and the machine's own (a company's CA). Built once.
fn tls_config() -> rustls::ClientConfig {
    static CONFIG: OnceLock<rustls::ClientConfig> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
            for certificate in rustls_native_certs::load_native_certs().certs {
                // A certificate that rustls cannot read is one that it would not trust either.
                let _ = roots.add(certificate);
            }
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("ring supports the default TLS versions")
                .with_root_certificates(roots)
                .with_no_client_auth()
        })
        .clone()
}
