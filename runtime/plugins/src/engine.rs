//! The Wasm engine: one configuration for all plugins, and the wire types of the
//! interface.

use wasmtime::component::{ComponentType, Lift, Lower};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::host::MAX_CONCURRENT_CALLS;
use crate::limits::{Limits, MAX_CORE_INSTANCES, MAX_TABLE_ELEMENTS, MAX_TABLES};

/// The export that holds `on-request`.
pub(crate) const REQUEST_HOOK: &str = "strongroom:plugin/request-hook@0.1.0";
/// The export that holds `on-response`.
pub(crate) const RESPONSE_HOOK: &str = "strongroom:plugin/response-hook@0.1.0";

/// The call stack of a filter, in bytes: deep enough for recursive parsers, a small part
/// of a thread's 2 MiB.
const STACK_BYTES: usize = 512 << 10;
/// Inaccessible bytes after each memory, which turn small overruns into traps.
const GUARD_BYTES: u64 = 64 << 10;

/// `record message` of the interface.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct WireMessage {
    pub(crate) role: String,
    pub(crate) content: String,
}

/// `record chat-request` of the interface.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct WireRequest {
    pub(crate) model: String,
    pub(crate) messages: Vec<WireMessage>,
}

/// An engine that compiles ahead, meters work, and keeps a pool of places for instances:
/// a pooled place costs a few microseconds, and its pages go back to the system, which
/// zeroes them, after each call.
pub(crate) fn new(limits: &Limits) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config.consume_fuel(true);
    config.max_wasm_stack(STACK_BYTES);

    // The same input always gives the same output, on every machine.
    config.cranelift_nan_canonicalization(true);
    config.wasm_relaxed_simd(false);

    // What no filter needs.
    config.wasm_memory64(false);
    config.wasm_multi_memory(false);
    config.wasm_backtrace_max_frames(None);

    // Memory is reserved at its limit, not at 4 GiB: bounds are checked by code, and a
    // hundred places do not weigh on limits of address space or of locked memory.
    config.memory_reservation(limits.memory_bytes as u64);
    config.memory_guard_size(GUARD_BYTES);
    config.memory_may_move(false);

    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(MAX_CONCURRENT_CALLS);
    pool.total_core_instances(MAX_CONCURRENT_CALLS * MAX_CORE_INSTANCES);
    pool.total_memories(MAX_CONCURRENT_CALLS);
    pool.total_tables(MAX_CONCURRENT_CALLS * MAX_TABLES);
    pool.max_core_instances_per_component(MAX_CORE_INSTANCES);
    pool.max_memories_per_component(1);
    pool.max_tables_per_component(MAX_TABLES);
    pool.max_tables_per_module(MAX_TABLES);
    pool.max_memories_per_module(1);
    pool.max_memory_size(limits.memory_bytes);
    pool.table_elements(MAX_TABLE_ELEMENTS);
    // Tables hold function addresses, nothing of a request: clearing them in place saves a
    // system call. Memories always go back to the system.
    pool.table_keep_resident(MAX_TABLE_ELEMENTS * size_of::<usize>());
    pool.linear_memory_keep_resident(0);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));

    Engine::new(&config)
}
