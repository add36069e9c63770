//! `strongroom deny-list`: what a tenant no longer trusts, signed for everybody who verifies.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use strongroom_attestation::{DenyList, PolicyError, UnixTime};
use strongroom_channel::deny_list::{self, DenyListError, SignedDenyList};
use strongroom_client::{ClientError, StateDirectory, parse_trust_root};

use crate::exit_code::Exit;
use crate::file;
use crate::key_file;
use crate::output::{Failure, Output};
use crate::trust;

#[derive(Subcommand)]
pub(crate) enum DenyListCommand {
    /// Make a key that signs deny lists, and print its public half and the digest that verifiers pin.
    Keygen {
        /// Where the secret half goes; it must not exist.
        file: PathBuf,
    },
    /// Sign an edition: TOML with issuer, sequence, not_after and [[entries]], each with a reason.
    Sign {
        /// The edition (TOML).
        source: PathBuf,
        /// The key file.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Where the signed list goes; it must not exist.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The signed edition before this one, whose sequence must be lower.
        #[arg(long, value_name = "FILE")]
        previous: Option<PathBuf>,
    },
    /// Print a signed list, ended or not.
    Show {
        /// The signed list.
        file: PathBuf,
        /// The key that must have signed it: its digest sha256:…, or its 64 digits.
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
}

/// The deny list that a verifier asks.
#[derive(Args)]
pub(crate) struct DenyListArguments {
    /// A signed deny list: what it names is refused whatever else holds.
    #[arg(long, value_name = "FILE", requires = "deny_list_key")]
    pub(crate) deny_list: Option<PathBuf>,
    /// The key of the deny list: its digest sha256:…, or its 64 digits.
    #[arg(long, value_name = "KEY", requires = "deny_list")]
    pub(crate) deny_list_key: Option<String>,
}

impl DenyListArguments {
    /// Reads the list, checks it against its key and the editions seen before, and remembers it. `state` is where,
    /// and only asked when there is a list.
    pub(crate) fn accept(
        &self,
        state: impl FnOnce() -> Result<StateDirectory, Failure>,
        now: UnixTime,
    ) -> Result<Option<DenyList>, Failure> {
        let (Some(file), Some(key)) = (&self.deny_list, &self.deny_list_key) else { return Ok(None) };
        let (bytes, key) = (file::read_artefact(file)?, thumbprint(key)?);
        let list = state()?.accept_deny_list(&bytes, &key, now);
        list.map(Some).map_err(|error| about(file, &error))
    }
}

pub(crate) fn run(command: DenyListCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        DenyListCommand::Keygen { file } => keygen(&file, output),
        DenyListCommand::Sign { source, key, out, previous } => sign(&source, &key, &out, previous.as_deref(), output),
        DenyListCommand::Show { file, key } => show(&file, key.as_deref(), output),
    }
}

fn keygen(file: &Path, output: Output) -> Result<Exit, Failure> {
    let key = key_file::generate(file)?;
    let (public, thumbprint) = (hex::encode(key.to_bytes()), shown(&key.thumbprint()));
    let text = format!("public key  {public}\ndigest      {thumbprint}   (verifiers pin it: --deny-list-key)");
    output.result(&json!({ "public_key": public, "digest": thumbprint }), text);
    Ok(Exit::Done)
}

fn sign(source: &Path, key: &Path, out: &Path, previous: Option<&Path>, output: Output) -> Result<Exit, Failure> {
    let text = fs::read_to_string(source).map_err(|error| Failure::file(source, &error))?;
    let malformed = |what: &dyn std::fmt::Display| {
        Failure::new(Exit::Malformed, "DENY_LIST", format!("{}: {what}", source.display()))
    };
    let list = DenyList::from_toml(&text).map_err(|error| match error {
        PolicyError::Text { message } => malformed(&message),
        other => malformed(&other),
    })?;
    let key = key_file::read(key)?.ok_or_else(|| {
        let message = format!("{} is no key; make one with `strongroom deny-list keygen`", key.display());
        Failure::new(Exit::Malformed, "DENY_LIST_KEY", message)
    })?;
    let thumbprint = key.verifying_key().thumbprint();
    if let Some(file) = previous {
        let before = signed(file, Some(thumbprint))?;
        let (seen, found) = (before.list.sequence(), list.sequence());
        if found <= seen {
            let message = format!(
                "{} has sequence {found}, and {} has {seen}; give the new edition a higher one",
                source.display(),
                file.display()
            );
            return Err(Failure::new(Exit::Refused, "STALE", message));
        }
    }
    let bytes = deny_list::sign(&list, trust::now(), &key).map_err(|error| malformed(&error))?;
    file::write_new(out, &bytes)?;
    let count = list.entries().len();
    let value = json!({ "file": out, "sequence": list.sequence(), "entries": count, "key": shown(&thumbprint) });
    output.result(&value, format!("signed {count} entries as sequence {} in {}", list.sequence(), out.display()));
    Ok(Exit::Done)
}

fn show(file: &Path, key: Option<&str>, output: Output) -> Result<Exit, Failure> {
    let pinned = key.map(thumbprint).transpose()?;
    let SignedDenyList { key, created, not_after, list, .. } = signed(file, pinned)?;
    let value = json!({
        "issuer": list.issuer(), "sequence": list.sequence(), "key": shown(&key), "key_compared": pinned.is_some(),
        "created": created, "not_after": not_after, "entries": list.entries(),
    });
    let compared = if pinned.is_some() { "as wanted" } else { "compared with nothing: give --key" };
    let mut text = format!(
        "issuer    {}\nsequence  {}\nkey       {} ({compared})\ncreated   {created}\nends      {not_after}\nentries   {}",
        list.issuer(),
        list.sequence(),
        shown(&key),
        list.entries().len()
    );
    for entry in list.entries() {
        text.push_str(&format!("\n  {}: {}", entry.subject.shown(), entry.reason));
    }
    output.result(&value, text);
    Ok(Exit::Done)
}

/// A signed list, current or not, by the pinned key if there is one.
fn signed(file: &Path, pinned: Option<[u8; 32]>) -> Result<SignedDenyList, Failure> {
    let signed = deny_list::read(&file::read_artefact(file)?).map_err(|error| about(file, &error.into()))?;
    match pinned {
        Some(pinned) if pinned != signed.key => {
            Err(about(file, &DenyListError::WrongKey { pinned, found: signed.key }.into()))
        }
        _ => Ok(signed),
    }
}

/// The thumbprint of the key that the user typed, whole or as its digest.
fn thumbprint(text: &str) -> Result<[u8; 32], Failure> {
    if let Some(thumbprint) = parse_trust_root(text) {
        return Ok(thumbprint);
    }
    let wrong = || Failure::usage(format!("`{text}` is no key: sha256: and 64 digits, or its 64 digits are wanted"));
    key_file::parse_public(text).map(|key| key.thumbprint()).map_err(|_| wrong())
}

fn shown(thumbprint: &[u8; 32]) -> String {
    format!("sha256:{}", hex::encode(thumbprint))
}

fn about(file: &Path, error: &ClientError) -> Failure {
    let failure = trust::failure(error);
    Failure { message: format!("{}: {}", file.display(), failure.message), ..failure }
}
