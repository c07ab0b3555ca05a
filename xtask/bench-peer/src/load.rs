//! An open-loop load: each request has its moment, whether or not the server has kept up, so that a slow
//! server cannot lower the load that it is measured with. Bounded: one request in flight for each connection.
//!
//! Latency counts from the request's moment if the connection was still busy then (the wait is the server's
//! doing), else from when it was sent (waking up late is ours).

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use serde::Serialize;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::wire::{self, Place};

const CONNECTIONS_MAX: u32 = 4_096;
const SECONDS_MAX: u32 = 600;
const RATE_MAX: u32 = 200_000;
const ANSWER_MAX: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub struct Options {
    /// Where to, http on loopback
    #[arg(long)]
    url: Uri,
    /// Requests a second, over all connections
    #[arg(long)]
    rate: u32,
    #[arg(long)]
    seconds: u32,
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// `name: value`, sent with each request (may be repeated); those read from standard input, one a line, are added
    #[arg(long)]
    header: Vec<String>,
    /// Read further headers, secret ones, from standard input
    #[arg(long)]
    headers_from_input: bool,
    /// The only status that counts as answered
    #[arg(long, default_value_t = 200)]
    expect: u16,
}

/// How a load was answered.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Answered with the expected status.
    pub answered: u64,
    /// Moments that passed unused because all of the load's time was over.
    pub unsent: u64,
    /// Other statuses and transport errors, with how often.
    pub wrong: BTreeMap<String, u64>,
    pub wall_seconds: f64,
    pub p50_us: u32,
    pub p90_us: u32,
    pub p99_us: u32,
    pub max_us: u32,
}

pub async fn run(options: &Options) -> Result<Report> {
    let plan = Plan::read(options)?;
    let mut connections = Vec::new();
    for _ in 0..options.connections {
        connections.push(wire::connect(plan.place.address).await?);
    }
    let began = Instant::now();
    let tasks: Vec<_> = connections
        .into_iter()
        .zip(0..)
        .map(|(connection, index)| tokio::spawn(plan.clone().spend(connection, began, index)))
        .collect();
    let mut all = Tally::default();
    for task in tasks {
        all.merge(task.await.context("a connection's task failed")?);
    }
    Ok(all.report(began.elapsed()))
}

#[derive(Clone)]
struct Plan {
    place: Place,
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    expect: u16,
    /// Between two requests of one connection.
    pause: Duration,
    connections: u32,
    requests_each: u32,
    lasts: Duration,
}

impl Plan {
    fn read(options: &Options) -> Result<Self> {
        for (what, asked, max) in [
            ("--connections", options.connections, CONNECTIONS_MAX),
            ("--seconds", options.seconds, SECONDS_MAX),
            ("--rate", options.rate, RATE_MAX),
        ] {
            if asked == 0 || asked > max {
                bail!("{what} is {asked}; it has to be between 1 and {max}");
            }
        }
        let place = Place::read(&options.url)?;
        let mut lines = options.header.clone();
        if options.headers_from_input {
            lines.extend(
                std::io::stdin()
                    .lines()
                    .collect::<Result<Vec<_>, _>>()
                    .context("no headers to read")?,
            );
        }
        let mut headers = vec![(http::header::HOST, place.host.clone())];
        for line in lines.iter().filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").context("a header is `name: value`")?;
            headers.push((
                name.parse()?,
                value.parse().context("a header's value is not one")?,
            ));
        }
        Ok(Self {
            place,
            path: options
                .url
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
            headers,
            expect: options.expect,
            pause: Duration::from_secs_f64(
                f64::from(options.connections) / f64::from(options.rate),
            ),
            connections: options.connections,
            requests_each: options.rate.saturating_mul(options.seconds) / options.connections,
            lasts: Duration::from_secs(u64::from(options.seconds)),
        })
    }

    /// One connection's part: its moments lie evenly between those of the others.
    async fn spend(
        self,
        mut connection: SendRequest<Full<Bytes>>,
        began: Instant,
        index: u32,
    ) -> Tally {
        let first = began + self.pause * index / self.connections;
        let end = began + self.lasts + ANSWER_MAX;
        let mut tally = Tally::default();
        for turn in 0..self.requests_each {
            let moment = first + self.pause * turn;
            let woken = Instant::now();
            let counts_from = if woken > moment {
                moment
            } else {
                sleep_until(moment).await;
                Instant::now()
            };
            if woken >= end {
                tally.unsent += u64::from(self.requests_each - turn);
                break;
            }
            match timeout_at(end, self.ask(&mut connection)).await {
                Ok(Ok(status)) if status == self.expect => tally.answered(counts_from.elapsed()),
                Ok(Ok(status)) => tally.wrong(format!("status {status}")),
                Ok(Err(error)) => {
                    tally.wrong(format!("{error:#}"));
                    match wire::connect(self.place.address).await {
                        Ok(again) => connection = again,
                        Err(error) => {
                            tally.wrong(format!("{error:#}"));
                            tally.unsent += u64::from(self.requests_each - turn - 1);
                            break;
                        }
                    }
                }
                Err(_) => {
                    tally.wrong("no answer in time".to_owned());
                    tally.unsent += u64::from(self.requests_each - turn - 1);
                    break;
                }
            }
        }
        tally
    }

    async fn ask(&self, connection: &mut SendRequest<Full<Bytes>>) -> Result<u16> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = self.path.parse()?;
        request.headers_mut().extend(self.headers.iter().cloned());
        connection
            .ready()
            .await
            .context("the connection was closed")?;
        let response = connection
            .send_request(request)
            .await
            .context("no answer")?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame.context("the answer broke off")?;
        }
        Ok(status)
    }
}

#[derive(Default)]
struct Tally {
    latencies_us: Vec<u32>,
    unsent: u64,
    wrong: BTreeMap<String, u64>,
}

impl Tally {
    fn answered(&mut self, latency: Duration) {
        self.latencies_us
            .push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    fn wrong(&mut self, what: String) {
        *self.wrong.entry(what).or_default() += 1;
    }

    fn merge(&mut self, other: Self) {
        self.latencies_us.extend(other.latencies_us);
        self.unsent += other.unsent;
        for (what, count) in other.wrong {
            *self.wrong.entry(what).or_default() += count;
        }
    }

    fn report(mut self, wall: Duration) -> Report {
        self.latencies_us.sort_unstable();
        Report {
            answered: self.latencies_us.len() as u64,
            unsent: self.unsent,
            wrong: self.wrong,
            wall_seconds: wall.as_secs_f64(),
            p50_us: percentile(&self.latencies_us, 50),
            p90_us: percentile(&self.latencies_us, 90),
            p99_us: percentile(&self.latencies_us, 99),
            max_us: percentile(&self.latencies_us, 100),
        }
    }
}

/// The least figure that `percent` of the sorted figures do not exceed; 0 of none.
fn percentile(sorted: &[u32], percent: usize) -> u32 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_ranks_of_what_was_measured() {
        let sorted: Vec<u32> = (1..=200).collect();
        assert_eq!(
            [50, 99, 100].map(|percent| percentile(&sorted, percent)),
            [100, 198, 200]
        );
        assert_eq!(percentile(&[7], 50), 7);
        assert_eq!(percentile(&[], 50), 0);
    }
}
