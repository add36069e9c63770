//! What the processor can do, in the steps that kernels are written for.

/// A set of instructions that kernels exist for, and that this processor has; later ones are faster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Whatever the target has.
    Portable,
    /// AVX2 with FMA and F16C: x86 servers before AVX-512, among them SEV-SNP on Milan.
    Avx2(Available),
    /// AVX-512 with VNNI: Genoa, Turin, Ice Lake and later; from Sapphire Rapids on with AMX.
    Avx512(Available),
}

/// The processor has what the level beside it needs, and the system saves its registers. Only
/// [`Level::all`] makes one: kernels rest on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Available {
    has_pairs: bool,
    has_tiles: bool,
}

impl Available {
    /// Whether products of BF16 pairs (`vdpbf16ps`) are there and worth it: on AMD's processors they are twice as fast as
    /// widening, on Intel's half, but there few rows, which memory bounds, should be rounded as those in tiles are.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn has_pairs(self) -> bool {
        self.has_pairs
    }

    /// Whether there are AMX's tiles.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn has_tiles(self) -> bool {
        self.has_tiles
    }
}

impl Level {
    /// The levels that this processor has, slowest first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let Found { avx2, avx512, pairs, tiles } = found();
        let plain = Available { has_pairs: false, has_tiles: false };
        let levels = [
            Some(Self::Portable),
            avx2.then_some(Self::Avx2(plain)),
            avx512.then_some(Self::Avx512(plain)),
            pairs.then_some(Self::Avx512(Available { has_pairs: true, ..plain })),
            tiles.then_some(Self::Avx512(Available { has_pairs: true, has_tiles: true })),
        ];
        levels.into_iter().flatten()
    }

    /// AMX in software, on a processor that has what else its kernels are compiled for, and not AMX itself.
    #[cfg(all(test, target_arch = "x86_64", target_os = "linux"))]
    pub(crate) fn emulated() -> Option<Self> {
        let Found { avx512, tiles, .. } = found();
        let is_useful = avx512 && !tiles && is_x86_feature_detected!("avx512bf16");
        is_useful.then(|| {
            super::amx::emulated::install();
            Self::Avx512(Available { has_pairs: true, has_tiles: true })
        })
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
            Self::Avx512(Available { has_tiles: true, .. }) => "avx512-amx",
            Self::Avx512(Available { has_pairs: true, .. }) => "avx512-bf16",
            Self::Avx512(_) => "avx512",
        }
    }
}

/// What the processor has of the steps.
#[derive(Default)]
struct Found {
    avx2: bool,
    avx512: bool,
    pairs: bool,
    tiles: bool,
}

#[cfg(target_arch = "x86_64")]
fn found() -> Found {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
    let avx512 = avx2
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vnni");
    let pairs = avx512 && is_x86_feature_detected!("avx512bf16");
    Found { avx2, avx512, pairs: pairs && is_amd(), tiles: pairs && super::amx::is_usable() }
}

#[cfg(not(target_arch = "x86_64"))]
fn found() -> Found {
    Found::default()
}

/// Whether the processor says that AMD made it.
#[cfg(target_arch = "x86_64")]
fn is_amd() -> bool {
    let words = std::arch::x86_64::__cpuid(0);
    [words.ebx, words.edx, words.ecx] == [*b"Auth", *b"enti", *b"cAMD"].map(u32::from_le_bytes)
}
