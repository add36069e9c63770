//! Authentic claims against a policy: every requirement is answered, whatever the others say.

use crate::error::{Check, Code};
use crate::hex_bytes::HexBytes;
use crate::pinned::pinned;
use crate::policy::Policy;
use crate::snp::claims::{EndorsementKey, SnpClaims};
use crate::snp::policy::{HIGHEST_VMPL, NO_MIGRATION_AGENT, SnpPolicy};
use crate::snp::product::Product;
use crate::snp::tcb::Tcb;

/// Answers each requirement of `policy` in the order of the codes.
pub(crate) fn appraise(claims: &SnpClaims, policy: &Policy) -> Vec<Check> {
    let snp = &policy.snp;
    let mut checks = vec![
        debugging(claims, snp),
        migration(claims, snp),
        vmpl(claims, snp),
        minimum_tcb(claims, snp, "reported TCB", claims.reported_tcb),
        minimum_tcb(claims, snp, "committed TCB", claims.committed_tcb),
        launch_tcb(claims, snp),
        minimum_abi(claims, snp),
        product(claims, snp),
        provider(claims, snp),
        shown_identity(claims, policy),
        named_identity(claims, policy),
    ];
    checks.extend(platform_settings(claims, snp));
    checks.extend(guest_settings(claims, snp));
    let allowed = policy.measurements.as_deref();
    checks.push(pinned(Code::Measurement, "launch measurement", &claims.measurement, allowed));
    checks.push(pinned(Code::HostData, "host data", &claims.host_data, policy.host_data.as_deref()));
    for (title, digest, allowed) in [
        ("identity key", &claims.id_key_digest, &snp.id_key_digests),
        ("author key", &claims.author_key_digest, &snp.author_key_digests),
    ] {
        checks.push(pinned(Code::Measurement, title, digest, allowed.as_deref()));
    }
    checks
}

fn debugging(claims: &SnpClaims, policy: &SnpPolicy) -> Check {
    let is_on = claims.guest_policy.debug_allowed();
    let wanted = if policy.allow_debug { "off or on: the policy allows it" } else { "off" };
    Check::when(!is_on || policy.allow_debug, Code::Debug, "debugging", wanted, on_off(is_on))
}

/// Off, or in the hands of a migration agent that the policy names.
fn migration(claims: &SnpClaims, policy: &SnpPolicy) -> Check {
    let agent = HexBytes(claims.report_id_ma);
    let named = policy.migration_agents.as_deref().unwrap_or_default();
    let wanted = match named.len() {
        0 => "off".to_owned(),
        count => format!("off, or by one of the {count} agents that the policy names"),
    };
    let (holds, found) = match (claims.guest_policy.migration_allowed(), agent == NO_MIGRATION_AGENT) {
        (false, _) => (true, "off".to_owned()),
        // An agent can still be bound to it, and nobody knows which.
        (true, true) => (false, "on, by no agent yet".to_owned()),
        (true, false) => (named.contains(&agent), format!("on, by agent {agent}")),
    };
    Check::when(holds, Code::Migratable, "migration", wanted, found)
}

fn vmpl(claims: &SnpClaims, policy: &SnpPolicy) -> Check {
    let level = claims.vmpl;
    let holds = level <= HIGHEST_VMPL && policy.vmpl.contains(&level);
    let wanted = format!("one of {:?}", policy.vmpl);
    let found = match level {
        u32::MAX => "a report that the host asked for".to_owned(),
        level => level.to_string(),
    };
    Check::when(holds, Code::Vmpl, "privilege level", wanted, found)
}

fn minimum_tcb(claims: &SnpClaims, policy: &SnpPolicy, title: &str, tcb: Tcb) -> Check {
    let Some(minimum) = policy.minimum_tcb.get(&claims.product) else {
        let wanted = format!("nothing: the policy has no minimum for {}", claims.product);
        return Check::skip(Code::Tcb, title, wanted, tcb.to_string());
    };
    let least = Tcb {
        fmc: tcb.fmc.map(|_| minimum.fmc.unwrap_or(0)),
        bootloader: minimum.bootloader,
        tee: minimum.tee,
        snp: minimum.snp,
        microcode: minimum.microcode,
    };
    let wanted = format!("each at least {least}");
    Check::when(tcb.meets(minimum), Code::Tcb, title, wanted, tcb.to_string())
}

/// The firmware that launched the guest: a later live update leaves what it did as it was.
fn launch_tcb(claims: &SnpClaims, policy: &SnpPolicy) -> Check {
    let (title, tcb) = ("launch TCB", claims.launch_tcb);
    if policy.allow_lower_launch_tcb {
        return Check::skip(Code::Tcb, title, "nothing: the policy allows a lower one", tcb.to_string());
    }
    minimum_tcb(claims, policy, title, tcb)
}

fn minimum_abi(claims: &SnpClaims, policy: &SnpPolicy) -> Check {
    let title = "firmware interface";
    let (current, committed) = (claims.current_firmware, claims.committed_firmware);
    let found = format!("{}.{} (committed {}.{})", current.major, current.minor, committed.major, committed.minor);
    let Some(minimum) = policy.minimum_abi else {
        let wanted = "nothing: the policy has no minimum";
        return Check::skip(Code::Tcb, title, wanted, found);
    };
    let least = (minimum.major, minimum.minor);
    let holds = [current, committed].iter().all(|version| (version.major, version.minor) >= least);
    let wanted = format!("at least {}.{}, committed too", minimum.major, minimum.minor);
    Check::when(holds, Code::Tcb, title, wanted, found)
}

fn product(claims: &SnpClaims, policy: &SnpPolicy) -> Check {
    let wanted = format!("one of {:?}", policy.products);
    let found = match claims.product {
        Product::Milan => "Milan, whose root seed software can extract: any version can be signed",
        other => other.name(),
    };
    let holds = policy.products.contains(&claims.product);
    Check::when(holds, Code::PlatformNotAllowed, "product line", wanted, found)
}

fn provider(claims: &SnpClaims, policy: &SnpPolicy) -> Check {
    let title = "signing key";
    let EndorsementKey::Vlek { csp_id } = &claims.endorsement_key else {
        let wanted = "the chip's own key, or a VLEK that the policy names";
        return Check::pass(Code::PlatformNotAllowed, title, wanted, "VCEK");
    };
    let found = format!("VLEK of {csp_id}");
    if policy.allow_vlek_of_any_provider {
        return Check::pass(Code::PlatformNotAllowed, title, "a VLEK of any provider", found);
    }
    let allowed = policy.vlek_csp_ids.as_deref().unwrap_or_default();
    let wanted = match allowed {
        [] => "the chip's own key: the policy allows no VLEK".to_owned(),
        ids => format!("the chip's own key, or a VLEK of one of {ids:?}"),
    };
    Check::when(allowed.contains(csp_id), Code::PlatformNotAllowed, title, wanted, found)
}

fn shown_identity(claims: &SnpClaims, policy: &Policy) -> Check {
    let title = "platform identity";
    let found = match (claims.platform_identity(), &claims.endorsement_key) {
        (Some(_), _) => "shown",
        (None, EndorsementKey::Vcek) => "masked",
        (None, EndorsementKey::Vlek { .. }) => "not proved by a VLEK",
    };
    if !policy.require_platform_identity {
        let wanted = "nothing: the policy does not require it";
        return Check::skip(Code::PlatformNotAllowed, title, wanted, found);
    }
    let holds = claims.platform_identity().is_some();
    Check::when(holds, Code::PlatformNotAllowed, title, "shown, under the chip's own key", found)
}

fn named_identity(claims: &SnpClaims, policy: &Policy) -> Check {
    let title = "platform";
    let identity = claims.platform_identity();
    let significant = identity.and_then(|id| id.get(..claims.product.hwid_len()));
    let found = significant.map_or_else(|| "no identity".to_owned(), hex::encode);
    let Some(allowed) = &policy.platform_identities else {
        let wanted = "nothing: the policy names no platforms";
        return Check::skip(Code::PlatformNotAllowed, title, wanted, found);
    };
    // A policy names a chip by the whole field, or on Turin by its eight significant bytes.
    let holds = allowed.iter().any(|named| {
        identity.is_some_and(|id| id == named.0.as_slice()) || significant.is_some_and(|id| id == named.0)
    });
    let wanted = format!("one of {} named platforms", allowed.len());
    Check::when(holds, Code::PlatformNotAllowed, title, wanted, found)
}

/// Settings of the platform that the policy may require.
fn platform_settings(claims: &SnpClaims, policy: &SnpPolicy) -> Vec<Check> {
    let info = claims.platform_info;
    let mut checks = Vec::new();
    let (smt, title) = (info.smt(), "multithreading");
    checks.push(if policy.allow_smt {
        let wanted = "nothing: the policy allows it";
        Check::skip(Code::PlatformNotAllowed, title, wanted, on_off(smt))
    } else {
        Check::when(!smt, Code::PlatformNotAllowed, title, "off", on_off(smt))
    });
    for (title, required, is_on) in [
        ("memory alias check", policy.require_alias_check, info.alias_check_complete()),
        ("power limits disabled", policy.require_rapl_disabled, info.rapl_disabled()),
        ("ciphertext hiding", policy.require_ciphertext_hiding, info.ciphertext_hiding()),
        ("error-correcting memory", policy.require_ecc, info.ecc()),
        ("encryption of all memory", policy.require_tsme, info.tsme()),
    ] {
        checks.push(if required {
            Check::when(is_on, Code::PlatformNotAllowed, title, "on", on_off(is_on))
        } else {
            let wanted = "nothing: the policy does not require it";
            Check::skip(Code::PlatformNotAllowed, title, wanted, on_off(is_on))
        });
    }
    checks
}

/// What the guest's owner demanded at launch, and the policy asks for.
fn guest_settings(claims: &SnpClaims, policy: &SnpPolicy) -> [Check; 2] {
    let (socket, cxl) = (claims.guest_policy.single_socket(), claims.guest_policy.cxl_allowed());
    let one = if policy.require_single_socket {
        Check::when(socket, Code::PlatformNotAllowed, "single socket", "on", on_off(socket))
    } else {
        let wanted = "nothing: the policy does not require it";
        Check::skip(Code::PlatformNotAllowed, "single socket", wanted, on_off(socket))
    };
    let memory = if policy.allow_cxl {
        Check::skip(Code::PlatformNotAllowed, "CXL memory", "nothing: the policy allows it", on_off(cxl))
    } else {
        Check::when(!cxl, Code::PlatformNotAllowed, "CXL memory", "off", on_off(cxl))
    };
    [one, memory]
}

fn on_off(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Refusal, State};
    use crate::policy::PlatformIdentity;
    use crate::snp::policy::{AbiVersion, MinimumTcb};
    use crate::snp::report::SnpReport;

    const GENOA: &[u8] = include_bytes!("../../../tests/vectors/snp/012-genoa-v5/report.bin");
    const TURIN: &[u8] = include_bytes!("../../../tests/vectors/snp/013-turin-v5/report.bin");

    /// Claims of a real report with some bytes replaced, as if the chip had signed that.
    fn claims(report: &[u8], product: Product, changes: &[(usize, u8)]) -> SnpClaims {
        let mut bytes = report.to_vec();
        for (index, value) in changes {
            bytes[*index] = *value;
        }
        SnpClaims::new(&SnpReport::parse(&bytes).unwrap(), product, EndorsementKey::Vcek)
    }

    fn genoa(changes: &[(usize, u8)]) -> SnpClaims {
        claims(GENOA, Product::Genoa, changes)
    }

    fn refused(claims: &SnpClaims, policy: &Policy) -> Option<Code> {
        Refusal::from_checks(appraise(claims, policy)).map(|refusal| refusal.code)
    }

    fn strict(change: impl FnOnce(&mut Policy)) -> Policy {
        let mut policy = Policy::strict();
        change(&mut policy);
        policy
    }

    fn with_minimum(product: Product, minimum: MinimumTcb) -> Policy {
        strict(|policy| policy.snp.minimum_tcb = [(product, minimum)].into())
    }

    #[test]
    fn the_guest_must_not_be_open_to_its_host() {
        assert_eq!(refused(&genoa(&[]), &Policy::strict()), None);
        let debug = genoa(&[(0x0A, 0x0B)]);
        assert_eq!(refused(&debug, &Policy::strict()), Some(Code::Debug));
        assert_eq!(refused(&debug, &Policy::authentic()), Some(Code::Debug));
        assert_eq!(refused(&debug, &strict(|p| p.snp.allow_debug = true)), None);
        let migratable = genoa(&[(0x0A, 0x07)]);
        assert_eq!(refused(&migratable, &Policy::strict()), Some(Code::Migratable));
        assert_eq!(refused(&migratable, &Policy::authentic()), Some(Code::Migratable));
    }

    #[test]
    fn only_a_named_agent_may_migrate_the_guest() {
        let by = |agent: [u8; 32]| {
            let mut migratable = genoa(&[(0x0A, 0x07)]);
            migratable.report_id_ma = agent;
            migratable
        };
        let naming = |agents: Vec<[u8; 32]>| {
            strict(|p| p.snp.migration_agents = Some(agents.into_iter().map(HexBytes).collect()))
        };
        let policy = naming(vec![[1; 32], [2; 32]]);
        assert_eq!(refused(&by([2; 32]), &policy), None);
        assert_eq!(refused(&genoa(&[]), &policy), None, "no agent at all");
        let refusal = Some(Code::Migratable);
        assert_eq!(refused(&by([3; 32]), &policy), refusal);
        assert_eq!(refused(&by([2; 32]), &naming(vec![])), refusal, "an empty list");
        assert_eq!(refused(&by([2; 32]), &Policy::strict()), refusal, "no list");
        assert_eq!(refused(&by([0xFF; 32]), &policy), refusal, "one that is bound later");
        assert_eq!(refused(&by([0xFF; 32]), &naming(vec![[0xFF; 32]])), refusal, "not even when a policy names it");
    }

    #[test]
    fn the_privilege_level_must_be_allowed_and_be_a_guests() {
        let one = genoa(&[(0x30, 1)]);
        assert_eq!(refused(&one, &Policy::strict()), Some(Code::Vmpl));
        assert_eq!(refused(&one, &strict(|p| p.snp.vmpl = vec![0, 1])), None);
        let host = genoa(&[(0x30, 0xFF), (0x31, 0xFF), (0x32, 0xFF), (0x33, 0xFF)]);
        assert_eq!(refused(&host, &Policy::authentic()), Some(Code::Vmpl));
        let named = strict(|p| p.snp.vmpl = vec![0, u32::MAX]);
        assert_eq!(refused(&host, &named), Some(Code::Vmpl), "not even when a policy names it");
    }

    #[test]
    fn each_tcb_component_counts_for_reported_committed_and_launch() {
        // Genoa: bootloader, tee, snp, microcode; the offset of each in the three TCBs.
        for (offset, minimum) in [
            (0, MinimumTcb { bootloader: 10, ..MinimumTcb::default() }),
            (6, MinimumTcb { snp: 25, ..MinimumTcb::default() }),
            (7, MinimumTcb { microcode: 84, ..MinimumTcb::default() }),
        ] {
            let policy = with_minimum(Product::Genoa, minimum);
            assert_eq!(refused(&genoa(&[]), &policy), None, "{minimum:?}");
            for tcb in [0x180, 0x1E0, 0x1F0] {
                let older = genoa(&[(tcb + offset, GENOA[tcb + offset] - 1)]);
                assert_eq!(refused(&older, &policy), Some(Code::Tcb), "{tcb:#x} {minimum:?}");
            }
        }
        let tee = MinimumTcb { tee: 1, ..MinimumTcb::default() };
        let policy = with_minimum(Product::Genoa, tee);
        assert_eq!(refused(&genoa(&[]), &policy), Some(Code::Tcb));
        let fmc = MinimumTcb { fmc: Some(1), ..MinimumTcb::default() };
        let policy = with_minimum(Product::Turin, fmc);
        assert_eq!(refused(&claims(TURIN, Product::Turin, &[]), &policy), Some(Code::Tcb));
        let raised = claims(TURIN, Product::Turin, &[(0x180, 1), (0x1E0, 1), (0x1F0, 1)]);
        assert_eq!(refused(&raised, &policy), None);
    }

    #[test]
    fn firmware_that_was_updated_after_the_launch_counts_as_it_was() {
        let minimum = MinimumTcb { snp: 25, ..MinimumTcb::default() };
        let mut policy = with_minimum(Product::Genoa, minimum);
        let launched_before = genoa(&[(0x1F6, 24)]);
        assert_eq!(refused(&launched_before, &policy), Some(Code::Tcb));
        policy.snp.allow_lower_launch_tcb = true;
        assert_eq!(refused(&launched_before, &policy), None);
        assert_eq!(refused(&genoa(&[(0x186, 24)]), &policy), Some(Code::Tcb), "the others still count");
    }

    #[test]
    fn the_firmware_interface_counts_for_current_and_committed() {
        let policy = strict(|p| p.snp.minimum_abi = Some(AbiVersion { major: 1, minor: 55 }));
        assert_eq!(refused(&genoa(&[]), &policy), None);
        for minor in [0x1E9, 0x1ED] {
            assert_eq!(refused(&genoa(&[(minor, 54)]), &policy), Some(Code::Tcb));
        }
        assert_eq!(refused(&genoa(&[(0x1EA, 0), (0x1E9, 99)]), &policy), Some(Code::Tcb));
    }

    #[test]
    fn the_platform_must_be_one_that_is_allowed() {
        let not_allowed = Some(Code::PlatformNotAllowed);
        let turin_only = strict(|p| p.snp.products = vec![Product::Turin]);
        assert_eq!(refused(&genoa(&[]), &turin_only), not_allowed);

        let chip: Vec<u8> = GENOA[0x1A0..0x1E0].to_vec();
        let named = |chip: Vec<u8>| strict(|p| p.platform_identities = Some(vec![PlatformIdentity(chip)]));
        assert_eq!(refused(&genoa(&[]), &named(chip.clone())), None);
        assert_eq!(refused(&genoa(&[]), &named(chip[..8].to_vec())), not_allowed, "no prefix");
        assert_eq!(refused(&genoa(&[]), &named(vec![9; 64])), not_allowed);
        assert_eq!(refused(&genoa(&[]), &strict(|p| p.platform_identities = Some(vec![]))), not_allowed);
        let turin = claims(TURIN, Product::Turin, &[]);
        assert_eq!(refused(&turin, &named(TURIN[0x1A0..0x1A8].to_vec())), None);
        assert_eq!(refused(&turin, &named(TURIN[0x1A0..0x1E0].to_vec())), None);
    }

    #[test]
    fn a_masked_chip_is_refused_unless_the_policy_says_otherwise() {
        let mut masked = genoa(&[]);
        masked.chip_id = [0; 64];
        assert_eq!(refused(&masked, &Policy::strict()), Some(Code::PlatformNotAllowed));
        assert_eq!(refused(&masked, &strict(|p| p.require_platform_identity = false)), None);
    }

    #[test]
    fn a_vlek_proves_no_chip_and_needs_a_named_provider() {
        let mut vlek = genoa(&[]);
        vlek.endorsement_key = EndorsementKey::Vlek { csp_id: "CN=a".to_owned() };
        assert_eq!(vlek.platform_identity(), None, "though the report shows a chip id");
        let policy = strict(|p| p.require_platform_identity = false);
        assert_eq!(refused(&vlek, &policy), Some(Code::PlatformNotAllowed));
        let naming = |id: &str| {
            strict(|p| {
                p.require_platform_identity = false;
                p.snp.vlek_csp_ids = Some(vec![id.to_owned()]);
            })
        };
        assert_eq!(refused(&vlek, &naming("CN=a")), None);
        assert_eq!(refused(&vlek, &naming("CN=ab")), Some(Code::PlatformNotAllowed));
        assert_eq!(refused(&vlek, &Policy::authentic()), None);
    }

    #[test]
    fn each_required_setting_must_be_on() {
        type Require = fn(&mut SnpPolicy);
        let settings: [(u8, Require); 5] = [
            (0x02, |p| p.require_tsme = true),
            (0x04, |p| p.require_ecc = true),
            (0x08, |p| p.require_rapl_disabled = true),
            (0x10, |p| p.require_ciphertext_hiding = true),
            (0x20, |p| p.require_alias_check = true),
        ];
        for (bit, require) in settings {
            let policy = strict(|p| require(&mut p.snp));
            assert_eq!(refused(&genoa(&[(0x40, bit)]), &policy), None, "{bit:#x}");
            let off = genoa(&[(0x40, !bit)]);
            assert_eq!(refused(&off, &policy), Some(Code::PlatformNotAllowed), "{bit:#x}");
        }
        let no_smt = strict(|p| p.snp.allow_smt = false);
        assert_eq!(refused(&genoa(&[(0x40, 1)]), &no_smt), Some(Code::PlatformNotAllowed));
        assert_eq!(refused(&genoa(&[(0x40, 0xFE)]), &no_smt), None, "unknown bits are no reason");
    }

    #[test]
    fn the_owners_demands_must_be_those_of_the_policy() {
        let single = strict(|p| p.snp.require_single_socket = true);
        assert_eq!(refused(&genoa(&[]), &single), Some(Code::PlatformNotAllowed));
        assert_eq!(refused(&genoa(&[(0x0A, 0x13)]), &single), None);
        let no_cxl = strict(|p| p.snp.allow_cxl = false);
        assert_eq!(refused(&genoa(&[]), &no_cxl), None);
        assert_eq!(refused(&genoa(&[(0x0A, 0x23)]), &no_cxl), Some(Code::PlatformNotAllowed));
    }

    #[test]
    fn keys_of_identity_blocks_can_be_pinned() {
        let key = |p: &mut Policy, list: Vec<[u8; 48]>| {
            p.snp.id_key_digests = Some(list.into_iter().map(HexBytes).collect());
        };
        let mut signed = genoa(&[]);
        signed.id_key_digest = [7; 48];
        assert_eq!(refused(&signed, &strict(|p| key(p, vec![[7; 48]]))), None);
        assert_eq!(refused(&signed, &strict(|p| key(p, vec![[8; 48]]))), Some(Code::Measurement));
        assert_eq!(refused(&signed, &strict(|p| key(p, vec![]))), Some(Code::Measurement));
        let author = strict(|p| p.snp.author_key_digests = Some(vec![[9; 48].into()]));
        assert_eq!(refused(&signed, &author), Some(Code::Measurement));
    }

    #[test]
    fn pinned_values_are_compared_whole() {
        let measurement: [u8; 48] = GENOA[0x90..0xC0].try_into().unwrap();
        let host_data: [u8; 32] = GENOA[0xC0..0xE0].try_into().unwrap();
        let policy = strict(|p| {
            p.measurements = Some(vec![[1; 48].into(), measurement.into()]);
            p.host_data = Some(vec![host_data.into()]);
        });
        assert_eq!(refused(&genoa(&[]), &policy), None);
        let last = genoa(&[(0xBF, GENOA[0xBF] ^ 1)]);
        assert_eq!(refused(&last, &policy), Some(Code::Measurement));
        let last = genoa(&[(0xDF, GENOA[0xDF] ^ 1)]);
        assert_eq!(refused(&last, &policy), Some(Code::HostData));
    }

    #[test]
    fn what_is_not_required_is_skipped_and_says_so() {
        let checks = appraise(&genoa(&[]), &Policy::strict());
        let skipped = checks.iter().filter(|check| check.state == State::Skip);
        for check in skipped {
            assert!(check.wanted.starts_with("nothing: "), "{check:?}");
        }
        let of = |code| checks.iter().find(|check| check.code == code).unwrap().state;
        assert_eq!((of(Code::Measurement), of(Code::HostData)), (State::Skip, State::Skip));
    }
}
