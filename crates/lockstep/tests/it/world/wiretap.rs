//! A listener on the wire: stands between a process and the server that it calls, keeps what was said, and may change
//! the bodies of answers. HTTP/1.1 without TLS, loopback only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Longer messages are kept to here.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// One call and its answer.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub method: String,
    pub path: String,
    pub asked: BTreeMap<String, String>,
    pub status: u16,
    pub answered: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Exchange {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or(serde_json::Value::Null)
    }
}

/// What is made of the body of an answer to this path.
pub type Change = Arc<dyn Fn(&str, Vec<u8>) -> Vec<u8> + Send + Sync>;

pub struct Wiretap {
    pub url: String,
    heard: Arc<Mutex<Vec<Exchange>>>,
    cut: Arc<Mutex<Vec<String>>>,
    listening: JoinHandle<()>,
}

impl Wiretap {
    pub async fn before(server: &str) -> Wiretap {
        Wiretap::changing(server, Arc::new(|_, body| body)).await
    }

    pub async fn changing(server: &str, change: Change) -> Wiretap {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let cut = Arc::new(Mutex::new(Vec::new()));
        let line = Line {
            cut: cut.clone(),
            server: server.trim_end_matches('/').to_owned(),
            http: client(),
            heard: heard.clone(),
            change,
        };
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let line = line.clone();
                tokio::spawn(async move { line.serve(stream).await });
            }
        });
        Wiretap {
            url,
            heard,
            cut,
            listening,
        }
    }

    /// From now on nothing under these paths is answered: the connection breaks.
    pub fn cut(&self, paths: &[&str]) {
        *self.cut.lock().expect("cut paths") =
            paths.iter().map(|path| (*path).to_owned()).collect();
    }

    pub fn all(&self) -> Vec<Exchange> {
        self.heard.lock().expect("exchanges").clone()
    }

    pub fn forget(&self) {
        self.heard.lock().expect("exchanges").clear();
    }

    /// Calls of this method and path, in order.
    pub fn heard(&self, method: &str, path: &str) -> Vec<Exchange> {
        let heard = self.heard.lock().expect("exchanges");
        heard
            .iter()
            .filter(|each| each.method == method && each.path.split('?').next() == Some(path))
            .cloned()
            .collect()
    }
}

impl Drop for Wiretap {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

fn client() -> reqwest::Client {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_gzip()
        .build()
        .expect("an HTTP client")
}

#[derive(Clone)]
struct Line {
    server: String,
    http: reqwest::Client,
    heard: Arc<Mutex<Vec<Exchange>>>,
    cut: Arc<Mutex<Vec<String>>>,
    change: Change,
}

impl Line {
    fn is_cut(&self, path: &str) -> bool {
        self.cut
            .lock()
            .expect("cut paths")
            .iter()
            .any(|cut| path.starts_with(cut))
    }

    /// Until the caller hangs up, or the server does: then the caller sees just that.
    async fn serve(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        while let Some((method, path, asked, body)) = request(&mut stream).await {
            let Ok(verb) = reqwest::Method::from_bytes(method.as_bytes()) else {
                return;
            };
            let mut call = self.http.request(verb, format!("{}{path}", self.server));
            for (name, value) in &asked {
                let ours = ["host", "content-length", "connection", "accept-encoding"];
                if !ours.contains(&name.as_str()) {
                    call = call.header(name, value);
                }
            }
            if self.is_cut(&path) {
                return;
            }
            let Ok(reply) = call.body(body).send().await else {
                return;
            };
            let status = reply.status();
            let mut answered = BTreeMap::new();
            for (name, value) in reply.headers() {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                answered.insert(name.as_str().to_owned(), value);
            }
            let Ok(body) = reply.bytes().await else {
                return;
            };
            if self.is_cut(&path) {
                return;
            }
            let body = (self.change)(&path, body.to_vec());
            let mut head = format!("HTTP/1.1 {}\r\n", status.as_u16());
            for (name, value) in &answered {
                if !["content-length", "transfer-encoding", "connection"].contains(&name.as_str()) {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
            }
            if status != reqwest::StatusCode::NOT_MODIFIED
                && status != reqwest::StatusCode::NO_CONTENT
            {
                head.push_str(&format!("content-length: {}\r\n", body.len()));
            }
            head.push_str("\r\n");
            let kept = body[..body.len().min(KEPT_BYTES_MAX)].to_vec();
            self.heard.lock().expect("exchanges").push(Exchange {
                method,
                path,
                asked,
                status: status.as_u16(),
                answered,
                body: kept,
            });
            let written = async {
                stream.get_mut().write_all(head.as_bytes()).await?;
                stream.get_mut().write_all(&body).await?;
                stream.get_mut().flush().await
            };
            if written.await.is_err() {
                return;
            }
        }
    }
}

type Request = (String, String, BTreeMap<String, String>, Vec<u8>);

async fn request(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut first = String::new();
    if stream.read_line(&mut first).await.ok()? == 0 {
        return None;
    }
    let mut words = first.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(Ok(0), |text| text.parse());
    let mut body = vec![0; length.ok()?];
    stream.read_exact(&mut body).await.ok()?;
    Some((method, path, headers, body))
}
