//! The attacks. Each one does what an enemy would do, against the processes that just
//! worked, and must be refused by its own code.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde_json::Value;

use super::ask;
use super::gateway::{Cheat, Gateway};
use super::gpus::Gpus;
use super::stage::{Server, Stage, simulation};
use super::steps::Steps;
use crate::exit_code::Exit;
use crate::output::Failure;

/// Where in the first blob a bit is flipped.
const FLIPPED_AT: u64 = 4_242;

pub(super) async fn run(steps: &mut Steps, stage: &Stage, server: &Server) {
    steps.refused("a flipped bit in the sealed model", "SEALED_TAMPERED", flipped_bit(stage)).await;
    steps.refused("another image asks for the key", "MEASUREMENT", another_image(stage)).await;
    steps.refused("a gateway replays an old evidence answer", "NONCE", replayed(stage, server)).await;
    steps.refused("a gateway swaps the encapsulation key", "REPORT_DATA", swapped_key(stage, server)).await;
    // A machine without the GPUs is told apart before its certificate is.
    let code = if stage.gpus().is_some() { "PLATFORM_NOT_ALLOWED" } else { "INSTANCE_CERT" };
    steps.refused("another machine borrows the instance certificate", code, borrowed(stage, server)).await;
    if let Some(gpus) = stage.gpus() {
        steps.refused("genuine GPUs of another owner", "PLATFORM_NOT_ALLOWED", foreign_gpus(stage, gpus)).await;
        steps.refused("a gateway leaves a GPU out of the evidence", "REPORT_DATA", missing_gpu(stage, server)).await;
    }
    steps.refused("a gateway cuts the end off an answer", "TRUNCATED", truncated(stage, server)).await;
    steps.refused("a client that did not ask for simulated evidence", "SIMULATED", not_asked_for(stage, server)).await;
    steps.refused("a server whose lease the tenant revokes", "LEASE_ENDED", revoked(stage)).await;
}

/// The host changes one bit of the ciphertext; the broker still releases the key to the
/// genuine server, which must find it.
async fn flipped_bit(stage: &Stage) -> Result<String, Failure> {
    let directory = stage.path("tampered");
    copy_tree(&stage.path("server"), &directory).map_err(|e| Failure::file(&directory, &e))?;
    let blob = directory.join("model.sealed/blobs/0000.bin");
    flip(&blob).map_err(|e| Failure::file(&blob, &e))?;
    let ended = stage.spawn_server("tampered", &[])?.end().await?;
    fs::remove_dir_all(&directory).map_err(|e| Failure::file(&directory, &e))?;
    refused(ended)
}

/// The operator starts a changed program. Its measurement is another one.
async fn another_image(stage: &Stage) -> Result<String, Failure> {
    let image = stage.path("machine/changed-image");
    fs::write(&image, b"not the image that the tenant approved").map_err(|e| Failure::file(&image, &e))?;
    let image = image.display().to_string();
    refused(stage.spawn_server("server", &["--simulated-image", &image])?.end().await?)
}

async fn replayed(stage: &Stage, server: &Server) -> Result<String, Failure> {
    let gateway = Gateway::start(&server.url).await?;
    honest(stage, &gateway).await?;
    let old = gateway.recorded().ok_or_else(|| Failure::new(Exit::Failed, "BUG", "nothing was recorded"))?;
    gateway.cheat(Cheat::Replay(old));
    verdict(stage.verify(&gateway.url, true).await?)
}

async fn swapped_key(stage: &Stage, server: &Server) -> Result<String, Failure> {
    let gateway = Gateway::start(&server.url).await?;
    honest(stage, &gateway).await?;
    gateway.cheat(Cheat::SwapKey);
    verdict(stage.verify(&gateway.url, true).await?)
}

/// The same image on the very machine that the tenant lists, opened by its owner: only
/// the instance certificate tells it from the honest instance.
async fn borrowed(stage: &Stage, server: &Server) -> Result<String, Failure> {
    let gateway = Gateway::start(&server.url).await?;
    honest(stage, &gateway).await?;
    let digest = strongroom_runtime::Config::from_toml(&stage.server_config("model.sealed"))
        .map_err(|e| Failure::new(Exit::Failed, "BUG", e))?
        .digest();
    gateway.cheat(Cheat::Borrow(Box::new(stage.machine(1)?.with_host_data(digest))));
    verdict(stage.verify(&gateway.url, true).await?)
}

/// The same chip and image, with GPUs that are as genuine and not the tenant's: the broker gives them no key.
async fn foreign_gpus(stage: &Stage, gpus: &Gpus) -> Result<String, Failure> {
    let machine = "machine/with-foreign-gpus";
    stage.machine(1)?.to_directory(&stage.path(machine)).map_err(|e| simulation(&e))?;
    gpus.foreign(&stage.path(machine), stage.now())?;
    refused(stage.spawn_server_on(machine, "server", &[])?.end().await?)
}

async fn missing_gpu(stage: &Stage, server: &Server) -> Result<String, Failure> {
    let gateway = Gateway::start(&server.url).await?;
    honest(stage, &gateway).await?;
    gateway.cheat(Cheat::DropGpu);
    verdict(stage.verify(&gateway.url, true).await?)
}

async fn truncated(stage: &Stage, server: &Server) -> Result<String, Failure> {
    let gateway = Gateway::start(&server.url).await?;
    let mut proxy = stage.start_proxy("the second proxy", &gateway.url).await?;
    let client = ask::Client::new(&proxy.url, &stage.api_key).await?;
    client.whole("Say hello.").await?; // it works before the gateway cheats
    gateway.cheat(Cheat::Truncate);
    let code = client.failure_code("Count to five.").await;
    proxy.stop().await;
    code
}

async fn not_asked_for(stage: &Stage, server: &Server) -> Result<String, Failure> {
    verdict(stage.verify(&server.url, false).await?)
}

/// On a second server, so that the first goes on.
async fn revoked(stage: &Stage) -> Result<String, Failure> {
    let mut process = stage.spawn_server("server", &[])?;
    let released = process.event("released").await?;
    process.event("ready").await?;
    stage.revoke(released["lease"].as_str().unwrap_or_default()).await?;
    refused(process.end().await?)
}

/// The gateway is no obstacle as long as it relays.
async fn honest(stage: &Stage, gateway: &Gateway) -> Result<(), Failure> {
    match stage.verify(&gateway.url, true).await? {
        (0, _) => Ok(()),
        (_, said) => {
            Err(Failure::new(Exit::Failed, "BUG", format!("an honest gateway was refused: {}", said["error"])))
        }
    }
}

/// A refusal has exit code 3; anything else is not the refusal that was wanted.
fn refused((exit, code): (u8, String)) -> Result<String, Failure> {
    if exit == Exit::Refused.code() {
        return Ok(code);
    }
    Err(Failure::new(Exit::Failed, code, format!("it ended with exit code {exit}, a refusal is 3")))
}

fn verdict((exit, said): (u8, Value)) -> Result<String, Failure> {
    refused((exit, said["error"]["code"].as_str().unwrap_or("ACCEPTED").to_owned()))
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn flip(file: &Path) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().read(true).write(true).open(file)?;
    let mut byte = [0];
    file.seek(SeekFrom::Start(FLIPPED_AT))?;
    file.read_exact(&mut byte)?;
    file.seek(SeekFrom::Start(FLIPPED_AT))?;
    file.write_all(&[byte[0] ^ 1])
}
