//! Opens connections: directly or through a proxy, with TLS where the URL says so, within one clock, and counted.

use std::{
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
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::legacy::connect::{
        HttpConnector,
        proxy::{SocksV5, Tunnel},
    },
    rt::TokioIo,
};
use tokio::{net::TcpStream, time::Duration};
use tower_service::Service;

use crate::config::{Proxy, ProxyScheme};

/// Whether it was our own clock that ran out.
pub(super) fn timed_out(error: &(dyn std::error::Error + 'static)) -> bool {
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

pub(super) struct Connector {
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

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(super) type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

impl Connector {
    pub(super) fn new(within: Duration, proxy: Option<&Proxy>, sockets: Arc<AtomicI64>) -> Connector {
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

    /// Opens a connection to where this URL leads; it is always ready to.
    pub(super) fn connect(&self, target: Uri) -> Connecting<Counted> {
        let connecting = self.egress.clone().call(target);
        let (within, sockets) = (self.within, self.sockets.clone());
        Box::pin(async move {
            match tokio::time::timeout(within, connecting).await {
                Ok(Ok(stream)) => Ok(Counted::new(stream, sockets)),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(ConnectTimedOut.into()),
            }
        })
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

/// A connection that is counted for as long as it is open.
pub(super) struct Counted {
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
