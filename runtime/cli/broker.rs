//! `strongroom broker …`. A broker that runs holds its store: commands that change it then
//! go to its admin interface (`--url`), with the token of its directory.

mod kbs_publish;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use strongroom_attestation::crypto;
use strongroom_broker::{Broker, BrokerError, Environment, InitOptions, Revoke, TrustOptions};
use strongroom_channel::deployment::DeploymentId;
use strongroom_enclave_loader::release::LeaseId;
use tokio::net::TcpListener;

use crate::arguments::{self, ApiKey, LogCommand, TrustCommand};
use crate::exit_code::Exit;
use crate::key_file;
use crate::model::Trusted;
use crate::output::{Failure, Output, with_causes};
use crate::signals;

pub(crate) async fn run(command: arguments::Broker, output: Output) -> Result<Exit, Failure> {
    use arguments::Broker as Command;
    match command {
        Command::Init { place, tenant, deployment, kek, development, development_root } => {
            let environment = if development { Environment::Development } else { Environment::Production };
            init(&place.dir, tenant, &deployment, kek, (environment, &development_root), output)
        }
        Command::Serve { place, listen } => serve(&place.dir, &listen, output).await,
        Command::Deposit { place, sealed, publisher, signer } => {
            let (broker, signer) = (open(&place.dir)?, Trusted::read(&signer)?);
            let (publisher, trust) = (key_file::parse_public(&publisher)?, signer.as_ref().map(Trusted::trust));
            let deposited =
                broker.deposit_signed(&sealed, &publisher, None, trust.as_ref()).map_err(|e| failure(&e))?;
            let text = format!("took in {} keys of {}", deposited.keys, deposited.model.name);
            output.result(&deposited, text);
            Ok(Exit::Done)
        }
        Command::Policy { place, file } => {
            let text = fs::read_to_string(&file).map_err(|e| Failure::file(&file, &e))?;
            let policy = open(&place.dir)?.activate_policy(&text).map_err(|e| {
                let failure = failure(&e);
                Failure { message: format!("{}: {}", file.display(), failure.message), ..failure }
            })?;
            let hash = hex::encode(policy.hash);
            let text = format!("policy `{}` is in force: {hash}", policy.rules.name);
            output.result(&json!({ "policy": hash, "name": policy.rules.name }), text);
            Ok(Exit::Done)
        }
        Command::KbsPublish(arguments) => kbs_publish::run(arguments, output).await,
        Command::Revoke { place, lease, all, url } => {
            let lease = if all { "all".to_owned() } else { lease.unwrap_or_default() };
            revoke(&place.dir, &lease, url.as_deref(), output).await
        }
        Command::ApiKey(ApiKey::Create { place, tenant, url }) => {
            create_api_key(&place.dir, &tenant, url.as_deref(), output).await
        }
        Command::ApiKey(ApiKey::Revoke { place, id, url }) => {
            match url {
                Some(url) => {
                    admin(&place.dir, &url, "api-keys/revoke", &json!({ "id": id })).await?;
                }
                None => open(&place.dir)?.revoke_api_key(&id).map_err(|e| failure(&e))?,
            }
            output.result(&json!({ "revoked": id }), format!("{id} is revoked"));
            Ok(Exit::Done)
        }
        Command::Trust(TrustCommand::Export { place, out, kbs }) => trust_export(&place.dir, &out, kbs, output),
        Command::Log(LogCommand::Verify { place }) => {
            let report = open(&place.dir)?.verify_log().map_err(|e| failure(&e))?;
            let text = format!("{} records, none changed, removed or moved", report.head.seq);
            output.result(&json!({ "records": report.head.seq, "torn_bytes": report.torn_bytes }), text);
            Ok(Exit::Done)
        }
    }
}

fn init(
    dir: &Path,
    tenant: String,
    deployment: &str,
    kek_file: Option<PathBuf>,
    (environment, development_roots): (Environment, &[PathBuf]),
    output: Output,
) -> Result<Exit, Failure> {
    let deployment = DeploymentId::parse(deployment)
        .map_err(|_| Failure::usage(format!("`{deployment}` is no lower-case DNS label such as bank-prod")))?;
    let roots = development_roots.iter().map(|path| fs::read(path).map_err(|e| Failure::file(path, &e)));
    let development_anchors = roots.collect::<Result<Vec<_>, _>>()?;
    // As typed, not as the broker's directory would have it: a relative path starts here.
    let kek_file = kek_file.map(|path| std::path::absolute(&path).map_err(|e| Failure::file(&path, &e))).transpose()?;
    let options = InitOptions { tenant, deployment, environment, kek_file, development_anchors };
    let broker = Broker::init(dir, options).map_err(|e| failure(&e))?;
    let trust_root = format!("sha256:{}", hex::encode(broker.trust_root()));
    let broker_key = hex::encode(broker.broker_key().to_bytes());
    let deposit_key = dir.join("deposit.pub");
    let value = json!({
        "trust_root": trust_root, "broker_key": broker_key, "deposit_key": deposit_key,
        "environment": environment.as_str(),
    });
    let text = format!(
        "a {} broker in {}\ntrust root   {trust_root}   (clients pin it: --trust-root)\n\
         broker key   {broker_key}   (instances pin it: broker.key)\ndeposit key  {}   (models are sealed to it: --to)",
        environment.as_str(),
        dir.display(),
        deposit_key.display(),
    );
    output.result(&value, text);
    Ok(Exit::Done)
}

async fn serve(dir: &Path, listen: &str, output: Output) -> Result<Exit, Failure> {
    // The broker holds every key: no core, undumpable. It has no --strict: it runs where the
    // tenant trusts the machine.
    let _ = strongroom_enclave_loader::protect_process();
    let broker = Arc::new(open(dir)?);
    let busy = |error: std::io::Error| {
        let message = format!("cannot listen on {listen}: {error}; choose another --listen or stop what uses it");
        Failure::new(Exit::Failed, "LISTEN", message)
    };
    let listener = TcpListener::bind(listen).await.map_err(busy)?;
    let address = listener.local_addr().map_err(busy)?;
    let text = format!("the broker of `{}` listens on http://{address}", broker.deployment());
    output.result(&json!({ "event": "listening", "address": address.to_string() }), text);
    let served = signals::within_grace(strongroom_broker::serve(broker, listener, signals::asked_to_end())).await;
    served.unwrap_or(Ok(())).map_err(|e| Failure::new(Exit::Failed, "IO", e))?;
    Ok(Exit::Done)
}

async fn revoke(dir: &Path, lease: &str, url: Option<&str>, output: Output) -> Result<Exit, Failure> {
    let which = match (lease, LeaseId::parse(lease)) {
        ("all", _) => Revoke::All,
        (_, Some(id)) => Revoke::One(id),
        (_, None) => return Err(Failure::usage(format!("`{lease}` is no lease: 32 hexadecimal digits are wanted"))),
    };
    let revoked: Value = match url {
        Some(url) => admin(dir, url, "revoke", &json!({ "lease": lease })).await?,
        None => {
            let revoked = open(dir)?.revoke(which).map_err(|e| failure(&e))?;
            json!({ "revoked": revoked.iter().map(ToString::to_string).collect::<Vec<_>>() })
        }
    };
    let count = revoked["revoked"].as_array().map_or(0, Vec::len);
    output.result(&revoked, format!("{count} leases revoked; their servers end within seconds"));
    Ok(Exit::Done)
}

async fn create_api_key(dir: &Path, tenant: &str, url: Option<&str>, output: Output) -> Result<Exit, Failure> {
    let (id, secret) = match url {
        Some(url) => {
            let made = admin(dir, url, "api-keys", &json!({ "tenant": tenant })).await?;
            let text = |field: &str| made[field].as_str().unwrap_or_default().to_owned();
            (text("id"), zeroize::Zeroizing::new(text("secret")))
        }
        None => {
            let key = open(dir)?.create_api_key(tenant).map_err(|e| failure(&e))?;
            (key.id, key.secret)
        }
    };
    // A server that gets its keys from a KBS has nobody to learn of clients from but its configuration.
    let hash = hex::encode(crypto::sha256(secret.as_bytes()));
    output.note(format!("shown once; instances learn of it with their next heartbeat; key_sha256 {hash}"));
    output.result(&json!({ "id": id, "api_key": secret.as_str(), "key_sha256": hash }), secret.as_str());
    Ok(Exit::Done)
}

fn trust_export(dir: &Path, out: &Path, kbs: bool, output: Output) -> Result<Exit, Failure> {
    let broker = open(dir)?;
    let file = broker.export_trust(&TrustOptions { kbs, ..TrustOptions::default() }).map_err(|e| failure(&e))?;
    fs::write(out, file).map_err(|e| Failure::file(out, &e))?;
    let root = format!("sha256:{}", hex::encode(broker.trust_root()));
    let text = format!("{}: give it to clients, and the root {root} by another way", out.display());
    output.result(&json!({ "trust": out, "trust_root": root }), text);
    Ok(Exit::Done)
}

/// A call to a running broker's admin interface.
async fn admin(dir: &Path, url: &str, path: &str, body: &Value) -> Result<Value, Failure> {
    let file = Broker::admin_token_file(dir);
    let token = zeroize::Zeroizing::new(fs::read_to_string(&file).map_err(|e| Failure::file(&file, &e))?);
    let unavailable = |e: reqwest::Error| {
        let causes = with_causes(&e.without_url());
        let message = format!("the broker at {url} does not answer: {causes}; check the address, and that it runs");
        Failure::new(Exit::Unavailable, "UNAVAILABLE", message)
    };
    let http = reqwest::Client::builder().no_proxy().build().map_err(unavailable)?;
    let request = http.post(format!("{}/strongroom/v1/admin/{path}", url.trim_end_matches('/')));
    let response = request.bearer_auth(token.trim()).json(body).send().await.map_err(unavailable)?;
    let (status, said) = (response.status(), response.json::<Value>().await.map_err(unavailable)?);
    if status.is_success() {
        return Ok(said);
    }
    let code = said["error"]["code"].as_str().unwrap_or("NO_ERROR").to_owned();
    let exit = match status.as_u16() {
        400 => Exit::Usage,
        500.. => Exit::Unavailable,
        _ => Exit::Refused,
    };
    Err(Failure::new(exit, code, said["error"]["detail"].as_str().unwrap_or("the broker gave no reason")))
}

fn open(dir: &Path) -> Result<Broker, Failure> {
    Broker::open(dir).map_err(|e| failure(&e))
}

fn failure(error: &BrokerError) -> Failure {
    Failure::caused(Exit::from_code(error.exit_code()), error.code(), error)
}
