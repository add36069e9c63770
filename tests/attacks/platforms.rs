//! The same attacks on the other platforms: an old answer, and a key of the enemy's own.

use strongroom_channel::attest;
use strongroom_channel::ohttp::KeyPair;

use super::{Scene, parts};
use crate::support::machines::Platform;

/// A paravisor's report data are its own: there the virtual TPM's nonce is what is compared.
const PLATFORMS: [(Platform, &str); 3] =
    [(Platform::Tdx, "REPORT_DATA"), (Platform::AzureSnp, "NONCE"), (Platform::AzureTdx, "NONCE")];

#[tokio::test]
async fn an_old_answer_is_replayed_on_every_platform() {
    for (platform, _) in PLATFORMS {
        let scene = Scene::on(platform).await;
        let old = scene.gateway.last(attest::PATH).answer;
        assert_eq!(scene.verdict(move |_, _| old.clone()).await, "NONCE", "{platform:?}");
    }
}

#[tokio::test]
async fn the_encapsulation_key_is_substituted_on_every_platform() {
    for (platform, wanted) in PLATFORMS {
        let scene = Scene::on(platform).await;
        let code = scene.verdict(|_, genuine| {
            let (mut answer, mut statement) = parts(genuine);
            statement.key_configs = KeyPair::generate(0).config_list();
            answer.statement = statement.encode();
            answer.to_bytes()
        });
        assert_eq!(code.await, wanted, "{platform:?}");
    }
}
