//! One HTTP/1.1 connection to this machine. Not a client for the world: no TLS, no redirects, no retries.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{HeaderValue, Uri};
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Where a server listens, on loopback only.
#[derive(Clone)]
pub struct Place {
    pub address: SocketAddr,
    pub host: HeaderValue,
}

impl Place {
    pub fn read(url: &Uri) -> Result<Self> {
        if url.scheme_str() != Some("http") {
            bail!("the URL {url} has to be http");
        }
        let authority = url.authority().context("the URL has no host")?.as_str();
        let address: SocketAddr = authority
            .parse()
            .context("the URL has to have an address and a port")?;
        if !address.ip().is_loopback() {
            bail!("{address} is not on loopback, and only this machine is measured");
        }
        Ok(Self {
            address,
            host: HeaderValue::from_str(authority)?,
        })
    }
}

pub async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = timeout(CONNECT_MAX, TcpStream::connect(address))
        .await
        .context("the server took too long to accept")?
        .with_context(|| format!("{address} does not accept connections"))?;
    stream
        .set_nodelay(true)
        .context("a connection without options")?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .context("no HTTP connection")?;
    // Its error is seen by the sender's next request.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}
