//! The report of the quoting enclave inside a quote (Intel SDM volume 3D, REPORT of SGX).

use crate::cursor::field;

/// Size of an enclave's report.
pub(super) const QE_REPORT_LEN: usize = 384;

/// The fields of a quoting enclave's report that an identity names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QeReport {
    bytes: Box<[u8; QE_REPORT_LEN]>,
}

impl QeReport {
    pub(super) fn new(bytes: &[u8; QE_REPORT_LEN]) -> QeReport {
        QeReport { bytes: Box::new(*bytes) }
    }

    /// All of it: what the PCK signed.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    pub(crate) fn miscselect(&self) -> [u8; 4] {
        self.at::<16, 4>()
    }

    pub(crate) fn attributes(&self) -> [u8; 16] {
        self.at::<48, 16>()
    }

    pub(crate) fn mrsigner(&self) -> [u8; 32] {
        self.at::<128, 32>()
    }

    pub(crate) fn isvprodid(&self) -> u16 {
        u16::from_le_bytes(self.at::<256, 2>())
    }

    pub(crate) fn isvsvn(&self) -> u16 {
        u16::from_le_bytes(self.at::<258, 2>())
    }

    pub(crate) fn report_data(&self) -> [u8; 64] {
        self.at::<320, 64>()
    }

    /// Whether the quoting enclave may be debugged (ATTRIBUTES bit 1).
    pub(crate) fn is_debug(&self) -> bool {
        self.attributes().first().is_some_and(|flags| flags & 0x02 != 0)
    }

    /// The `N` bytes at offset `O`; that they lie inside the report is proved when compiling.
    fn at<const O: usize, const N: usize>(&self) -> [u8; N] {
        field::<O, N, QE_REPORT_LEN>(&self.bytes)
    }
}
