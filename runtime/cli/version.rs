//! What this program is, and what is compiled in (protocol.md A18).

/// `0.1.0 (serve, broker, client, simulated)`.
pub(crate) fn text() -> &'static str {
    const ROLES: &str = match (cfg!(feature = "serve"), cfg!(feature = "broker"), cfg!(feature = "client")) {
        (true, true, true) => "serve, broker, client",
        (true, true, false) => "serve, broker",
        (true, false, true) => "serve, client",
        (true, false, false) => "serve",
        (false, true, true) => "broker, client",
        (false, true, false) => "broker",
        (false, false, true) => "client",
        (false, false, false) => "no role",
    };
    const PLATFORM: &str = if cfg!(feature = "simulated") { ", SIMULATED platform compiled in" } else { "" };
    static TEXT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    TEXT.get_or_init(|| format!("{} ({ROLES}{PLATFORM})", env!("CARGO_PKG_VERSION")))
}
