//! What the processor can do, in the steps that kernels are written for.

/// A set of instructions that kernels exist for, and that this processor has; later ones are faster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Whatever the target has.
    Portable,
    /// AVX2 with FMA and F16C: x86 servers before AVX-512, among them SEV-SNP on Milan.
    Avx2(Available),
    /// AVX-512 with VNNI: Genoa, Turin, Ice Lake and later.
    Avx512(Available),
}

/// The processor has what the level beside it needs, and the system saves its registers. Only
/// [`Level::all`] makes one: kernels rest on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Available(());

impl Level {
    /// The levels that this processor has, slowest first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let (avx2, avx512) = found();
        let avx2 = avx2.then_some(Self::Avx2(Available(())));
        let avx512 = avx512.then_some(Self::Avx512(Available(())));
        [Some(Self::Portable), avx2, avx512].into_iter().flatten()
    }

    /// The fastest of them.
    pub(crate) fn best() -> Self {
        Self::all().last().unwrap_or(Self::Portable)
    }

    /// The name that options and reports use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2(_) => "avx2",
            Self::Avx512(_) => "avx512",
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn found() -> (bool, bool) {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
    let avx512 = avx2
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vnni");
    (avx2, avx512)
}

#[cfg(not(target_arch = "x86_64"))]
fn found() -> (bool, bool) {
    (false, false)
}
