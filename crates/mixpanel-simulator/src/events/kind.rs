//! The kinds of generated events.

/// A kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    SignUp,
    AppOpen,
    Search,
    ViewItem,
    AddToCart,
    BeginCheckout,
    Purchase,
    Identify,
    SizeChanged,
}

/// The name of each kind, in the order of [`Kind`].
pub(crate) const NAMES: [&str; 9] = [
    "Sign Up",
    "App Open",
    "Search",
    "View Item",
    "Add to Cart",
    "Begin Checkout",
    "Purchase",
    "$identify",
    "Größe geändert",
];

/// How a line of each kind begins, up to the value of `time`.
const STARTS: [&str; 9] = [
    "{\"event\":\"Sign Up\",\"properties\":{\"time\":",
    "{\"event\":\"App Open\",\"properties\":{\"time\":",
    "{\"event\":\"Search\",\"properties\":{\"time\":",
    "{\"event\":\"View Item\",\"properties\":{\"time\":",
    "{\"event\":\"Add to Cart\",\"properties\":{\"time\":",
    "{\"event\":\"Begin Checkout\",\"properties\":{\"time\":",
    "{\"event\":\"Purchase\",\"properties\":{\"time\":",
    "{\"event\":\"$identify\",\"properties\":{\"time\":",
    "{\"event\":\"Größe geändert\",\"properties\":{\"time\":",
];

impl Kind {
    pub(super) fn start(self) -> &'static str {
        STARTS[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_begin_with_the_name_of_their_kind() {
        for (name, start) in NAMES.iter().zip(STARTS) {
            assert_eq!(start, format!("{{\"event\":\"{name}\",\"properties\":{{\"time\":"));
        }
    }
}
