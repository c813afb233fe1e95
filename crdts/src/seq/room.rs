//! How much room a growing list or text gets for what is still to come.
//!
//! A long one grows by a quarter, so that at most a fifth of its memory is idle,
//! where a `Vec` doubles. It never gives room back.

/// Up to how many items a list doubles, and how many bytes a text has at least.
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

/// Sees to it that a text has room for so many more bytes.
#[inline]
pub(crate) fn for_text(text: &mut String, more: usize) {
    if more > text.capacity() - text.len() {
        make_for_text(text, more);
    }
}

#[cold]
fn make_for_text(text: &mut String, more: usize) {
    text.reserve_exact(more.max(text.len() / 4).max(SHORT));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_has_a_quarter_of_its_length_idle_at_most_and_seldom_moves() {
        let mut text = String::new();
        let mut moved = 0;
        for letter in 0..100_000 {
            let room = text.capacity();
            for_text(&mut text, 1);
            text.push('a');
            moved += usize::from(text.capacity() != room);
            let idle = text.capacity() - text.len();
            assert!(idle <= SHORT.max(text.len() / 4), "{idle} at {letter}");
        }
        assert!(moved < 50, "moved {moved} times");
    }

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
