//! What can be typed.

use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Keeps a merchant's shops and ERP in step.
#[derive(Debug, Parser)]
#[command(name = "lockstep", version, disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,

    /// Answer in JSON.
    #[arg(long, global = true)]
    pub json: bool,

    /// A configuration file; what it does not say is as in the embedded default.
    #[arg(long, global = true, value_name = "FILE", env = "LOCKSTEP_CONFIG")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Try it: a coordinator, a worker and three practice shops, in one process.
    Demo(Demo),
    /// Run a coordinator: console, API, and what workers ask.
    Coordinator(Coordinator),
    /// Run a worker: enrol with a coordinator and sync the customers that it holds.
    Worker(Worker),
    /// Run a small real shop to try things with.
    PracticeShop(PracticeShop),

    /// Sign in to a coordinator and keep the token.
    Login(Login),
    /// Who may log in: list, add, switch off and on, delete, a new password.
    #[command(subcommand)]
    Logins(Logins),
    /// Tokens and open consoles: list, make, end.
    #[command(subcommand)]
    Tokens(Tokens),
    /// Workers: list, show, confirm, reject.
    #[command(subcommand)]
    Workers(Workers),
    /// Customers: list, show, apply, export, give to a worker.
    #[command(subcommand)]
    Customers(Customers),
    /// What a sync would write now. Nothing is written.
    Plan(OfFlows),
    /// Write what a plan showed, where it still holds. What moved since is named and left.
    Apply(Apply),
    /// Put back what a run wrote, where it still stands. What moved since is named and left.
    Undo(Undo),
    /// Look now, and wait until it is in step.
    Sync(Sync),
    /// The newest runs of a customer, or one of them.
    Runs(Runs),
    /// One record across all shops: a SKU, a title, an order's number.
    Record(Record),
    /// Who changed what of it, from what to what, and why: newest first.
    History(History),
    /// Why is the stock of this SKU what it is?
    Explain(Explain),
    /// What waits for a person's word.
    Conflicts(Conflicts),
    /// What stands aside, since a shop refused it or it cannot be read.
    Asides(Asides),
    /// Answer one of them.
    Decide(Decide),
    /// Which of ours are these records of shops? The questions as CSV, or the answers.
    Matches(Matches),
    /// The newest orders, or those that wait for a person.
    Orders(Orders),
    /// Say once what the shop that orders go into calls a way to pay or to ship or a payment term, or which of its tax
    /// rates or countries stands for one: all orders that wait for it cross.
    Map(Map),
    /// Say how it goes on with an order that is held.
    Answer(Answer),
    /// What is kept of a buyer: show it, or forget it for good.
    #[command(subcommand)]
    Buyers(Buyers),
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Where to keep it all; a temporary folder that goes away at the end, if none is given.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where the console listens.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Products in the ERP at first.
    #[arg(long, value_name = "N", default_value_t = 24)]
    pub products: u64,
}

#[derive(Debug, Args)]
pub struct Coordinator {
    #[arg(long, value_name = "DIR", env = "LOCKSTEP_DATA")]
    pub data: Option<PathBuf>,
    /// Port 0 takes a free one.
    #[arg(long, value_name = "ADDR", env = "LOCKSTEP_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// postgres://…, mysql://… or sqlite://…; SQLite in the data folder, if none is given.
    #[arg(
        long,
        value_name = "URL",
        env = "LOCKSTEP_DATABASE",
        hide_env_values = true
    )]
    pub database: Option<String>,
    /// As workers and shops reach it.
    #[arg(long, value_name = "URL", env = "LOCKSTEP_PUBLIC_URL")]
    pub public_url: Option<String>,
}

#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true)]
pub struct Worker {
    #[command(subcommand)]
    pub command: Option<WorkerCommand>,
    #[command(flatten)]
    pub connection: WorkerConnection,
}

#[derive(Debug, Subcommand)]
pub enum WorkerCommand {
    /// One round, for cron: fetch the settings, sync until at rest, report, exit.
    Sync(WorkerConnection),
}

#[derive(Debug, Args, Clone)]
pub struct WorkerConnection {
    /// May be given several times: they are tried in turn.
    #[arg(
        long,
        value_name = "URL",
        env = "LOCKSTEP_COORDINATOR",
        required = true
    )]
    pub coordinator: Vec<String>,
    #[arg(long, value_name = "DIR", env = "LOCKSTEP_DATA")]
    pub data: Option<PathBuf>,
    /// What people see when they approve it.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Lets it in without a person: made in the console.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "LOCKSTEP_JOIN",
        hide_env_values = true
    )]
    pub join: Option<String>,
    /// The SHA-256 of the coordinator's own certificate, as its join line says it.
    #[arg(long, value_name = "HEX")]
    pub fingerprint: Option<String>,
    /// An address or a network beyond the public internet that shops may have, or "loopback". May be given several times.
    #[arg(
        long,
        value_name = "NETWORK",
        env = "LOCKSTEP_ALLOW_ADDRESSES",
        value_delimiter = ','
    )]
    pub allow_address: Vec<String>,
    /// Call shops over plain http whose settings accept that.
    #[arg(long)]
    pub allow_plain_http: bool,
}

#[derive(Debug, Args)]
pub struct PracticeShop {
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    #[arg(long, value_name = "NAME", default_value = "Practice shop")]
    pub name: String,
    /// Products that an empty shop begins with.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub products: u64,
    /// Variants of each; a plausible number, if none is given.
    #[arg(long, value_name = "N")]
    pub variants: Option<u32>,
    /// Units of each variant; plausible ones, if none is given.
    #[arg(long, value_name = "N")]
    pub units: Option<i64>,
    /// May read and write; one is made and printed, if none is given.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "LOCKSTEP_SHOP_TOKEN",
        hide_env_values = true
    )]
    pub token: Option<String>,
    /// When an order lowers the stock: placement, payment, reserve, shipment or never.
    #[arg(long, value_name = "WHEN", default_value = "placement")]
    pub takes: lockstep_practice::Takes,
    /// A country that it sends to, may be given several times; any, if none is given.
    #[arg(long = "country", value_name = "CODE")]
    pub countries: Vec<String>,
    /// Keep other bytes of a picture than it is given, other ones each time
    #[arg(long)]
    pub re_encodes_pictures: bool,
    /// A stock beside the main one, as in outlet=Outlet. May be given several times.
    #[arg(long, value_name = "ID=NAME", value_parser = named)]
    pub stock: Vec<lockstep_practice::Location>,
}

fn named(text: &str) -> Result<lockstep_practice::Location, String> {
    match text.split_once('=') {
        Some((id, name)) if !id.is_empty() && !name.is_empty() => {
            Ok(lockstep_practice::Location::new(id, name))
        }
        _ => Err("an id and a name are wanted, as in outlet=Outlet".into()),
    }
}

#[derive(Debug, Args)]
pub struct Login {
    /// The coordinator's address.
    #[arg(long, value_name = "URL", env = "LOCKSTEP_URL")]
    pub url: String,
    #[arg(long, value_name = "NAME")]
    pub user: String,
    /// Read the password from standard input instead of asking for it.
    #[arg(long)]
    pub password_stdin: bool,
    /// The SHA-256 of a certificate that no public authority vouches for, as the coordinator prints it. Without it, and
    /// on a terminal, you are shown it and asked.
    #[arg(long, value_name = "SHA256:HEX", env = "LOCKSTEP_FINGERPRINT")]
    pub fingerprint: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Logins {
    List,
    /// A password is made and shown once.
    Add {
        name: String,
        /// viewer, editor or operator
        #[arg(long)]
        role: lockstep_protocol::people::login::Role,
        /// A customer's id or name, if it is for its own people; else it is for all customers.
        #[arg(long)]
        customer: Option<String>,
    },
    /// Nobody logs in by it, and what it had opened is closed at once.
    Disable {
        name: String,
    },
    Enable {
        name: String,
    },
    Delete {
        name: String,
    },
    /// A new password: your own, by the old one, or another's, which is made and shown once.
    Password {
        name: String,
        /// Read the old and the new one from standard input, a line each, instead of asking.
        #[arg(long)]
        stdin: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Tokens {
    /// Your own.
    List {
        /// Everybody's.
        #[arg(long)]
        all: bool,
    },
    /// One for a script, in your name. It is shown once.
    Make {
        /// What it is for.
        label: String,
        #[arg(long, default_value_t = 90)]
        days: u32,
    },
    /// Void from now on.
    End {
        /// Its number, as `lockstep tokens list` shows it.
        id: u64,
    },
}

#[derive(Debug, Subcommand)]
pub enum Workers {
    List,
    Show {
        /// A worker's id or name, or an enrolment.
        worker: String,
    },
    /// Let a worker in whose code you have compared.
    Confirm {
        /// The enrolment, or the name where one worker of it waits.
        worker: String,
        /// As the worker shows it.
        #[arg(long)]
        code: String,
    },
    Reject {
        worker: String,
    },
    /// Let it finish and give its customers away.
    Drain {
        worker: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Customers {
    List,
    Show {
        customer: String,
    },
    /// Make the customer's settings equal to a file, as `export` writes it. A secret that is null stays as it is.
    Apply {
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// Show what would follow in the shops. Nothing is saved and nothing is written.
        #[arg(long)]
        dry_run: bool,
    },
    /// All settings as JSON, without secrets.
    Export {
        customer: String,
    },
    /// Give the customer to a worker.
    Give {
        customer: String,
        #[arg(long)]
        to: String,
        /// The name of its present worker, typed: its machine is gone.
        #[arg(long, value_name = "NAME")]
        the_machine_is_gone: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct OfFlows {
    /// A customer's id or name.
    pub customer: String,
    /// products, categories, stock, orders; all, if none is given.
    #[arg(long, value_name = "FLOW")]
    pub flow: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Apply {
    /// As `lockstep plan` names it.
    pub plan: String,
}

#[derive(Debug, Args)]
pub struct Undo {
    /// The customer and its run, as in 1-12.
    pub run: String,
    /// Show what would be put back. Nothing is written.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct Sync {
    #[command(flatten)]
    pub of: OfFlows,
    /// Do not wait.
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Args)]
pub struct Runs {
    pub customer: String,
    pub run: Option<u64>,
}

#[derive(Debug, Args)]
pub struct Record {
    pub customer: String,
    pub key: String,
}

#[derive(Debug, Args)]
pub struct History {
    /// A customer's id or name.
    pub customer: String,
    /// A SKU with its stock, a record's id, a category's path, an order's number or key.
    #[arg(value_name = "RECORD|SKU|ORDER")]
    pub named: String,
    /// Entries of a page.
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
    /// Go on where the page before ended, as it says.
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
}

#[derive(Debug, Args)]
pub struct Explain {
    pub customer: String,
    pub sku: String,
}

#[derive(Debug, Args)]
pub struct Conflicts {
    pub customer: String,
}

#[derive(Debug, Args)]
pub struct Asides {
    /// A customer's id or name.
    pub customer: String,
}

#[derive(Debug, Args)]
pub struct Matches {
    pub customer: String,
    /// The table with its column "answer" filled in: the number of a record, "none", or nothing. "-": from standard
    /// input.
    #[arg(long, value_name = "FILE")]
    pub answer: Option<std::path::PathBuf>,
}

#[derive(Debug, Args)]
pub struct Decide {
    pub customer: String,
    /// Its number, as `lockstep conflicts` shows it.
    pub conflict: u64,
    #[command(flatten)]
    pub answer: DecideAnswer,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct DecideAnswer {
    /// The number of an answer, as `lockstep conflicts` shows it.
    #[arg(long, value_name = "N")]
    pub choice: Option<usize>,
    /// A value of one's own.
    #[arg(long, value_name = "VALUE")]
    pub value: Option<String>,
}

#[derive(Debug, Args)]
pub struct Orders {
    pub customer: String,
    /// Those that wait for a person, by what they wait for.
    #[arg(long, conflicts_with = "query")]
    pub held: bool,
    /// A part of the number.
    #[arg(long, value_name = "NUMBER")]
    pub query: Option<String>,
}

#[derive(Debug, Args)]
pub struct Map {
    pub customer: String,
    #[command(flatten)]
    pub word: MapWord,
    /// The order's shop, by its id or name.
    #[arg(long, value_name = "SHOP")]
    pub of: String,
    /// As the shop that orders go into calls it.
    #[arg(long, value_name = "ID")]
    pub to: String,
}

#[derive(Debug, Args)]
pub struct Answer {
    pub customer: String,
    /// Its number, or our key of it.
    pub order: String,
    #[command(flatten)]
    pub word: AnswerWord,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct AnswerWord {
    /// It may have been made, and it was: its number or id in the shop that orders go into.
    #[arg(long, value_name = "NUMBER")]
    pub there: Option<String>,
    /// It may have been made, and it was not: make it.
    #[arg(long)]
    pub not_there: bool,
    /// What held it was mended: try again.
    #[arg(long)]
    pub again: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct MapWord {
    /// As the order's shop calls it.
    #[arg(long, value_name = "ID")]
    pub payment_method: Option<String>,
    /// As the order's shop calls it.
    #[arg(long, value_name = "ID")]
    pub shipping_method: Option<String>,
    /// Until when invoice orders have to be paid, as the order's shop calls it.
    #[arg(long, value_name = "ID")]
    pub payment_term: Option<String>,
    /// In percent, as the order bears it.
    #[arg(long, value_name = "PERCENT")]
    pub tax_rate: Option<String>,
    /// Two letters, where the order goes.
    #[arg(long, value_name = "CODE")]
    pub country: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Buyers {
    /// As JSON, all that is kept of who bought.
    Export {
        customer: String,
        /// An e-mail address, an order's number or our key of it.
        of: String,
    },
    /// Names, addresses and notes; sums and lines remain.
    Erase {
        customer: String,
        /// An e-mail address, an order's number or our key of it.
        of: String,
    },
}
