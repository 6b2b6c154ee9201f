//! The header fields of a request. They take two allocations, because each session keeps its fields.

/// Header fields in the order of the request, with names as sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// All names and values, concatenated.
    text: Box<str>,
    /// End offsets in `text` of the name and the value of each field. `u16` is enough: a head has at most 16
    /// KiB.
    ends: Box<[(u16, u16)]>,
}

impl Headers {
    /// Copies the fields. Trims values and replaces bytes that are not UTF-8. Drops the fields beyond 64 KiB.
    pub(crate) fn new<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut text = String::new();
        let mut ends = Vec::new();
        for (name, value) in fields {
            text.push_str(name);
            let name_end = text.len();
            text.push_str(String::from_utf8_lossy(value).trim());
            let (Ok(name_end), Ok(value_end)) = (u16::try_from(name_end), u16::try_from(text.len())) else {
                break;
            };
            ends.push((name_end, value_end));
        }
        Self { text: text.into(), ends: ends.into() }
    }

    /// Returns names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.iter().map(move |&(name_end, value_end)| {
            let field = (
                &self.text[start..usize::from(name_end)],
                &self.text[usize::from(name_end)..usize::from(value_end)],
            );
            start = usize::from(value_end);
            field
        })
    }

    /// Returns the values of all fields named `name`, in order. Names are case-insensitive.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns the value of the field named `name`, or `None` if there is no such field or more than one.
    #[must_use]
    pub fn get_single<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// Returns the non-empty items of the comma-separated lists in all fields named `name` (RFC 9110, 5.6.1).
    pub fn list_items<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.values(name).flat_map(|value| value.split(',')).map(str::trim).filter(|item| !item.is_empty())
    }

    /// Returns whether [`list_items`](Self::list_items) of `name` contain `token`, ignoring case.
    #[must_use]
    pub fn contains_token(&self, name: &str, token: &str) -> bool {
        self.list_items(name).any(|item| item.eq_ignore_ascii_case(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> Headers {
        Headers::new(fields.iter().map(|(name, value)| (*name, value.as_bytes())))
    }

    #[test]
    fn headers_keep_order_and_case() {
        let fields = [("Host", "a"), ("Empty", ""), ("X", "1"), ("x", "2")];
        assert_eq!(headers(&fields).iter().collect::<Vec<_>>(), fields);
    }

    #[test]
    fn headers_get_single_returns_none_for_a_repeated_field() {
        let headers = headers(&[("A", "1"), ("a", "2"), ("B", " x, Y ,")]);
        assert_eq!(headers.get_single("A"), None);
        assert_eq!(headers.get_single("b"), Some("x, Y ,"));
        assert_eq!(headers.values("a").collect::<Vec<_>>(), ["1", "2"]);
        assert!(headers.contains_token("B", "y") && !headers.contains_token("B", ""));
    }

    #[test]
    fn headers_replace_bytes_that_are_not_utf8() {
        let headers = Headers::new([("Cookie", &b"\xff="[..])].into_iter());
        assert_eq!(headers.get_single("cookie"), Some("\u{fffd}="));
    }
}
