//! Hardware or simulated: two types, so that the second can never be taken for the first.

use crate::remembered::Remembered;
use crate::trust_anchors::{DevelopmentAnchors, HardwareAnchors, Roots};

/// Evidence under a vendor root that is compiled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hardware {}

/// Evidence under a development root: it protects nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Simulated {}

/// What a verdict is worth: [`Hardware`] or [`Simulated`], and nothing else.
pub trait Class: sealed::Sealed {
    /// The roots that can produce a verdict of this class.
    type Anchors;
    /// The class as statements and verdicts write it: `"hw"` or `"sim"`.
    const NAME: &'static str;
    #[doc(hidden)]
    fn anchored<'a>(anchors: &'a Self::Anchors, remembered: &'a Remembered) -> Anchored<'a>;
}

/// The roots of a class, as the checks of a platform need them.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Anchored<'a> {
    pub(crate) roots: &'a Roots,
    /// Every certificate must carry the development mark; else none may.
    pub(crate) development: bool,
    /// Signatures under them that verified before.
    pub(crate) remembered: &'a Remembered,
}

impl Class for Hardware {
    type Anchors = HardwareAnchors;
    const NAME: &'static str = "hw";

    fn anchored<'a>(anchors: &'a HardwareAnchors, remembered: &'a Remembered) -> Anchored<'a> {
        Anchored { roots: anchors.roots(), development: false, remembered }
    }
}

impl Class for Simulated {
    type Anchors = DevelopmentAnchors;
    const NAME: &'static str = "sim";

    fn anchored<'a>(anchors: &'a DevelopmentAnchors, remembered: &'a Remembered) -> Anchored<'a> {
        Anchored { roots: anchors.roots(), development: true, remembered }
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Hardware {}
    impl Sealed for super::Simulated {}
}

/// Each kind of root judges its own class:
///
/// ```
/// use strongroom_attestation::*;
/// fn each_class_has_its_own_roots(
///     (evidence, bag): (&Evidence, &Endorsements),
///     (policy, expected): (&Policy, &Expected),
///     (vendors, development): (&HardwareAnchors, &DevelopmentAnchors),
/// ) -> (Appraisal<Hardware>, Appraisal<Simulated>) {
///     let now = UnixTime::from_secs(0);
///     (
///         verify::<Hardware>(evidence, bag, vendors, policy, expected, now),
///         verify::<Simulated>(evidence, bag, development, policy, expected, now),
///     )
/// }
/// ```
///
/// Development roots cannot be given where hardware is judged:
///
/// ```compile_fail
/// use strongroom_attestation::*;
/// fn development_roots_do_not_judge_hardware(
///     (evidence, bag): (&Evidence, &Endorsements),
///     (policy, expected): (&Policy, &Expected),
///     development: &DevelopmentAnchors,
/// ) -> Appraisal<Hardware> {
///     verify::<Hardware>(evidence, bag, development, policy, expected, UnixTime::from_secs(0))
/// }
/// ```
///
/// Nor is a simulated verdict one of hardware:
///
/// ```compile_fail
/// use strongroom_attestation::*;
/// fn a_simulated_verdict_is_not_one_of_hardware(verdict: Verdict<Simulated>) -> Verdict<Hardware> {
///     verdict
/// }
/// ```
///
/// And a verdict, or a vendor's root, is nothing that anybody else can make:
///
/// ```compile_fail
/// use strongroom_attestation::*;
/// fn a_root_from_elsewhere_is_no_vendor_s(root: &[u8]) -> HardwareAnchors {
///     HardwareAnchors::new(root).unwrap()
/// }
/// ```
#[cfg(doctest)]
struct Separation;
