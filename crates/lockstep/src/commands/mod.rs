//! One file for each command.

mod coordinator;
mod demo;
mod practice_shop;
mod worker;

use crate::arguments::{Arguments, Command};
use crate::config::Config;
use crate::exit::{self, Exit};
use crate::{logging, people, print, system};

pub async fn run(arguments: Arguments) -> Exit {
    let config = match Config::load(arguments.config.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            print::trouble(&error);
            return exit::of(&error);
        }
    };
    let serves = matches!(
        arguments.command,
        Command::Coordinator(_) | Command::Worker(_) | Command::PracticeShop(_)
    );
    logging::start(&config.log, !serves);
    if serves || matches!(arguments.command, Command::Demo(_)) {
        system::raise_file_limit();
    }
    let json = arguments.json;
    let result = match arguments.command {
        Command::Demo(demo) => demo::run(demo, json).await,
        Command::Coordinator(coordinator) => coordinator::run(coordinator, &config, json).await,
        Command::Worker(worker) => worker::run(worker, &config, json).await,
        Command::PracticeShop(shop) => practice_shop::run(shop, json).await,
        Command::Login(login) => people::login(login, json).await,
        Command::Logins(logins) => people::logins(logins, json).await,
        Command::Tokens(tokens) => people::tokens(tokens, json).await,
        Command::Workers(workers) => people::workers(workers, json).await,
        Command::Customers(customers) => people::customers(customers, json).await,
        Command::Plan(of) => people::plan(of, json).await,
        Command::Apply(apply) => people::apply(apply, json).await,
        Command::Undo(undo) => people::undo(undo, json).await,
        Command::Sync(sync) => people::sync(sync, json).await,
        Command::Runs(runs) => people::runs(runs, json).await,
        Command::Record(record) => people::record(record, json).await,
        Command::History(history) => people::history(history, json).await,
        Command::Explain(explain) => people::explain(explain, json).await,
        Command::Conflicts(conflicts) => people::conflicts(conflicts, json).await,
        Command::Asides(asides) => people::asides(asides, json).await,
        Command::Decide(decide) => people::decide(decide, json).await,
        Command::Matches(matches) => people::matches(matches, json).await,
        Command::Orders(orders) => people::orders(orders, json).await,
        Command::Map(map) => people::map(map, json).await,
        Command::Buyers(buyers) => people::buyers(buyers, json).await,
        Command::Answer(answer) => people::answer(answer, json).await,
    };
    match result {
        Ok(exit) => exit,
        Err(error) => {
            print::trouble(&error);
            exit::of(&error)
        }
    }
}

/// Until Ctrl-C, or the signal with which a service manager ends a service.
async fn until_stopped() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    if interrupt.await.is_err() {
        tracing::warn!("signals cannot be heard; running until killed");
        std::future::pending::<()>().await;
    }
}
