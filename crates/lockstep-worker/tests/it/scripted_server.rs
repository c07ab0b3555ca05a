//! A server that does one scripted thing with each connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

#[derive(Clone)]
pub enum Script {
    /// Reads the request and says this, word for word, then closes.
    Say(Vec<u8>),
    /// Reads the request and closes without a word.
    HangUp,
    /// Reads the request and keeps silent.
    Silence,
    /// Answers with a body that never ends.
    Endless,
}

impl Script {
    pub fn reply(status: &str, headers: &str, body: &str) -> Self {
        let text = format!(
            "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        Script::Say(text.into_bytes())
    }
}

pub struct ScriptedServer {
    pub port: u16,
    pub requests: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ScriptedServer {
    pub async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, script.clone(), counted.clone()));
            }
        });
        Self {
            port,
            requests,
            task,
        }
    }

    pub async fn start_tls(script: Script, config: rustls::ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if let Ok(stream) = acceptor.accept(stream).await {
                    tokio::spawn(serve(stream, script.clone(), counted.clone()));
                }
            }
        });
        Self {
            port,
            requests,
            task,
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn heard(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    script: Script,
    requests: Arc<AtomicUsize>,
) {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => head.extend_from_slice(&buffer[..n]),
        }
    }
    requests.fetch_add(1, Ordering::SeqCst);
    match script {
        Script::Say(text) => {
            let _gone = stream.write_all(&text).await;
            let _gone = stream.shutdown().await;
        }
        Script::HangUp => {}
        Script::Silence => {
            // Until the caller gives up.
            while !matches!(stream.read(&mut buffer).await, Ok(0) | Err(_)) {}
        }
        Script::Endless => {
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let piece = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            let mut sent = stream.write_all(head).await;
            while sent.is_ok() {
                sent = stream.write_all(piece.as_bytes()).await;
            }
        }
    }
}
