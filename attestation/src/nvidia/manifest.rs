//! STUB
use crate::class::Anchored;
use crate::error::Refusal;
use crate::pki::Path;
use crate::trail::Trail;
use crate::unix_time::UnixTime;
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edition {
    Gpu,
    Switch,
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Golden {
    pub(crate) index: u8,
    pub(crate) active: bool,
    pub(crate) alternatives: Vec<[u8; 48]>,
}
impl Manifest {
    pub(crate) fn looks_like(bytes: &[u8]) -> bool {
        let _ = bytes;
        false
    }
    pub(crate) fn parse(bytes: &[u8]) -> Result<Manifest, Refusal> {
        let _ = bytes;
        Ok(Manifest {})
    }
    pub(crate) fn sha256(&self) -> [u8; 32] {
        [0; 32]
    }
    pub(crate) fn product(&self) -> &str {
        ""
    }
    pub(crate) fn edition(&self) -> Edition {
        Edition::Gpu
    }
    pub(crate) fn colloquial_version(&self) -> &str {
        ""
    }
    pub(crate) fn golden(&self) -> &[Golden] {
        &[]
    }
    pub(crate) fn certificates(&self) -> &[crate::x509::Certificate] {
        &[]
    }
    pub(crate) fn shown(&self) -> String {
        String::new()
    }
}
pub(crate) struct Given<'a> {
    pub(crate) title: &'a str,
    pub(crate) manifest: &'a Manifest,
    pub(crate) anchored: Anchored<'a>,
    pub(crate) now: UnixTime,
}
pub(crate) fn authenticate<'a>(_t: &mut Trail, _g: &Given<'a>) -> Option<(Path<'a>, UnixTime)> {
    None
}
