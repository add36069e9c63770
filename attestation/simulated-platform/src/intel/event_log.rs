//! What a trust domain measured: events whose digests extend the four registers (RTMR), and
//! the two forms in which logs are passed on.

use serde::Serialize;
use sha2::{Digest, Sha384};

use crate::error::SimulationError;

/// Event type of the records that are not measured.
const EV_NO_ACTION: u32 = 3;
/// Text that a boot loader or kernel stub measures.
pub(crate) const EV_IPL: u32 = 0x0d;
/// Events of the application, which dstack adds to the last register.
const RUNTIME_EVENT: u32 = 0x0800_0001;
const SHA384: u16 = 0x000c;
/// Unused log area is all ones.
const PADDING: u8 = 0xff;
/// Number of the last register, RTMR3.
const LAST_REGISTER: u8 = 3;

/// Events in the order in which they were measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventLog {
    /// Oldest first.
    pub events: Vec<Event>,
}

/// One measured event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// 0 to 3: which RTMR it extends.
    pub register: u8,
    /// As the firmware specification numbers it.
    pub event_type: u32,
    /// What the register is extended with.
    pub digest: [u8; 48],
    /// Name, only of an application's event.
    pub name: String,
    /// What the log keeps of the event.
    pub payload: Vec<u8>,
}

impl EventLog {
    /// A log as a boot leaves it: firmware, loader, kernel with its command line, and two
    /// events of the application.
    #[must_use]
    pub fn of_boot(kernel: &[u8], command_line: &str) -> Self {
        let line = format!("kernel_cmdline: {command_line}\0");
        Self::default()
            .measured(0, 0x8000_000b, b"\x09TdxTable\0simulated firmware configuration")
            .measured(0, 0x04, &[0; 4])
            .measured(1, 0x8000_0003, kernel)
            .measured(1, 0x04, &[0; 4])
            .measured(2, EV_IPL, line.as_bytes())
            .application("system-preparing", b"")
            .application("compose-hash", &Sha384::digest(kernel)[..32])
    }

    /// With one more event, whose digest is SHA-384 of its payload.
    #[must_use]
    pub fn measured(mut self, register: u8, event_type: u32, payload: &[u8]) -> Self {
        let digest = Sha384::digest(payload).into();
        let payload = payload.to_vec();
        self.events.push(Event { register, event_type, digest, name: String::new(), payload });
        self
    }

    /// With one more event of the application, in the last register. Its digest is SHA-384 of
    /// type, name and payload with colons between them, as dstack defines it.
    #[must_use]
    pub fn application(mut self, name: &str, payload: &[u8]) -> Self {
        let digest = Sha384::digest(runtime_preimage(name, payload)).into();
        let (name, payload) = (name.to_owned(), payload.to_vec());
        self.events.push(Event { register: LAST_REGISTER, event_type: RUNTIME_EVENT, digest, name, payload });
        self
    }

    /// The registers after all events: each is SHA-384 of what it was and the digest.
    #[must_use]
    pub fn replay(&self) -> [[u8; 48]; 4] {
        let mut registers = [[0; 48]; 4];
        for event in self.events.iter().filter(|event| event.event_type != EV_NO_ACTION) {
            if let Some(register) = registers.get_mut(usize::from(event.register)) {
                *register = Sha384::new().chain_update(*register).chain_update(event.digest).finalize().into();
            }
        }
        registers
    }

    /// The log area that an ACPI table "CCEL" points to, of `area_length` bytes (or as many as
    /// the events need): the TCG crypto-agile form, where index 1 to 4 are RTMR0 to RTMR3.
    ///
    /// # Errors
    /// [`SimulationError::TooLong`] where a payload has 4 GiB or more.
    pub fn to_ccel(&self, area_length: usize) -> Result<Vec<u8>, SimulationError> {
        let mut area = specification_record();
        for event in &self.events {
            let data = event.logged();
            let length = u32::try_from(data.len()).map_err(|_| SimulationError::TooLong { what: "an event" })?;
            area.extend_from_slice(&(u32::from(event.register) + 1).to_le_bytes());
            area.extend_from_slice(&event.event_type.to_le_bytes());
            area.extend_from_slice(&1_u32.to_le_bytes());
            area.extend_from_slice(&SHA384.to_le_bytes());
            area.extend_from_slice(&event.digest);
            area.extend_from_slice(&length.to_le_bytes());
            area.extend_from_slice(&data);
        }
        area.resize(area.len().max(area_length), PADDING);
        Ok(area)
    }

    /// The log as dstack passes it on: JSON with one object an event. Newer versions leave the
    /// digests of application events empty, so that a reader has to compute them.
    ///
    /// # Errors
    /// [`SimulationError::Json`] where the writer fails.
    pub fn to_dstack_json(&self, application_digests: bool) -> Result<String, SimulationError> {
        let events: Vec<DstackEvent<'_>> = self
            .events
            .iter()
            .map(|event| DstackEvent {
                imr: event.register,
                event_type: event.event_type,
                digest: match (event.event_type, application_digests) {
                    (RUNTIME_EVENT, false) => String::new(),
                    _ => hex::encode(event.digest),
                },
                event: &event.name,
                event_payload: hex::encode(&event.payload),
            })
            .collect();
        serde_json::to_string(&events).map_err(|source| SimulationError::Json { what: "an event log", source })
    }
}

impl Event {
    /// What the binary form keeps, which is what was hashed.
    fn logged(&self) -> Vec<u8> {
        if self.event_type == RUNTIME_EVENT {
            return runtime_preimage(&self.name, &self.payload);
        }
        self.payload.clone()
    }
}

#[derive(Serialize)]
struct DstackEvent<'a> {
    imr: u8,
    event_type: u32,
    digest: String,
    event: &'a str,
    event_payload: String,
}

fn runtime_preimage(name: &str, payload: &[u8]) -> Vec<u8> {
    [RUNTIME_EVENT.to_le_bytes().as_slice(), b":", name.as_bytes(), b":", payload].concat()
}

/// The first record, in the old form: "Spec ID Event03", which lists SHA-384 as the one
/// algorithm. Byte for byte that of a genuine log.
fn specification_record() -> Vec<u8> {
    let mut data = b"Spec ID Event03\0".to_vec();
    data.extend_from_slice(&0_u32.to_le_bytes()); // platform class
    data.extend_from_slice(&[0, 2, 0, 2]); // version 2.0, errata 0, 64-bit
    data.extend_from_slice(&1_u32.to_le_bytes());
    data.extend_from_slice(&SHA384.to_le_bytes());
    data.extend_from_slice(&48_u16.to_le_bytes());
    data.push(0); // no vendor information

    let mut record = 1_u32.to_le_bytes().to_vec();
    record.extend_from_slice(&EV_NO_ACTION.to_le_bytes());
    record.extend_from_slice(&[0; 20]);
    record.extend_from_slice(&33_u32.to_le_bytes());
    record.extend_from_slice(&data);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_is_that_of_a_genuine_log() {
        let data = "53706563204944204576656e743033000000000000020002010000000c00300000";
        let record = hex::encode(specification_record());
        assert_eq!(record, format!("0100000003000000{}21000000{data}", "00".repeat(20)));
    }

    #[test]
    fn a_dstack_digest_is_that_of_a_genuine_log() {
        // "boot-mr-done" and "system-ready" of a genuine log, which have no payload.
        for (name, digest) in [
            (
                "boot-mr-done",
                "98bd7e6bd3952720b65027fd494834045d06b4a714bf737a06b874638b3ea00ff402f7f583e3e3b05e921c8570433ac6",
            ),
            (
                "system-ready",
                "1a76b2a80a0be71eae59f80945d876351a7a3fb8e9fd1ff1cede5734aa84ea11fd72b4edfbb6f04e5a85edd114c751bd",
            ),
        ] {
            let log = EventLog::default().application(name, b"");
            assert_eq!(hex::encode(log.events[0].digest), digest);
        }
    }

    #[test]
    fn a_register_that_nothing_extended_is_zero() {
        let registers = EventLog::default().measured(2, EV_IPL, b"text").replay();
        assert_eq!((registers[0], registers[1], registers[3]), ([0; 48], [0; 48], [0; 48]));
        let mut expected = [0; 96];
        expected[48..].copy_from_slice(&Sha384::digest(b"text"));
        assert_eq!(registers[2], *Sha384::digest(expected));
    }
}
