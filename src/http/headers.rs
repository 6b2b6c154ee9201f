//! The header fields of a request, in two allocations however many there are: ten thousand sessions keep theirs.

/// Header fields in the order in which they came, names as sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// All names and values, one after the other.
    text: Box<str>,
    /// Where in the text each name and each value ends. A head is far shorter than 64 KiB.
    ends: Box<[(u16, u16)]>,
}

impl Headers {
    /// Takes the fields over. Bytes that are not UTF-8 are replaced; fields that do not fit 64 KiB are left out.
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

    /// Names and values, in order.
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

    /// The values of all fields of that name, whatever its case, in order.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value of the only field of that name; `None` when there is none or more than one.
    #[must_use]
    pub fn get_single<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// The items of a comma-separated field, over all its lines.
    pub fn list_items<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.values(name).flat_map(|value| value.split(',')).map(str::trim).filter(|item| !item.is_empty())
    }

    /// Whether a comma-separated field has an item, whatever its case.
    #[must_use]
    pub fn contains_token(&self, name: &str, item: &str) -> bool {
        self.list_items(name).any(|have| have.eq_ignore_ascii_case(item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> Headers {
        Headers::new(fields.iter().map(|(name, value)| (*name, value.as_bytes())))
    }

    #[test]
    fn fields_come_back_in_order() {
        let fields = [("Host", "a"), ("Empty", ""), ("X", "1"), ("x", "2")];
        assert_eq!(headers(&fields).iter().collect::<Vec<_>>(), fields);
    }

    #[test]
    fn a_repeated_field_has_no_only_value() {
        let headers = headers(&[("A", "1"), ("a", "2"), ("B", " x, Y ,")]);
        assert_eq!(headers.get_single("A"), None);
        assert_eq!(headers.get_single("b"), Some("x, Y ,"));
        assert_eq!(headers.values("a").collect::<Vec<_>>(), ["1", "2"]);
        assert!(headers.contains_token("B", "y") && !headers.contains_token("B", ""));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        let headers = Headers::new([("Cookie", &b"\xff="[..])].into_iter());
        assert_eq!(headers.get_single("cookie"), Some("\u{fffd}="));
    }
}
