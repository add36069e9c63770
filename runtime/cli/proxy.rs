//! `strongroom proxy`: a local OpenAI-compatible port over a verified channel.

use std::net::SocketAddr;

use serde_json::json;
use strongroom_client::{Keeper, Proxy as Server, bind};

use crate::arguments::Proxy;
use crate::exit_code::Exit;
use crate::output::{Failure, Output};
use crate::{signals, trust};

pub(crate) async fn run(arguments: Proxy, output: Output) -> Result<Exit, Failure> {
    let address: SocketAddr = arguments
        .listen
        .parse()
        .map_err(|_| Failure::usage(format!("`{}` is no address and port such as 127.0.0.1:8788", arguments.listen)))?;
    let keeper = Keeper::new(trust::connector(&arguments.url, &arguments.trust)?);

    // The first verdict comes before the port: nobody can send into the void.
    let session = keeper.session().await.map_err(|error| trust::failure(&error))?;
    let simulated = session.is_simulated();
    let checks = json!({
        "event": "verified", "simulated": simulated, "certified": session.is_certified(), "checks": session.checks(),
    });
    if output.json {
        output.result(&checks, "");
    } else {
        output.checks(session.checks());
    }
    if simulated {
        output.note(
            "\n  *** SIMULATED PLATFORM: this server runs on no confidential hardware. ***\n  \
             *** Whoever runs it can read everything that you send.              ***\n",
        );
    }
    if !session.is_certified() {
        output.note(trust::UNCERTIFIED);
    }
    let listener = bind(address, false).await.map_err(|error| trust::failure(&error))?;
    let address = listener.local_addr().map_err(|e| Failure::new(Exit::Failed, "IO", e))?;
    let text = format!("listening on http://{address}/v1 (set it as base_url of any OpenAI SDK)");
    output.result(&json!({ "event": "listening", "address": address.to_string() }), text);
    let served = signals::within_grace(Server::new(keeper).serve(listener, signals::asked_to_end())).await;
    served.unwrap_or(Ok(())).map_err(|error| trust::failure(&error))?;
    Ok(Exit::Done)
}
