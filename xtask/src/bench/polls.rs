//! Unchanged authenticated polls beside a bare axum "ok": CPU seconds of the server process per request, both
//! at the same offered load below saturation, over keep-alive connections, in alternating rounds.

use anyhow::Result;
use serde_json::{Map, Value};

use super::enrolment::enrol;
use super::peer::{Load, Report, Server};
use super::usage::{cpu_seconds, memory_peak_bytes};
use super::{Bench, Figures};

const RATE: u32 = 8_000;
const CONNECTIONS: u32 = 64;
const ROUND_SECONDS: u32 = 6;
const WARM_UP_SECONDS: u32 = 1;
/// Odd, so that there is a middle one.
const ROUNDS: u32 = 5;

/// One side of the comparison.
struct Side<'a> {
    name: &'static str,
    pid: u32,
    load: Load<'a>,
    rounds: Vec<Round>,
}

struct Round {
    cpu_us_per_request: f64,
    report: Report,
}

impl<'a> Side<'a> {
    fn new(
        name: &'static str,
        pid: u32,
        url: &'a str,
        headers: &'a [(String, String)],
        expect: u16,
    ) -> Self {
        let load = Load {
            url,
            headers,
            expect,
            rate: RATE,
            seconds: ROUND_SECONDS,
            connections: CONNECTIONS,
        };
        Self {
            name,
            pid,
            load,
            rounds: Vec::new(),
        }
    }

    fn warm_up(&self, bench: &Bench) -> Result<()> {
        Load {
            seconds: WARM_UP_SECONDS,
            ..self.load
        }
        .offer(bench)
        .map(drop)
    }

    fn round(&mut self, bench: &Bench) -> Result<()> {
        let before = cpu_seconds(self.pid)?;
        let report = self.load.offer(bench)?;
        let used = cpu_seconds(self.pid)? - before;
        let cpu_us_per_request = used * 1e6 / report.answered.max(1) as f64;
        bench.say(&format!(
            "  {:<12} {:>6} requests, {used:.2} CPU s = {cpu_us_per_request:.2} µs each · \
             wall {:.1} s, p50 {} µs, p99 {} µs, max {} µs",
            self.name,
            report.answered,
            report.wall_seconds,
            report.p50_us,
            report.p99_us,
            report.max_us
        ));
        self.rounds.push(Round {
            cpu_us_per_request,
            report,
        });
        Ok(())
    }

    /// The middle round's figure: a round that the machine disturbed does not count.
    fn middle(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        let mut figures: Vec<f64> = self.rounds.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn cpu_us_per_request(&self) -> f64 {
        self.middle(|round| round.cpu_us_per_request)
    }

    fn wall(&self) -> Value {
        serde_json::json!({
            "p50_us": self.middle(|round| f64::from(round.report.p50_us)),
            "p99_us": self.middle(|round| f64::from(round.report.p99_us)),
        })
    }
}

/// Ours against the bare server, in turns, so that what else the machine does falls on both.
fn compare<'a>(
    bench: &Bench,
    name: &'static str,
    mut ours: Side<'a>,
    mut other: Side<'a>,
) -> Result<Figures> {
    ours.warm_up(bench)?;
    other.warm_up(bench)?;
    for round in 0..ROUNDS {
        let (first, second) = if round % 2 == 0 {
            (&mut ours, &mut other)
        } else {
            (&mut other, &mut ours)
        };
        first.round(bench)?;
        second.round(bench)?;
    }
    let mut more = Map::new();
    more.insert("rate_per_second".to_owned(), RATE.into());
    more.insert("rounds".to_owned(), ROUNDS.into());
    more.insert(
        "requests_each_round".to_owned(),
        (RATE * ROUND_SECONDS).into(),
    );
    more.insert(
        "ours_memory_peak_bytes".to_owned(),
        memory_peak_bytes(ours.pid)?.into(),
    );
    more.insert("ours_wall".to_owned(), ours.wall());
    more.insert("other_wall".to_owned(), other.wall());
    Ok(Figures {
        name,
        ratio: other.cpu_us_per_request() / ours.cpu_us_per_request(),
        unit: "CPU µs of the server process per request",
        ours: ours.cpu_us_per_request(),
        other: other.cpu_us_per_request(),
        more,
    })
}

/// A coordinator without customers and one enrolled worker that asks again and again and is told 304. Both
/// servers get the same requests.
pub fn run(bench: &Bench) -> Result<Figures> {
    let coordinator = Server::coordinator(bench, &bench.folder.path().join("polls"))?;
    let enrolled = enrol(bench, &coordinator)?;
    let bare = Server::bare_ok(bench)?;
    let headers = enrolled.headers();
    let [our_url, bare_url] = [enrolled.url_at(&coordinator)?, enrolled.url_at(&bare)?];
    let ours = Side::new("coordinator", coordinator.id(), &our_url, &headers, 304);
    let other = Side::new("bare axum", bare.id(), &bare_url, &headers, 200);
    compare(bench, "polls", ours, other)
}

/// The bare server against itself: how far from 1 a ratio may be by chance on this machine.
pub fn noise(bench: &Bench) -> Result<Figures> {
    let [ours, other] = [Server::bare_ok(bench)?, Server::bare_ok(bench)?];
    let ours = Side::new("bare axum", ours.id(), ours.url()?, &[], 200);
    let other_side = Side::new("bare axum 2", other.id(), other.url()?, &[], 200);
    compare(bench, "noise", ours, other_side)
}
