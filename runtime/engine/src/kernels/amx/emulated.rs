//! AMX in software, for tests on processors without it: these refuse its instructions, the system tells the process, and
//! what the instruction should have done is done here, after Intel's manual (SDM volume 2). What runs
//! is the very assembly that processors with AMX execute.

use std::cell::RefCell;
use std::sync::Once;

use super::{HEIGHT, LINE};

/// As the kernel saves them, by the numbers of `libc::REG_RIP` and its like.
type Registers = [libc::greg_t; 23];

/// One thread's tiles.
struct Tiles {
    /// Lines and bytes a line of each; none before `ldtilecfg`, nor after `tilerelease`.
    shapes: [(usize, usize); 8],
    data: [[[u8; LINE]; HEIGHT]; 8],
}

const RELEASED: Tiles = Tiles { shapes: [(0, 0); 8], data: [[[0; LINE]; HEIGHT]; 8] };

thread_local! {
    static TILES: RefCell<Tiles> = const { RefCell::new(RELEASED) };
}

/// Has unknown instructions of this process done here, from now on.
pub(in super::super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the action is whole: zeros are no flags and an empty mask. The handler touches the memory that the
        // instruction names, and this thread's tiles.
        let failed = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_unknown as *const () as usize;
            // On the thread's own stack: the one that Rust keeps for handlers has not much more room than tiles take.
            action.sa_flags = libc::SA_SIGINFO;
            libc::sigaction(libc::SIGILL, &raw const action, std::ptr::null_mut())
        };
        assert_eq!(failed, 0, "the system gives no signals");
    });
}

extern "C" fn on_unknown(signal: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid context for as long as the handler runs, and the instruction pointer is
    // at the instruction that was refused.
    let done = unsafe {
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let done = execute(registers);
        registers[libc::REG_RIP as usize] += done.unwrap_or(0) as i64;
        done
    };
    if done.is_none() {
        // Something else: the process ends as it would have without this handler.
        // SAFETY: the default action is always valid.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Does the instruction; its length, or nothing where it is another or not valid.
///
/// # Safety
/// The instruction pointer is at code, and what the instruction reads or writes may be.
unsafe fn execute(registers: &Registers) -> Option<usize> {
    let code = registers[libc::REG_RIP as usize] as *const u8;
    // SAFETY: an instruction has at most as many bytes as are looked at, one after the other.
    let byte = |at: usize| unsafe { code.add(at).read() };
    // Three bytes of VEX, the map 0F38, 128 bits.
    if byte(0) != 0xc4 || byte(1) & 0x1f != 2 || byte(2) & 0x84 != 0 {
        return None;
    }
    let (extended, prefix, opcode, operands) = (!byte(1) >> 5, byte(2) & 3, byte(3), byte(4));
    let [mode, register, other] = [operands >> 6, operands >> 3 & 7, operands & 7].map(usize::from);
    let address = Address { registers, code, extended, pitched: other == 4 };
    TILES.with_borrow_mut(|tiles| {
        match (opcode, prefix, mode) {
            (0x49, 0, 3) if other == 0 => {
                *tiles = RELEASED;
                Some(5)
            }
            (0x49, 0, 0..=2) => {
                let (at, _, length) = address.read(mode, other);
                // SAFETY: the caller's memory, 64 bytes of it.
                tiles.configure(unsafe { (at as *const [u8; LINE]).read_unaligned() })?;
                Some(length)
            }
            // Loads want an index register: its value is the pitch.
            (0x4b, 3, 0..=2) if address.pitched => {
                let (at, pitch, length) = address.read(mode, other);
                let (lines, bytes) = tiles.shape(register)?;
                tiles.data[register] = [[0; LINE]; HEIGHT];
                for (line, target) in tiles.data[register].iter_mut().enumerate().take(lines) {
                    // SAFETY: the caller's memory.
                    let source = unsafe { std::slice::from_raw_parts((at + line * pitch) as *const u8, bytes) };
                    target[..bytes].copy_from_slice(source);
                }
                Some(length)
            }
            (0x4b, 2, 0..=2) if address.pitched => {
                let (at, pitch, length) = address.read(mode, other);
                let (lines, bytes) = tiles.shape(register)?;
                for (line, source) in tiles.data[register].iter().enumerate().take(lines) {
                    // SAFETY: the caller's memory.
                    unsafe {
                        std::slice::from_raw_parts_mut((at + line * pitch) as *mut u8, bytes)
                            .copy_from_slice(&source[..bytes]);
                    }
                }
                Some(length)
            }
            (0x49, 3, 3) if other == 0 => {
                tiles.shape(register)?;
                tiles.data[register] = [[0; LINE]; HEIGHT];
                Some(5)
            }
            (0x5c, 2, 3) => {
                tiles.multiply(register, other, usize::from(!byte(2) >> 3 & 7), add_bf16)?;
                Some(5)
            }
            (0x5e, 2, 3) => {
                tiles.multiply(register, other, usize::from(!byte(2) >> 3 & 7), add_bytes)?;
                Some(5)
            }
            _ => None,
        }
    })
}

/// Where an instruction's operand in memory is.
struct Address<'a> {
    registers: &'a Registers,
    code: *const u8,
    /// The fourth bits of base and index (bits 0 and 1).
    extended: u8,
    pitched: bool,
}

impl Address<'_> {
    /// The address without the index, the index times its scale, and the instruction's length.
    fn read(&self, mode: usize, other: usize) -> (usize, usize, usize) {
        // SAFETY: the instruction goes on.
        let byte = |at: usize| unsafe { self.code.add(at).read() };
        let (base, pitch, at) = if self.pitched {
            let sib = byte(5);
            let index = usize::from(sib >> 3 & 7 | (self.extended >> 1 & 1) << 3);
            // The number of the stack pointer means that there is no index.
            let pitch = if index == 4 { 0 } else { self.register(index) << (sib >> 6) };
            (usize::from(sib & 7), pitch, 6)
        } else {
            (other, 0, 5)
        };
        let base = self.register(base | usize::from(self.extended & 1) << 3);
        match mode {
            1 => (base.wrapping_add_signed(isize::from(byte(at).cast_signed())), pitch, at + 1),
            2 => {
                let distance = i32::from_le_bytes(std::array::from_fn(|place| byte(at + place)));
                (base.wrapping_add_signed(distance as isize), pitch, at + 4)
            }
            _ => (base, pitch, at),
        }
    }

    fn register(&self, number: usize) -> usize {
        use libc::{
            REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RAX, REG_RBP, REG_RBX, REG_RCX,
            REG_RDI, REG_RDX, REG_RSI, REG_RSP,
        };
        let places = [
            REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11,
            REG_R12, REG_R13, REG_R14, REG_R15,
        ];
        self.registers[places[number] as usize] as usize
    }
}

impl Tiles {
    /// `ldtilecfg` refuses what is not valid.
    fn configure(&mut self, bytes: [u8; LINE]) -> Option<()> {
        let sizes = bytes[16..48].as_chunks::<2>().0.iter().map(|size| usize::from(u16::from_le_bytes(*size)));
        let shapes = bytes[48..].iter().map(|&lines| usize::from(lines)).zip(sizes);
        let (used, unused) = (shapes.clone().take(8), shapes.skip(8));
        let is_valid = bytes[0] == 1
            && bytes[1..16].iter().all(|&byte| byte == 0)
            && used.clone().all(|(lines, size)| lines <= HEIGHT && size <= LINE && size % 4 == 0)
            && unused.clone().all(|shape| shape == (0, 0));
        *self = RELEASED;
        self.shapes.iter_mut().zip(used).for_each(|(shape, used)| *shape = used);
        is_valid.then_some(())
    }

    /// A tile that was configured.
    fn shape(&self, tile: usize) -> Option<(usize, usize)> {
        Some(self.shapes[tile]).filter(|&(lines, bytes)| lines > 0 && bytes > 0)
    }

    /// What all products have in common: lines of rows by lines of weights.
    fn multiply(&mut self, target: usize, rows: usize, weights: usize, add: Add) -> Option<()> {
        let (of_target, of_rows, of_weights) = (self.shape(target)?, self.shape(rows)?, self.shape(weights)?);
        let fit = of_target.0 == of_rows.0 && of_rows.1 == 4 * of_weights.0 && of_weights.1 == of_target.1;
        let apart = target != rows && target != weights && rows != weights;
        if !fit || !apart {
            return None;
        }
        let weights = self.data[weights];
        for line in 0..of_target.0 {
            let row = self.data[rows][line];
            add(&mut self.data[target][line], &row, &weights[..of_weights.0]);
        }
        Some(())
    }
}

/// Adds the product of a line with as many lines of weights as it has fours of bytes.
type Add = fn(&mut [u8; LINE], &[u8; LINE], &[[u8; LINE]]);

/// `tdpbf16ps`: even and odd columns are summed apart, and both sums are added to what was there.
fn add_bf16(target: &mut [u8; LINE], row: &[u8; LINE], weights: &[[u8; LINE]]) {
    let number = |bytes: [u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16);
    let mut sums = [[0f32; 2]; 16];
    for (x, weights) in row.as_chunks::<4>().0.iter().zip(weights) {
        let x = [number([x[0], x[1]]), number([x[2], x[3]])];
        for (sums, weight) in sums.iter_mut().zip(weights.as_chunks::<4>().0) {
            sums[0] = number([weight[0], weight[1]]).mul_add(x[0], sums[0]);
            sums[1] = number([weight[2], weight[3]]).mul_add(x[1], sums[1]);
        }
    }
    for (total, [even, odd]) in target.as_chunks_mut::<4>().0.iter_mut().zip(sums) {
        *total = (f32::from_le_bytes(*total) + (even + odd)).to_le_bytes();
    }
}

/// `tdpbsud`: signed bytes of the row, unsigned ones of the weights.
fn add_bytes(target: &mut [u8; LINE], row: &[u8; LINE], weights: &[[u8; LINE]]) {
    for (x, weights) in row.as_chunks::<4>().0.iter().zip(weights) {
        for (total, weight) in target.as_chunks_mut::<4>().0.iter_mut().zip(weights.as_chunks::<4>().0) {
            let product: i32 = x.iter().zip(weight).map(|(x, w)| i32::from(x.cast_signed()) * i32::from(*w)).sum();
            *total = i32::from_le_bytes(*total).wrapping_add(product).to_le_bytes();
        }
    }
}
