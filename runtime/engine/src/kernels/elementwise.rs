//! What happens to rows between products. Plain loops that the compiler makes vectors of, at the
//! level that is asked for.

#![expect(unsafe_code, reason = "calls of the same code compiled for the level that was found")]

use super::level::Level;

/// Defines a function whose body is compiled once for each level.
macro_rules! at_each_level {
    ($(#[$doc:meta])* fn $name:ident($($argument:ident: $type:ty),*) $body:block) => {
        $(#[$doc])*
        pub(crate) fn $name(level: Level, $($argument: $type),*) {
            #[inline(always)]
            fn plain($($argument: $type),*) $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($argument: $type),*) { plain($($argument),*); }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
            fn avx512($($argument: $type),*) { plain($($argument),*); }
            match level {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the level says that the processor has these instructions.
                Level::Avx2(_) => unsafe { avx2($($argument),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the level says that the processor has these instructions.
                Level::Avx512(_) => unsafe { avx512($($argument),*) },
                _ => plain($($argument),*),
            }
        }
    };
}
pub(super) use at_each_level;

at_each_level! {
    /// `sum += other`.
    fn add(sum: &mut [f32], other: &[f32]) {
        sum.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
    }
}

at_each_level! {
    /// A row divided by its root mean square, times the weights (Zhang and Sennrich, "Root mean
    /// square layer normalization", 2019).
    fn normalize(row: &mut [f32], weights: &[f32], epsilon: f32) {
        let mut sums = [0f32; 32];
        let (chunks, rest) = row.as_chunks::<32>();
        for chunk in chunks {
            sums.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += x * x);
        }
        let rest: f32 = rest.iter().map(|x| x * x).sum();
        let mean = (sums.iter().sum::<f32>() + rest) / row.len() as f32;
        let scale = 1.0 / (mean + epsilon).sqrt();
        row.iter_mut().zip(weights).for_each(|(x, weight)| *x *= scale * weight);
    }
}

at_each_level! {
    /// A row brought to mean 0 and variance 1, times the weights, plus the biases (Ba, Kiros and Hinton,
    /// "Layer normalization", 2016).
    fn layer_normalize(row: &mut [f32], weights: &[f32], biases: &[f32], epsilon: f32) {
        let count = row.len() as f32;
        let mean = sum_of(row, |x| x) / count;
        // The second pass is what keeps a small variance about a large mean right.
        let variance = sum_of(row, |x| (x - mean) * (x - mean)) / count;
        let scale = 1.0 / (variance + epsilon).sqrt();
        for (x, (weight, bias)) in row.iter_mut().zip(weights.iter().zip(biases)) {
            *x = (*x - mean) * scale * weight + bias;
        }
    }
}

at_each_level! {
    /// `x = gelu(x)`, with `gelu(x) = x/2 (1 + erf(x/√2))` itself rather than the approximation by tanh. The
    /// error function is Abramowitz and Stegun's 7.1.26, right to 1.5 × 10⁻⁷.
    fn gelu(row: &mut [f32]) {
        for x in row {
            let size = x.abs();
            let t = 1.0 / (1.0 + ERF_SLOPE * std::f32::consts::FRAC_1_SQRT_2 * size);
            let sum = ERF_TERMS[1..].iter().fold(ERF_TERMS[0], |sum, term| sum * t + term) * t;
            // The share of a normal distribution that lies beyond ±x on one side.
            let beyond = 0.5 * sum * exp(-0.5 * size * size);
            *x = x.max(0.0) - size * beyond;
        }
    }
}

at_each_level! {
    /// `gate = silu(gate) × up`, with `silu(x) = x / (1 + e⁻ˣ)`.
    fn silu_times(gate: &mut [f32], up: &[f32]) {
        for (gate, up) in gate.iter_mut().zip(up) {
            *gate = *gate / (1.0 + exp(-*gate)) * up;
        }
    }
}

at_each_level! {
    /// `gate = gelu(gate) × up`, in the approximation by tanh of Hendrycks and Gimpel ("Gaussian
    /// error linear units", 2016).
    fn gelu_times(gate: &mut [f32], up: &[f32]) {
        const ROOT: f32 = 0.797_884_6;
        for (gate, up) in gate.iter_mut().zip(up) {
            let x = *gate;
            let inner = ROOT * (x + 0.044_715 * x * x * x);
            // x/2 (1 + tanh(y)) is x / (1 + e^-2y).
            *gate = x / (1.0 + exp(-2.0 * inner)) * up;
        }
    }
}

at_each_level! {
    /// Rotates each head of a row: coordinate `i` with `i + half`, by the angles' cosines and
    /// sines. What lies beyond twice their number is left.
    fn rotate_halves(row: &mut [f32], width: usize, cos: &[f32], sin: &[f32]) {
        let half = cos.len();
        for head in row.chunks_exact_mut(width) {
            let (first, second) = head.split_at_mut(half);
            for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(cos.iter().zip(sin)) {
                (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
            }
        }
    }
}

at_each_level! {
    /// The same with coordinate `2i` and `2i + 1`.
    fn rotate_pairs(row: &mut [f32], width: usize, cos: &[f32], sin: &[f32]) {
        for head in row.chunks_exact_mut(width) {
            for ([a, b], (cos, sin)) in head.as_chunks_mut::<2>().0.iter_mut().zip(cos.iter().zip(sin)) {
                (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
            }
        }
    }
}

/// The sum of what `of` makes of each number, in as many lanes as the widest registers have.
#[inline(always)]
fn sum_of(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0f32; 32];
    let (chunks, rest) = row.as_chunks::<32>();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += of(*x));
    }
    fold(sums, |a, b| a + b) + rest.iter().map(|x| of(*x)).sum::<f32>()
}

/// What becomes of 32 numbers when halves of them are put together until one is left: one after the other they
/// would wait for each other.
#[inline(always)]
pub(super) fn fold(mut numbers: [f32; 32], of: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = numbers.len() / 2;
    while half > 0 {
        let (first, second) = numbers.split_at_mut(half);
        first.iter_mut().zip(second).for_each(|(a, b)| *a = of(*a, *b));
        half /= 2;
    }
    numbers[0]
}

/// The slope and the terms of 7.1.26, the highest power first.
const ERF_SLOPE: f32 = 0.327_591_1;
const ERF_TERMS: [f32; 5] = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];

/// The upper and lower part of the logarithm of 2: multiples of the upper one are exact.
pub(super) const LN_2_HIGH: f32 = 0.693_359_4;
pub(super) const LN_2_LOW: f32 = -2.121_944_4e-4;
/// The first terms of e^x, the highest power first: in ±ln 2 / 2 what is left out is 1.2 × 10⁻⁷.
pub(super) const EXP_TERMS: [f32; 7] = [1.388_888_9e-3, 8.333_334e-3, 4.166_666_8e-2, 1.666_666_7e-1, 0.5, 1.0, 1.0];

/// e to the power of `x`, to within a few units in the last place; 0 far below, large far above.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Adding and taking away 1.5 × 2²³ rounds to the nearest integer on every target.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let rest = x - n * LN_2_HIGH - n * LN_2_LOW;
    let sum = EXP_TERMS[1..].iter().fold(EXP_TERMS[0], |sum, term| sum * rest + term);
    // The lowest bits of `rounded` are those of n: shifted to where exponents are, with 127 added, they are 2ⁿ.
    sum * f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_right_to_a_millionth() {
        for step in -8700..=8800 {
            let x = step as f32 / 100.0;
            let (found, wanted) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((found / wanted - 1.0).abs() < 1e-6, "{x}: {found}, wanted {wanted}");
        }
        assert!(exp(-1000.0) < 2e-38 && exp(f32::NEG_INFINITY) < 2e-38);
    }

    #[test]
    fn gates_are_what_their_definitions_say() {
        let numbers: Vec<f32> = (-300..300).map(|step| step as f32 / 30.0).collect();
        let up = vec![2.0; numbers.len()];
        for level in Level::all() {
            let (mut silu, mut gelu) = (numbers.clone(), numbers.clone());
            silu_times(level, &mut silu, &up);
            gelu_times(level, &mut gelu, &up);
            for ((x, silu), gelu) in numbers.iter().map(|&x| f64::from(x)).zip(silu).zip(gelu) {
                let wanted = 2.0 * x / (1.0 + (-x).exp());
                assert!((f64::from(silu) - wanted).abs() < 1e-5, "silu {x}");
                let tanh = ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh();
                assert!((f64::from(gelu) - x * (1.0 + tanh)).abs() < 1e-5, "gelu {x}");
            }
        }
    }

    /// The error function by its series (7.1.6), in double precision.
    fn erf(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= 2.0 * x * x / f64::from(2 * n + 1);
            sum += term;
        }
        2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
    }

    #[test]
    fn gelu_is_right_to_a_millionth() {
        let numbers: Vec<f32> = (-6000..=6000).map(|step| step as f32 / 1000.0).collect();
        for level in Level::all() {
            let mut found = numbers.clone();
            gelu(level, &mut found);
            for (x, found) in numbers.iter().map(|&x| f64::from(x)).zip(found) {
                let wanted = x / 2.0 * (1.0 + erf(x / std::f64::consts::SQRT_2));
                assert!((f64::from(found) - wanted).abs() < 1e-6, "{x}: {found}, wanted {wanted}");
            }
            let mut far = [-1e30, -100.0, 100.0, 1e30];
            gelu(level, &mut far);
            assert!(far[..2].iter().all(|x| x.abs() < 1e-30) && far[2..] == [100.0, 1e30], "{far:?}");
        }
    }

    #[test]
    fn a_normalised_row_has_the_mean_and_variance_that_it_should() {
        // A mean that is large beside the deviation, and a length that is no multiple of the lanes.
        let row: Vec<f32> = (0..77).map(|index| 1000.0 + (index * 37 % 77) as f32 / 10.0).collect();
        let (weights, biases) = (vec![2.0; row.len()], vec![-1.0; row.len()]);
        let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / row.len() as f64;
        let variance = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / row.len() as f64;
        for level in Level::all() {
            let mut found = row.clone();
            layer_normalize(level, &mut found, &weights, &biases, 1e-12);
            for (x, found) in row.iter().zip(found) {
                let wanted = 2.0 * (f64::from(*x) - mean) / variance.sqrt() - 1.0;
                assert!((f64::from(found) - wanted).abs() < 2e-4, "{x}: {found}, wanted {wanted}");
            }
        }
    }

    #[test]
    fn a_rotation_keeps_lengths_and_leaves_the_rest() {
        let row: Vec<f32> = (0..20).map(|index| index as f32).collect();
        let angles = [0.3f32, 1.0, 2.0, 4.0];
        let (cos, sin) = (angles.map(f32::cos), angles.map(f32::sin));
        for level in Level::all() {
            let mut halves = row.clone();
            rotate_halves(level, &mut halves, 10, &cos, &sin);
            let mut pairs = row.clone();
            rotate_pairs(level, &mut pairs, 10, &cos, &sin);
            for head in 0..2 {
                let at = head * 10;
                assert_eq!((halves[at + 8], pairs[at + 9]), (row[at + 8], row[at + 9]));
                for i in 0..4 {
                    let (a, b) = (row[at + i], row[at + i + 4]);
                    assert!((halves[at + i] - (a * cos[i] - b * sin[i])).abs() < 1e-4);
                    let (a, b) = (row[at + 2 * i], row[at + 2 * i + 1]);
                    assert!((pairs[at + 2 * i + 1] - (b * cos[i] + a * sin[i])).abs() < 1e-4);
                }
            }
        }
    }
}
