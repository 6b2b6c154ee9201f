//! Parses the `Sec-WebSocket-Extensions` field (RFC 6455, section 9.1).
//!
//! ```text
//! extension-list  = 1#extension
//! extension       = extension-token *( ";" extension-param )
//! extension-param = token [ "=" (token | quoted-string) ]
//! ```

use std::borrow::Cow;
use std::{error, fmt};

use super::token::is_token_byte;

/// The field does not match the grammar. The server must fail the connection (RFC 6455, section 9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedHeader;

impl fmt::Display for MalformedHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed Sec-WebSocket-Extensions header")
    }
}

impl error::Error for MalformedHeader {}

/// An offered extension and its parameters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Offer<'a> {
    pub(super) name: &'a str,
    pub(super) parameters: Vec<OfferParameter<'a>>,
}

/// A parameter and its value without quotes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OfferParameter<'a> {
    pub(super) name: &'a str,
    pub(super) value: Option<Cow<'a, str>>,
}

/// Parses the offers of one field line, in order. Several lines mean the same as one line joined with commas.
///
/// # Errors
///
/// The line does not match the grammar.
pub(super) fn parse(line: &[u8]) -> Result<Vec<Offer<'_>>, MalformedHeader> {
    let mut parser = Parser { rest: str::from_utf8(line).map_err(|_| MalformedHeader)? };
    let mut offers = Vec::new();
    loop {
        // A recipient ignores empty list elements (RFC 9110, section 5.6.1.2).
        while parser.skip(',') {}
        if parser.rest.is_empty() {
            return Ok(offers);
        }
        offers.push(parser.offer()?);
        if !parser.rest.is_empty() && !parser.rest.starts_with(',') {
            return Err(MalformedHeader);
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn offer(&mut self) -> Result<Offer<'a>, MalformedHeader> {
        let name = self.token()?;
        let mut parameters = Vec::new();
        while self.skip(';') {
            let name = self.token()?;
            let value = if self.skip('=') { Some(self.value()?) } else { None };
            parameters.push(OfferParameter { name, value });
        }
        Ok(Offer { name, parameters })
    }

    /// Parses a token, or a quoted string whose unescaped content is a token.
    fn value(&mut self) -> Result<Cow<'a, str>, MalformedHeader> {
        if !self.rest.starts_with('"') {
            return self.token().map(Cow::Borrowed);
        }
        let mut value = String::new();
        let mut characters = self.rest[1..].char_indices();
        while let Some((index, character)) = characters.next() {
            match character {
                '"' if value.is_empty() => break,
                '"' => {
                    self.rest = self.rest[index + 2..].trim_start_matches(is_blank);
                    return Ok(Cow::Owned(value));
                }
                '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                other => value.push(other),
            }
            if !value.ends_with(is_token_char) {
                break;
            }
        }
        Err(MalformedHeader)
    }

    fn token(&mut self) -> Result<&'a str, MalformedHeader> {
        let end = self.rest.find(|c| !is_token_char(c)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start_matches(is_blank);
        if token.is_empty() { Err(MalformedHeader) } else { Ok(token) }
    }

    /// Skips a separator and the blanks around it. Returns whether the separator came next.
    fn skip(&mut self, separator: char) -> bool {
        self.rest = self.rest.trim_start_matches(is_blank);
        let Some(rest) = self.rest.strip_prefix(separator) else { return false };
        self.rest = rest.trim_start_matches(is_blank);
        true
    }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

fn is_token_char(character: char) -> bool {
    u8::try_from(character).is_ok_and(is_token_byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses a line and formats the result.
    fn reformat(line: &str) -> Result<String, MalformedHeader> {
        let mut text = String::new();
        for offer in parse(line.as_bytes())? {
            text += offer.name;
            for parameter in offer.parameters {
                text.extend([";", parameter.name]);
                if let Some(value) = parameter.value {
                    text.extend(["=", &value]);
                }
            }
            text += ",";
        }
        Ok(text)
    }

    #[test]
    fn offer_lists_parameters_and_quotes_are_parsed() {
        for (line, expected) in [
            ("", ""),
            ("permessage-deflate", "permessage-deflate,"),
            ("  a ; b = 1\t;c , d;e  ", "a;b=1;c,d;e,"),
            (",a,,b, ", "a,b,"),
            (r#"a; b="10"; c , d"#, "a;b=10;c,d,"),
            (r#"a; b="\1\0""#, "a;b=10,"),
        ] {
            assert_eq!(reformat(line).as_deref(), Ok(expected), "{line}");
        }
    }

    #[test]
    fn offer_outside_the_grammar_is_malformed() {
        for line in [
            "a b",
            "a;",
            "a;;b",
            "a; =1",
            "a; b=",
            "a; b=,",
            "a; b=\"",
            "a; b=\"\"",
            "a; b=\"1 2\"",
            "a; b=\"1",
            "a; b=\"1\"x",
            "a/b",
            ";a",
            "=",
            "a; b=\"\\",
            "a; b=\"é\"",
            "é",
        ] {
            assert_eq!(reformat(line), Err(MalformedHeader), "{line}");
        }
        assert_eq!(parse(b"a; b=\"\xff\""), Err(MalformedHeader));
    }
}
