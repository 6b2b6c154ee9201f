//! Placeholders in messages and header fields: `--template`.

use ws_echo::platform::random::splitmix64;

/// What replaces the placeholders.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TemplateValues<'a> {
    /// `{conn}`: the number of the connection, from 0 on.
    pub(crate) connection: u32,
    /// `{seq}`: the number of the message on its connection, or of the opening, from 0 on.
    pub(crate) sequence: u64,
    /// `{token}`: the line of the connection in `--token-file`.
    pub(crate) token: &'a str,
    /// What `{uuid}` is computed from, besides connection and sequence number.
    pub(crate) nonce: u64,
}

/// Text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Placeholder(Placeholder),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placeholder {
    Connection,
    Sequence,
    Uuid,
    Token,
}

/// The placeholders, and the length of the longest value, in bytes. That of a token is not bounded here.
const PLACEHOLDERS: [(&[u8], Placeholder, usize); 4] = [
    (b"{conn}", Placeholder::Connection, 10),
    (b"{seq}", Placeholder::Sequence, 20),
    (b"{uuid}", Placeholder::Uuid, 36),
    (b"{token}", Placeholder::Token, 0),
];

impl Template {
    /// Takes all of `text` as it is.
    pub(crate) fn literal(text: impl Into<Vec<u8>>) -> Self {
        Self(vec![Piece::Literal(text.into())])
    }

    /// Finds the placeholders in `text`. Any other braces stay as they are.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let (mut pieces, mut literal, mut rest) = (Vec::new(), Vec::new(), text);
        while let Some((&byte, behind)) = rest.split_first() {
            let found = PLACEHOLDERS.iter().find(|(name, ..)| rest.starts_with(name));
            if let Some((name, placeholder, _)) = found {
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Placeholder(*placeholder));
                rest = &rest[name.len()..];
            } else {
                literal.push(byte);
                rest = behind;
            }
        }
        if !literal.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Self(pieces)
    }

    /// Returns the text, if it has no placeholders.
    pub(crate) fn as_literal(&self) -> Option<&[u8]> {
        match &self.0[..] {
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Returns whether it contains `{token}`.
    pub(crate) fn has_token(&self) -> bool {
        self.0.contains(&Piece::Placeholder(Placeholder::Token))
    }

    /// Returns the length of the longest text, in bytes, with tokens of at most `token` bytes.
    pub(crate) fn max_len(&self, token: usize) -> usize {
        let longest = |wanted: Placeholder| {
            let value = PLACEHOLDERS.iter().find(|(_, placeholder, _)| *placeholder == wanted);
            value.map_or(0, |(.., length)| *length).max(if wanted == Placeholder::Token { token } else { 0 })
        };
        let length = |piece: &Piece| match piece {
            Piece::Literal(text) => text.len(),
            Piece::Placeholder(placeholder) => longest(*placeholder),
        };
        self.0.iter().map(length).sum()
    }

    /// Returns the text with `values`.
    pub(crate) fn expand(&self, values: TemplateValues<'_>) -> Vec<u8> {
        let mut text = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => text.extend_from_slice(literal),
                Piece::Placeholder(Placeholder::Connection) => {
                    text.extend_from_slice(values.connection.to_string().as_bytes());
                }
                Piece::Placeholder(Placeholder::Sequence) => {
                    text.extend_from_slice(values.sequence.to_string().as_bytes());
                }
                Piece::Placeholder(Placeholder::Uuid) => text.extend_from_slice(uuid(values).as_bytes()),
                Piece::Placeholder(Placeholder::Token) => text.extend_from_slice(values.token.as_bytes()),
            }
        }
        text
    }
}

/// Returns a UUID of version 4 (RFC 9562, section 5.4), the same each time for the same values.
fn uuid(values: TemplateValues<'_>) -> String {
    let high = splitmix64(values.nonce ^ splitmix64(values.sequence ^ (u64::from(values.connection) << 40)));
    let low = splitmix64(high ^ values.nonce.rotate_left(32));
    let version = (high & !0xf000) | 0x4000;
    let variant = (low & !(0b11 << 62)) | (0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        version >> 32,
        (version >> 16) & 0xffff,
        version & 0xffff,
        variant >> 48,
        variant & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str, connection: u32, sequence: u64) -> String {
        let values = TemplateValues { connection, sequence, token: "t0ken", nonce: 9 };
        let template = Template::parse(text.as_bytes());
        let expanded = String::from_utf8(template.expand(values)).expect("UTF-8");
        assert!(expanded.len() <= template.max_len(5), "{text}: {expanded}");
        expanded
    }

    #[test]
    fn template_replaces_placeholders_and_nothing_else() {
        assert_eq!(expand("{\"c\":{conn},\"s\":{seq}}", 3, 17), "{\"c\":3,\"s\":17}");
        assert_eq!(expand("{token}{token}", 0, 0), "t0kent0ken");
        for text in ["", "{}", "{ conn }", "{connection}", "{{", "a{con", "ü{"] {
            assert_eq!(expand(text, 1, 2), text);
            assert_eq!(Template::parse(text.as_bytes()).as_literal(), Some(text.as_bytes()));
        }
        assert_eq!(expand("{{conn}}", 1, 2), "{1}");
        assert_eq!(expand("{conn} {seq}", u32::MAX, u64::MAX).len(), 31);
    }

    #[test]
    fn template_uuids_are_of_version_4_and_differ() {
        let mut seen = std::collections::BTreeSet::new();
        for connection in 0..50 {
            for sequence in 0..50 {
                let uuid = expand("{uuid}", connection, sequence);
                assert_eq!((uuid.len(), &uuid[14..15]), (36, "4"), "{uuid}");
                assert!("89ab".contains(&uuid[19..20]), "{uuid}");
                assert_eq!(uuid, expand("{uuid}", connection, sequence));
                assert!(seen.insert(uuid));
            }
        }
    }
}
