//! People sign in to a coordinator whose certificate no public authority vouches for: by its fingerprint, and with
//! nobody else afterwards.

use crate::world::{Process, command, seconds};
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

/// A certificate and its key as files, and a configuration that names them; its fingerprint.
fn certificate(folder: &Path) -> String {
    use sha2::{Digest, Sha256};
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a pair");
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).expect("the certificate");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("its key");
    let config = format!("[coordinator]\ntls_certificate = {certificate:?}\ntls_key = {key:?}\n");
    std::fs::write(folder.join("lockstep.toml"), config).expect("the configuration");
    let digest = Sha256::digest(made.cert.der());
    format!("SHA256:{}", data_encoding::HEXUPPER.encode(&digest))
}

async fn coordinator(folder: &Path, listen: &str) -> (Process, Value) {
    let mut command = command();
    command
        .args(["--json", "--config"])
        .arg(folder.join("lockstep.toml"))
        .args(["coordinator", "--listen", listen, "--data"])
        .arg(folder.join("coordinator"));
    let mut process = Process::start("coordinator", folder, command);
    let said = process
        .json_line("where it is", seconds(30), |line| line["url"].is_string())
        .await;
    (process, said)
}

/// A command of a person whose login lies in this folder.
fn types(folder: &Path, arguments: &[&str], password: &str) -> Output {
    let mut command = command();
    command
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .env("HOME", folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let mut stdin = child.stdin.take().expect("its standard input");
    // Who is refused before may not have waited for it.
    let _unread = stdin.write_all(password.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("the command runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_trusts_one_certificate_and_nobody_else_afterwards() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let fingerprint = certificate(folder);
    let (mut process, line) = coordinator(folder, "127.0.0.1:0").await;
    let text = |key: &str| {
        line[key]
            .as_str()
            .expect(key)
            .trim_end_matches('/')
            .to_owned()
    };
    let (url, user, password) = (text("url"), text("user"), text("password"));
    assert!(url.starts_with("https://"), "{url}");
    let login = ["login", "--url", &url, "--user", &user, "--password-stdin"];
    let with = |fingerprint: &str| {
        let mut typed: Vec<String> = login.iter().map(|word| (*word).to_owned()).collect();
        typed.extend(["--fingerprint".to_owned(), fingerprint.to_owned()]);
        let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
        types(folder, &typed, &password)
    };

    // Nobody is there to compare: it is shown, and a person is needed.
    let refused = types(folder, &login, &password);
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    assert!(said(&refused).contains(&fingerprint), "{}", said(&refused));
    // Another certificate is expected: the password is not sent.
    let other = format!("SHA256:{}", "AB".repeat(32));
    let refused = with(&other);
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    assert!(
        said(&refused).contains("nothing was sent"),
        "{}",
        said(&refused)
    );
    let nonsense = with("SHA256:AB");
    assert_eq!(nonsense.status.code(), Some(2), "{}", said(&nonsense));

    let signed_in = with(&fingerprint);
    assert_eq!(signed_in.status.code(), Some(0), "{}", said(&signed_in));
    let list = types(folder, &["--json", "workers", "list"], "");
    assert_eq!(list.status.code(), Some(0), "{}", said(&list));
    let token = kept(folder)["token"].as_str().expect("a token").to_owned();

    // Without a login, from the environment: the same pin.
    let environment = |fingerprint: Option<&str>| {
        let mut command = command();
        command
            .env("LOCKSTEP_URL", &url)
            .env("LOCKSTEP_TOKEN", &token)
            .args(["--json", "workers", "list"]);
        if let Some(fingerprint) = fingerprint {
            command.env("LOCKSTEP_FINGERPRINT", fingerprint);
        }
        command.output().expect("the command runs").status.code()
    };
    assert_eq!(environment(Some(&fingerprint)), Some(0));
    assert_eq!(environment(None), Some(3));

    // Somebody else answers at this address: the token is not shown to him.
    process.kill();
    let renewed = certificate(folder);
    assert_ne!(renewed, fingerprint);
    let (mut process, _) = coordinator(folder, url.trim_start_matches("https://")).await;
    let list = types(folder, &["--json", "workers", "list"], "");
    assert_eq!(list.status.code(), Some(3), "{}", said(&list));
    assert!(said(&list).contains("nothing was sent"), "{}", said(&list));
    let signed_in = with(&renewed);
    assert_eq!(signed_in.status.code(), Some(0), "{}", said(&signed_in));
    assert_eq!(kept(folder)["fingerprint"], renewed.as_str());
    process.kill();
}

fn kept(folder: &Path) -> Value {
    let mut folders = vec![folder.join("config"), folder.join(".config")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() == "login.json" {
                let text = std::fs::read_to_string(entry.path()).expect("the login");
                return serde_json::from_str(&text).expect("it is JSON");
            }
        }
    }
    panic!("no login is kept")
}
