//! `strongroom model …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum Model {
    /// Make a key that signs sealed models, and print its public half.
    PublisherKey {
        /// Where the secret half goes; it must not exist.
        file: PathBuf,
    },
    /// Make a key that signs what lies beside sealed models (P-256): FILE, and FILE.pub for others.
    SigningKey {
        /// Where the secret half goes; it must not exist.
        file: PathBuf,
    },
    /// Encrypt and sign a model for a broker. No plaintext key touches the disk.
    Seal(Box<Seal>),
    /// Show what a sealed model says of itself; with the broker it was sealed to, its files too.
    Inspect {
        #[command(flatten)]
        which: Sealed,
        #[command(flatten)]
        opener: Opener,
    },
    /// Check a whole sealed model: what was published, and with the broker, what is inside.
    Verify {
        #[command(flatten)]
        which: Sealed,
        #[command(flatten)]
        opener: Opener,
        /// Also compare each file with the SHA-256 that was sealed with it. Needs --broker.
        #[arg(long, requires = "broker")]
        deep: bool,
        #[command(flatten)]
        signer: Signer,
        /// Whose signature and provenance must lie beside it: the sealer's public key (PEM).
        #[arg(long, value_name = "FILE")]
        sealer_key: Option<PathBuf>,
    },
    /// Pass a sealed model on to another broker: neither its id nor its signature changes.
    #[cfg(feature = "broker")]
    Rewrap {
        /// The sealed model's directory.
        sealed: PathBuf,
        /// The publisher's public key (hex).
        #[arg(long, value_name = "HEX")]
        publisher: String,
        /// The broker that it is sealed to now.
        #[arg(long, value_name = "DIR")]
        broker: PathBuf,
        /// The deposit key of the broker that it is for.
        #[arg(long, value_name = "BROKER.pub")]
        to: PathBuf,
    },
    /// Tell two sealed models apart; with the broker, file by file.
    Diff {
        /// The older one: a directory, or an address.
        old: PathBuf,
        /// The newer one.
        new: PathBuf,
        /// The publisher's public key (hex).
        #[arg(long, value_name = "HEX")]
        publisher: String,
        #[command(flatten)]
        opener: Opener,
    },
}

/// What to seal, and how.
#[derive(Args)]
pub(crate) struct Seal {
    /// A GGUF file, or a directory of safetensors.
    pub(crate) source: PathBuf,
    /// The sealed model's directory; it must not exist.
    pub(crate) destination: PathBuf,
    /// The broker's deposit key.
    #[arg(long, value_name = "BROKER.pub")]
    pub(crate) to: PathBuf,
    /// The publisher's key file.
    #[arg(long, value_name = "FILE")]
    pub(crate) publisher: PathBuf,
    /// The model's name.
    #[arg(long)]
    pub(crate) name: String,
    /// Its version; brokers refuse to go back.
    #[arg(long, default_value_t = 1)]
    pub(crate) version: u64,
    /// The version before this one: its model id (hex).
    #[arg(long, value_name = "HEX")]
    pub(crate) previous: Option<String>,
    /// The model that this is an adapter or an update of: its model id (hex).
    #[arg(long, value_name = "HEX")]
    pub(crate) base: Option<String>,
    /// SHA-256 instead of BLAKE3 for the trees, where only approved algorithms may be used; reading is
    /// slower then.
    #[arg(long)]
    pub(crate) fips: bool,
    /// Mark it for development brokers only.
    #[arg(long)]
    pub(crate) development: bool,
    #[command(flatten)]
    pub(crate) signer: Signer,
    /// The producer's signature over the files (OpenSSF Model Signing) [default: model.sig in SOURCE].
    #[arg(long, value_name = "FILE", requires = "signer")]
    pub(crate) model_signature: Option<PathBuf>,
    /// Also write a bill of materials, the provenance of this sealing and a signature over all of it,
    /// with this key (`model signing-key`).
    #[arg(long, value_name = "FILE")]
    pub(crate) signing_key: Option<PathBuf>,
    /// A licence of the model for its bill of materials, by its SPDX identifier; may be repeated.
    #[arg(long, value_name = "SPDX", requires = "signing_key")]
    pub(crate) licence: Vec<String>,
}

/// A sealed model, and who must have signed it.
#[derive(Args)]
pub(crate) struct Sealed {
    /// The sealed model: its directory, or an address (http:// or https://) that serves byte ranges.
    pub(crate) sealed: PathBuf,
    /// The publisher's public key (hex).
    #[arg(long, value_name = "HEX")]
    pub(crate) publisher: String,
}

/// Who must have signed a model's files before they were sealed (OpenSSF Model Signing).
#[derive(Args)]
#[group(id = "signer", multiple = true)]
pub(crate) struct Signer {
    /// The owner of this key: P-256 or P-384, PEM.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["signer_roots", "trusted_root"])]
    pub(crate) signer_key: Option<PathBuf>,
    /// Whoever these authorities certified for signing code: PEM.
    #[arg(long, value_name = "FILE", conflicts_with = "trusted_root")]
    pub(crate) signer_roots: Option<PathBuf>,
    /// An identity that Sigstore vouches for: its trusted_root.json, of your own choice.
    #[arg(long, value_name = "FILE", requires = "signer_identity", requires = "signer_issuer")]
    pub(crate) trusted_root: Option<PathBuf>,
    /// The identity: an e-mail address, or a URI.
    #[arg(long, value_name = "TEXT", requires = "trusted_root")]
    pub(crate) signer_identity: Option<String>,
    /// Its OpenID Connect issuer.
    #[arg(long, value_name = "URL", requires = "trusted_root")]
    pub(crate) signer_issuer: Option<String>,
}

/// Who has the keys, if anybody here has.
#[derive(Args)]
pub(crate) struct Opener {
    /// The broker's directory, which holds the keys that the model was sealed to.
    #[cfg(feature = "broker")]
    #[arg(long, value_name = "DIR")]
    pub(crate) broker: Option<PathBuf>,
}
