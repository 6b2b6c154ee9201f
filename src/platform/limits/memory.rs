//! How much memory the process may use.

use std::fs;

use bytesize::ByteSize;

use super::system::{control_groups, status_number};
use super::threads::free_address_space;

/// The budget for messages and replies is the memory that the process may use divided by this. The other half
/// is for connections ([`connections_in_memory`](super::connections)), for the kernel's buffers of their
/// sockets, which a control group counts too, and for what the allocator keeps.
const BUDGET_DIVISOR: u64 = 2;

/// As [`BUDGET_DIVISOR`], of the address space: a buffer that grows reserves up to twice what is in it.
const ADDRESS_SPACE_DIVISOR: u64 = 4;

/// Smallest default budget, in bytes.
const MIN_BUDGET: u64 = 16 << 20;

/// Returns the default of `--memory`, in bytes: half of the memory that the process may use, or a quarter of
/// its address space if that is less.
#[must_use]
pub fn default_memory() -> usize {
    let memory = usable_memory().unwrap_or(u64::MAX) / BUDGET_DIVISOR;
    let address_space = free_address_space().unwrap_or(u64::MAX) / ADDRESS_SPACE_DIVISOR;
    // A signed number, so that sums do not overflow.
    let budget = memory.min(address_space).clamp(MIN_BUDGET, i64::MAX as u64);
    usize::try_from(budget).unwrap_or(usize::MAX / 2)
}

/// Returns a sentence for the operator if a budget of `memory` bytes is more than the process may use.
#[must_use]
pub fn excess_memory(memory: usize) -> Option<String> {
    let usable = usable_memory().filter(|usable| memory as u64 > *usable)?;
    Some(format!(
        "{} for messages, of {} that the process may use: the kernel may end the server before --memory is \
         used up; use a smaller --memory",
        ByteSize(memory as u64),
        ByteSize(usable)
    ))
}

/// Returns the smaller of the machine's memory and the limit of the control group, in bytes.
pub(crate) fn usable_memory() -> Option<u64> {
    let total =
        fs::read_to_string("/proc/meminfo").ok().and_then(|text| status_number(&text, "MemTotal:"))?;
    Some((total << 10).min(cgroup_memory().unwrap_or(u64::MAX)))
}

/// Returns the smallest memory limit of the control group of the process and of its parents, in bytes.
fn cgroup_memory() -> Option<u64> {
    let files = ["memory.max", "memory.limit_in_bytes"];
    let limits = control_groups("memory").into_iter().flat_map(|group| {
        files.map(|file| fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok())
    });
    limits.flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_memory_is_a_share_of_this_system() {
        let total = usable_memory().unwrap();
        assert!((MIN_BUDGET..=MIN_BUDGET.max(total / 2)).contains(&(default_memory() as u64)));
    }
}
