//! Free ports, and asking a server over HTTP whether it is up.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// One question may take this long; a server that is starting up answers nothing for a while.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);

/// A port that was free a moment ago. Servers that cannot choose one themselves are started with it, and
/// started again with another if somebody was quicker.
pub fn free_port() -> Result<u16> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port on loopback")?;
    Ok(listener
        .local_addr()
        .context("a port without a number")?
        .port())
}

/// Whether `GET path` is answered with 200. Anything else, silence too, is a no.
pub fn answers_ok(port: u16, path: &str) -> bool {
    ask(port, path).is_ok_and(|status_line| status_line.starts_with("HTTP/1.1 200"))
}

fn ask(port: u16, path: &str) -> std::io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WAIT_MAX)?;
    stream.set_read_timeout(Some(ANSWER_WAIT_MAX))?;
    stream.set_write_timeout(Some(ANSWER_WAIT_MAX))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    )?;
    let mut head = Vec::new();
    stream.take(1024).read_to_end(&mut head)?;
    Ok(String::from_utf8_lossy(&head)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned())
}

/// Tries `start` with up to three ports, since a port that was free may be taken before the server has it.
pub fn with_free_port<T>(mut start: impl FnMut(u16) -> Result<T>) -> Result<T> {
    const TRIES: usize = 3;
    let mut tried = 1;
    loop {
        match start(free_port()?) {
            Ok(started) => return Ok(started),
            Err(error) if tried < TRIES && is_about_the_port(&error) => tried += 1,
            Err(error) => return Err(error),
        }
    }
}

fn is_about_the_port(error: &anyhow::Error) -> bool {
    let text = format!("{error:#}").to_lowercase();
    text.contains("address already in use") || text.contains("eaddrinuse")
}
