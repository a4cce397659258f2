//! Pages and the `meta` that describes them.

use serde_json::{Value, json};

use super::href;

/// The highest page number the API accepts.
const MAX_PAGE: usize = 100_000;

/// Which part of a list a caller wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    number: usize,
    size: usize,
}

impl Page {
    /// Reads `page` and `per_page`; what is missing or not a number takes its default, what is too large the limit.
    pub(crate) fn parse(number: Option<&str>, size: Option<&str>, default_size: usize, cap: usize) -> Self {
        let positive = |text: &str| text.parse::<usize>().ok().filter(|&value| value > 0);
        Self {
            number: number.and_then(positive).unwrap_or(1).min(MAX_PAGE),
            size: size.and_then(positive).unwrap_or(default_size).min(cap.max(1)),
        }
    }

    /// The entries of this page, in order.
    pub(crate) fn of<T>(self, entries: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        entries.skip((self.number - 1).saturating_mul(self.size)).take(self.size)
    }

    /// The description of this page in a list of `total` entries under `path`.
    pub(crate) fn meta(self, path: &str, total: usize) -> Value {
        let last = total.div_ceil(self.size).max(1);
        let link = |number: usize| json!({ "href": format!("{}?page={number}", href(path)) });
        json!({
            "first": link(1),
            "previous": if self.number > 1 { link(self.number - 1) } else { Value::Null },
            "self": link(self.number),
            "next": if self.number < last { link(self.number + 1) } else { Value::Null },
            "last": link(last),
            "total": total,
            "current_page": self.number,
            "last_page": last,
        })
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn numbers_and_sizes_are_bounded() {
        for (number, size, expected) in [
            (None, None, Page { number: 1, size: 10 }),
            (Some("3"), Some("25"), Page { number: 3, size: 25 }),
            (Some("0"), Some("0"), Page { number: 1, size: 10 }),
            (Some("x"), Some("-1"), Page { number: 1, size: 10 }),
            (Some("999999"), Some("5000"), Page { number: 100_000, size: 1000 }),
        ] {
            assert_eq!(Page::parse(number, size, 10, 1000), expected, "{number:?} {size:?}");
        }
    }

    #[test]
    fn meta_of_first_middle_last_and_beyond() {
        let link = |page: usize| json!({ "href": format!("/metal/v1/x?page={page}") });
        for (number, previous, next) in
            [(1, Value::Null, link(2)), (2, link(1), link(3)), (3, link(2), Value::Null), (4, link(3), Value::Null)]
        {
            let page = Page { number, size: 10 };
            let expected = json!({"first": link(1), "previous": previous, "self": link(number), "next": next,
                "last": link(3), "total": 21, "current_page": number, "last_page": 3});
            assert_eq!(page.meta("x", 21), expected, "page {number}");
        }
        assert_eq!(Page { number: 1, size: 10 }.meta("x", 0)["last_page"], json!(1));
    }

    #[test]
    fn entries_of_a_page() {
        let page = Page { number: 2, size: 3 };
        assert_eq!(page.of(0..8).collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(Page { number: 9, size: 3 }.of(0..8).count(), 0);
    }
}
