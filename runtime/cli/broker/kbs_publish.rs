//! Hands a model's keys to another KBS: `POST /kbs/v0/resource/…` with the administrator's token. They
//! never touch a disk here.

use std::fs;

use reqwest::{Certificate, Client, Url};
use serde_json::json;
use strongroom_enclave_loader::kbs::ResourcePath;
use zeroize::Zeroizing;

use super::{failure, open};
use crate::arguments::KbsPublish;
use crate::exit_code::Exit;
use crate::output::{Failure, Output, with_causes};

pub(super) async fn run(arguments: KbsPublish, output: Output) -> Result<Exit, Failure> {
    let KbsPublish { place, model, version, to, token_file, resource, ca } = arguments;
    let path = match &resource {
        Some(text) => text.parse(),
        None => ResourcePath::of_model(&model, version),
    };
    let path: ResourcePath = path.map_err(|error| Failure::usage(format!("--resource: {error}")))?;
    let base = base(&to)?;
    let token = fs::read_to_string(&token_file).map_err(|e| Failure::file(&token_file, &e))?;
    let token = Zeroizing::new(token);
    let mut http = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    if let Some(file) = &ca {
        let pem = fs::read(file).map_err(|e| Failure::file(file, &e))?;
        let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if certificates.is_empty() {
            let message = format!("{} holds no certificate in PEM", file.display());
            return Err(Failure::new(Exit::Malformed, "CA", message));
        }
        http = http.tls_certs_only(certificates);
    }
    let unavailable = |e: reqwest::Error| {
        let causes = with_causes(&e.without_url());
        let message = format!("the KBS at {to} does not answer: {causes}; check the address, and that it runs");
        Failure::new(Exit::Unavailable, "UNAVAILABLE", message)
    };
    let http = http.build().map_err(unavailable)?;

    // No core and no debugger; what the connection copied is gone with the process.
    let _ = strongroom_enclave_loader::protect_process();
    let keys = open(&place.dir)?.kbs_resource_of(&model, version).map_err(|e| failure(&e))?;
    let url = format!("{base}/kbs/v0/resource/{path}");
    let request = http.post(&url).bearer_auth(token.trim()).header("content-type", "application/octet-stream");
    let response = request.body(keys.to_vec()).send().await.map_err(unavailable)?;
    let status = response.status();
    if !status.is_success() {
        let exit = if status.is_server_error() { Exit::Unavailable } else { Exit::Refused };
        let message =
            format!("the KBS answered HTTP {status} at {url}: it took no keys; check the token and its policy");
        return Err(Failure::new(exit, "KBS_REFUSED", message));
    }
    let text = format!("{model} version {version} lies at {path}: that KBS decides now who gets its keys");
    output.result(&json!({ "resource": path.as_str(), "model": model, "version": version, "kbs": to }), text);
    Ok(Exit::Done)
}

/// Keys cross in the clear inside TLS; without it only within this machine.
fn base(text: &str) -> Result<String, Failure> {
    let url =
        Url::parse(text).map_err(|_| Failure::usage(format!("`{text}` is no address such as https://kbs:8080")))?;
    let loopback = match url.host_str() {
        Some("localhost") => true,
        Some(host) => host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()),
        None => false,
    };
    match (url.scheme(), loopback) {
        ("https", _) | ("http", true) => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err(Failure::usage(format!("`{text}`: keys go to https:// addresses only, or to this machine"))),
    }
}
