//! How much room a growing list or text gets for what is still to come.
//!
//! A long one grows by a quarter, so that at most a fifth of its memory is idle,
//! where a `Vec` doubles. It never gives room back.

/// Up to how many items, or bytes of text, it doubles.
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

/// Prepares a text for so many more bytes, if it is long.
#[inline]
pub(crate) fn for_text(text: &mut String, more: usize) {
    let len = text.len();
    if more > text.capacity() - len && len >= SHORT {
        make_for_text(text, more);
    }
}

#[cold]
fn make_for_text(text: &mut String, more: usize) {
    text.reserve_exact(more.max(text.len() / 4));
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
            assert!(text.len() <= SHORT || idle <= text.len() / 4, "{idle} at {letter}");
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
