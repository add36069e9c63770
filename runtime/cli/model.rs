//! `strongroom model …`: what a tenant does with a model before it is deployed.

mod look;
mod opened;
mod progress;
mod seal;
mod trusted;
mod verify;

use std::fs;
use std::path::Path;

use serde_json::json;
use strongroom_enclave_loader::DepositPublicKey;
use strongroom_enclave_loader::provenance::EcSigningKey;

use crate::arguments::Model;
use crate::exit_code::Exit;
use crate::key_file;
use crate::output::{Failure, Output};

#[cfg(feature = "broker")]
pub(crate) use trusted::Trusted;

/// Off the executor: all of it reads, computes or waits for a server.
pub(crate) async fn run(command: Model, output: Output) -> Result<Exit, Failure> {
    let work = tokio::task::spawn_blocking(move || run_here(command, output));
    work.await
        .unwrap_or_else(|_| Err(Failure::new(Exit::Failed, "BUG", "the command stopped on a bug; please report it")))
}

fn run_here(command: Model, output: Output) -> Result<Exit, Failure> {
    // The publisher's key, a model's key and its weights pass through: no core, undumpable. No --strict:
    // this runs where the tenant trusts the machine.
    let _ = strongroom_enclave_loader::protect_process();
    match command {
        Model::PublisherKey { file } => publisher_key(&file, output),
        Model::SigningKey { file } => signing_key(&file, output),
        Model::Seal(order) => seal::run(*order, output),
        Model::Inspect { which, opener } => look::inspect(&which, &opener, output),
        Model::Verify { which, opener, deep, signer, sealer_key } => {
            let wanted = verify::Wanted { deep, signer, sealer_key };
            verify::run(&which, &opener, &wanted, output)
        }
        #[cfg(feature = "broker")]
        Model::Rewrap { sealed, publisher, broker, to } => rewrap(&sealed, &publisher, (&broker, &to), output),
        Model::Diff { old, new, publisher, opener } => look::diff((&old, &new), &publisher, &opener, output),
    }
}

fn publisher_key(file: &Path, output: Output) -> Result<Exit, Failure> {
    let public = hex::encode(key_file::generate(file)?.to_bytes());
    output.result(&json!({ "publisher": public }), &public);
    Ok(Exit::Done)
}

/// A key for what lies beside sealed models, in the form that other tools read.
fn signing_key(file: &Path, output: Output) -> Result<Exit, Failure> {
    let failed = |error| trusted::failure(&error);
    let key = EcSigningKey::generate().map_err(failed)?;
    let public = file.with_added_extension("pub");
    key_file::write_secret(file, key.to_pem().map_err(failed)?.as_bytes())?;
    fs::write(&public, key.public().to_pem()).map_err(|e| Failure::file(&public, &e))?;
    let fingerprint = key.public().fingerprint().to_string();
    let text = format!("{}: give it to those who verify; its fingerprint is {fingerprint}", public.display());
    output.result(&json!({ "public": public, "fingerprint": fingerprint }), text);
    Ok(Exit::Done)
}

#[cfg(feature = "broker")]
fn rewrap(sealed: &Path, publisher: &str, (from, to): (&Path, &Path), output: Output) -> Result<Exit, Failure> {
    let (publisher, to) = (key_file::parse_public(publisher)?, read_deposit_key(to)?);
    let manifest = broker(from)?.rewrap(sealed, &publisher, &to).map_err(|e| brokers(&e))?;
    let (id, recipient) = (hex::encode(manifest.model_id()), hex::encode(to.fingerprint()));
    let text = format!("{} is for {recipient} now; its id is still {id}", sealed.display());
    output.result(&json!({ "model_id": id, "recipient": recipient }), text);
    Ok(Exit::Done)
}

#[cfg(feature = "broker")]
fn broker(directory: &Path) -> Result<strongroom_broker::Broker, Failure> {
    strongroom_broker::Broker::open(directory).map_err(|e| brokers(&e))
}

#[cfg(feature = "broker")]
fn brokers(error: &strongroom_broker::BrokerError) -> Failure {
    Failure::caused(Exit::from_code(error.exit_code()), error.code(), error)
}

/// What the simulated platform measures: the image that it would have launched.
#[cfg(feature = "simulated")]
pub(crate) fn measured_image(image: &Path) -> Result<[u8; 48], Failure> {
    let bytes = fs::read(image).map_err(|e| Failure::file(image, &e))?;
    Ok(strongroom_simulated_platform::launch_measurement(&bytes))
}

fn read_deposit_key(file: &Path) -> Result<DepositPublicKey, Failure> {
    let bytes = fs::read(file).map_err(|e| Failure::file(file, &e))?;
    std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
        let message = format!(
            "{} is no broker's deposit key; give the deposit.pub that `strongroom broker init` wrote",
            file.display()
        );
        Failure::new(Exit::Malformed, "DEPOSIT_KEY", message)
    })
}
