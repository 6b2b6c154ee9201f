//! Colours of a terminal.

/// A colour of a whole row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    /// Good.
    Green,
    /// To be noted.
    Yellow,
    /// Bad.
    Red,
}

/// Returns `text` in `colour` if it goes to a terminal, and unchanged if not.
pub(super) fn paint(text: &str, colour: Colour, is_terminal: bool) -> String {
    let number = match colour {
        Colour::Green => 32,
        Colour::Yellow => 33,
        Colour::Red => 31,
    };
    if is_terminal { format!("\x1b[{number}m{text}\x1b[0m") } else { text.to_owned() }
}
