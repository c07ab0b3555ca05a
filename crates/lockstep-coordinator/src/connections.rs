//! Connections: how many there may be, how many of one address, and how long one may be silent. A stranger who opens them
//! and says nothing, or half of something, takes no place from anybody for long.
//!
//! ```text
//!  accept ──► a place free? ──► served, until no byte has moved for SILENCE_MAX
//!                 │ no            (hyper: a head within HEAD_TIME_MAX; `timed`: a body within BODY_TIME_MAX)
//!                 └──► waits PLACE_WAIT, a few at a time; the others are hung up on; the log says so once a minute
//! ```

use crate::{
    admission::network,
    bounds::{
        BODY_TIME_MAX, CONNECTIONS_MAX, CONNECTIONS_WAITING_MAX, FILES_KEPT, PLACE_WAIT,
        SILENCE_MAX,
    },
};
use axum::{
    body::{Body, HttpBody},
    extract::Request,
    middleware::Next,
    response::Response,
};
use axum_server::accept::Accept;
use futures::{StreamExt, future::BoxFuture};
use lockstep_protocol::Network;
use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
    time::{Instant, Sleep, sleep_until, timeout_at},
};

const SAID_EVERY: Duration = Duration::from_secs(60);

/// The places for connections.
#[derive(Clone)]
pub struct Connections(Arc<Places>);

struct Places {
    max: usize,
    per_address: usize,
    /// Proxies bring everybody's.
    proxies: Vec<Network>,
    silence: Duration,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Default)]
struct Taken {
    all: usize,
    waiting: usize,
    by_address: HashMap<IpAddr, usize>,
    said: Option<Instant>,
}

/// How many files this process may have open; `None`: as many as it likes.
pub fn files_max() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit
        .current
        .map(|files| usize::try_from(files).unwrap_or(usize::MAX))
}

impl Connections {
    /// `per_address`, 0: no bound.
    pub fn new(files: Option<usize>, per_address: usize, proxies: Vec<Network>) -> Self {
        let max = match files {
            None => CONNECTIONS_MAX,
            // Of very few files half are for connections.
            Some(files) => files.saturating_sub(FILES_KEPT).max(files / 2),
        };
        let max = max.min(CONNECTIONS_MAX);
        // Where there are few, one address still leaves some to the others.
        Self::with(max, per_address.min(max / 2), proxies, SILENCE_MAX)
    }

    fn with(max: usize, per_address: usize, proxies: Vec<Network>, silence: Duration) -> Self {
        Connections(Arc::new(Places {
            max: max.max(1),
            per_address: match per_address {
                0 => usize::MAX,
                some => some,
            },
            proxies,
            silence,
            taken: Mutex::default(),
            freed: Notify::new(),
        }))
    }

    pub fn max(&self) -> usize {
        self.0.max
    }

    /// A place for a connection of this address, once there is one.
    async fn place(&self, address: IpAddr) -> Option<Place> {
        let is_proxy = self.0.proxies.iter().any(|proxy| proxy.has(address));
        let address = (!is_proxy).then(|| network(address));
        let until = Instant::now() + PLACE_WAIT;
        let mut waiting = None;
        loop {
            let freed = self.0.freed.notified();
            tokio::pin!(freed);
            // From here on nothing that is freed is missed.
            freed.as_mut().enable();
            if let Some(place) = self.take(address) {
                return Some(place);
            }
            if waiting.is_none() {
                waiting = Some(self.wait()?);
            }
            timeout_at(until, freed).await.ok()?;
        }
    }

    fn take(&self, address: Option<IpAddr>) -> Option<Place> {
        let mut taken = self.0.lock();
        let of_address = address.and_then(|address| taken.by_address.get(&address).copied());
        let of_address = of_address.unwrap_or(0);
        let full = taken.all >= self.0.max;
        if full || of_address >= self.0.per_address {
            let quiet = taken.said.is_none_or(|said| said.elapsed() >= SAID_EVERY);
            if quiet {
                taken.said = Some(Instant::now());
                match full {
                    true => tracing::warn!(
                        connections = taken.all,
                        "as many connections are open as the limit of open files lets through; new ones wait. Raise the \
                         limit (ulimit -n, LimitNOFILE) if these are all wanted"
                    ),
                    false => tracing::warn!(
                        address = address.map(tracing::field::display),
                        connections = of_address,
                        "one address has as many connections open as one may; its new ones wait. If it is a proxy, name it \
                         in coordinator.trusted_proxies"
                    ),
                }
            }
            return None;
        }
        taken.all += 1;
        if let Some(address) = address {
            *taken.by_address.entry(address).or_default() += 1;
        }
        Some(Place {
            places: self.0.clone(),
            address,
        })
    }

    fn wait(&self) -> Option<Waiting> {
        let mut taken = self.0.lock();
        if taken.waiting >= CONNECTIONS_WAITING_MAX {
            return None;
        }
        taken.waiting += 1;
        Some(Waiting(self.0.clone()))
    }
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Waiting(Arc<Places>);

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut taken = self.0.lock();
        taken.waiting = taken.waiting.saturating_sub(1);
    }
}

/// Given back when the connection ends.
struct Place {
    places: Arc<Places>,
    address: Option<IpAddr>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all = taken.all.saturating_sub(1);
        if let Some(address) = self.address
            && let Some(count) = taken.by_address.get_mut(&address)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.by_address.remove(&address);
            }
        }
        drop(taken);
        self.places.freed.notify_waiters();
    }
}

impl<S: Send + 'static> Accept<TcpStream, S> for Connections {
    type Stream = Watched;
    type Service = S;
    type Future = BoxFuture<'static, io::Result<(Watched, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let connections = self.clone();
        Box::pin(async move {
            stream.set_nodelay(true)?;
            let address = stream.peer_addr()?.ip();
            let place = connections.place(address).await.ok_or_else(|| {
                io::Error::new(io::ErrorKind::ResourceBusy, "there is no place for it")
            })?;
            let silence = connections.0.silence;
            let until = Instant::now() + silence;
            let stream = Watched {
                stream,
                silence,
                until,
                alarm: Box::pin(sleep_until(until)),
                _place: place,
            };
            Ok((stream, service))
        })
    }
}

/// A connection that ends when nothing moves on it.
pub struct Watched {
    stream: TcpStream,
    silence: Duration,
    until: Instant,
    /// Rings at `until` or before, and is set anew then.
    alarm: Pin<Box<Sleep>>,
    _place: Place,
}

impl Watched {
    fn moved(&mut self) {
        self.until = Instant::now() + self.silence;
    }

    /// Ready when it has been silent for too long.
    fn poll_silent(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            if Instant::now() >= self.until {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            let until = self.until;
            self.alarm.as_mut().reset(until);
        }
    }

    fn after<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match polled {
            Poll::Ready(done) => {
                self.moved();
                Poll::Ready(done)
            }
            Poll::Pending => self.poll_silent(cx).map(Err),
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.after(cx, polled)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.after(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.after(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A body comes within its time, or not at all.
pub async fn timed(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let until = Instant::now() + BODY_TIME_MAX;
    next.run(request.map(|body| within(body, until))).await
}

fn within(body: Body, until: Instant) -> Body {
    let pieces = futures::stream::unfold(Some(body.into_data_stream()), move |stream| async move {
        let mut stream = stream?;
        match timeout_at(until, stream.next()).await {
            Ok(piece) => piece.map(|piece| (piece, Some(stream))),
            Err(_late) => {
                let late = io::Error::new(io::ErrorKind::TimedOut, "the body came too slowly");
                Some((Err(axum::Error::new(late)), None))
            }
        }
    });
    Body::from_stream(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[tokio::test(start_paused = true)]
    async fn s11_one_address_does_not_take_the_places_of_others() {
        let proxies = vec!["10.9.0.0/16".parse().unwrap()];
        let connections = Connections::with(10, 2, proxies, SILENCE_MAX);
        let _one = connections.place(HOME).await.unwrap();
        let two = connections.place(HOME).await.unwrap();
        let mut third = Box::pin(connections.place(HOME));
        assert!(third.as_mut().now_or_never().is_none(), "it waits");
        let _other = connections.place(OTHER).await.unwrap();
        for _ in 0..4 {
            let proxied = connections.place("10.9.1.1".parse().unwrap()).await;
            std::mem::forget(proxied.unwrap());
        }
        drop(two);
        let _third = third.await.expect("a place was given back");
        // Nobody goes: it is hung up on after its time.
        assert!(connections.place(HOME).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn s11_all_together_stay_below_the_limit_of_files() {
        let files = FILES_KEPT + 100;
        let connections = Connections::new(Some(files), 0, Vec::new());
        assert!(connections.max() < files);
        let mut held = Vec::new();
        for _ in 0..connections.max() {
            held.push(connections.place(HOME).await.unwrap());
        }
        assert!(connections.place(OTHER).await.is_none());
        held.pop();
        assert!(connections.place(OTHER).await.is_some());
        assert!(Connections::new(Some(64), 0, Vec::new()).max() >= 32);
    }

    #[tokio::test]
    async fn s11_a_silent_connection_ends_and_one_that_speaks_does_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        tokio::time::pause();
        let silence = Duration::from_secs(10);
        let connections = Connections::with(1, 1, Vec::new(), silence);
        let (mut stream, ()) = connections.accept(stream, ()).await.unwrap();
        let mut byte = [0];
        for _ in 0..3 {
            tokio::time::advance(silence - Duration::from_secs(1)).await;
            client.write_all(b"x").await.unwrap();
            stream.read_exact(&mut byte).await.unwrap();
        }
        let begun = Instant::now();
        let ended = stream.read(&mut byte).await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= silence);
        drop(stream);
        assert_eq!(connections.0.lock().all, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn s11_half_a_body_is_not_waited_for() {
        let first =
            futures::stream::once(async { Ok::<_, io::Error>(Bytes::from_static(b"half")) });
        let never = futures::stream::pending();
        let body = Body::from_stream(first.chain(never));
        let begun = Instant::now();
        let read = axum::body::to_bytes(within(body, begun + BODY_TIME_MAX), usize::MAX).await;
        assert!(read.is_err());
        assert_eq!(begun.elapsed(), BODY_TIME_MAX);
        let whole = within(Body::from("whole"), begun + BODY_TIME_MAX * 2);
        let read = axum::body::to_bytes(whole, usize::MAX).await.unwrap();
        assert_eq!(read, "whole");
    }
}
