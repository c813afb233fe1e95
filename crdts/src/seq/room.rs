//! How much room a growing list gets for what is still to come.
//!
//! A long list grows by a quarter, so that at most a fifth of its memory is idle,
//! where a `Vec` doubles. It never gives room back.

/// Up to how many items a list doubles.
const SHORT: usize = 64;

/// Adds an item at the end. O(1) over many.
#[inline]
pub(crate) fn push<T>(items: &mut Vec<T>, item: T) {
    let len = items.len();
    if len == items.capacity() && len >= SHORT {
        make(items);
    }
    items.push(item);
}

#[cold]
fn make<T>(items: &mut Vec<T>) {
    items.reserve_exact(items.len() / 4);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_has_a_quarter_of_its_length_idle_at_most_and_seldom_moves() {
        let mut items = Vec::new();
        let mut moved = 0;
        for item in 0..100_000_u32 {
            let room = items.capacity();
            push(&mut items, item);
            moved += usize::from(items.capacity() != room);
            let idle = items.capacity() - items.len();
            assert!(items.len() <= SHORT || idle <= items.len() / 4, "{idle} at {item}");
        }
        assert!(moved < 50, "moved {moved} times");
    }
}
