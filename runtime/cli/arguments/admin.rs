//! What the operator of a node asks of its server.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Args)]
pub(crate) struct Admin {
    /// The socket that the server's configuration names (`admin`).
    #[arg(long, value_name = "PATH", default_value = "/run/strongroom/admin.sock", global = true)]
    pub(crate) socket: PathBuf,
    #[command(subcommand)]
    pub(crate) command: AdminCommand,
}

#[derive(Subcommand)]
pub(crate) enum AdminCommand {
    /// Say which models are loaded and how much runs.
    Status,
    /// Load a model of the configuration: its key is asked for with fresh evidence.
    Load {
        /// Its name in the configuration.
        name: String,
    },
    /// Unload a model: answers that run may end, then its memory is given back.
    Unload {
        /// Its name in the configuration.
        name: String,
    },
    /// Take no new request, let those that run end, and end the server.
    Drain,
}
