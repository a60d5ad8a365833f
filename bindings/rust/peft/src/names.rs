//! Lists of names.

use std::ops::Index;

use peft_sys as sys;

use crate::handle::handle;
use crate::text::str_of;

handle! {
    sync
    /// Names of adapters, in the order that the call promises.
    ///
    /// ```
    /// # let base = "../../../examples/quickstart/base";
    /// # let model = peft::Model::open(base)?;
    /// # model.load_adapter("german",
    /// #     "../../../examples/quickstart/adapters/german")?;
    /// for name in &model.list_adapters()? {
    ///     println!("{name}");
    /// }
    /// # Ok::<(), peft::Error>(())
    /// ```
    Names, peft_string_list_t, peft_string_list_free
}

impl Names {
    /// The number of names.
    pub fn len(&self) -> usize {
        // SAFETY: The handle is good.
        unsafe { sys::peft_string_list_size(self.raw) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name `index`, or `None` where there is none.
    pub fn get(&self, index: usize) -> Option<&str> {
        // SAFETY: The text lives until the list is freed.
        unsafe { str_of(sys::peft_string_list_get(self.raw, index)) }
    }

    /// All names in order.
    pub fn iter(&self) -> NamesIter<'_> {
        NamesIter { names: self, range: 0..self.len() }
    }

    /// Copies of all names.
    pub fn to_vec(&self) -> Vec<String> {
        self.iter().map(str::to_owned).collect()
    }
}

impl Index<usize> for Names {
    type Output = str;

    fn index(&self, index: usize) -> &str {
        self.get(index).unwrap_or_else(|| {
            panic!("name {index} of {}", self.len());
        })
    }
}

impl PartialEq<[&str]> for Names {
    fn eq(&self, other: &[&str]) -> bool {
        self.iter().eq(other.iter().copied())
    }
}

impl<const N: usize> PartialEq<[&str; N]> for Names {
    fn eq(&self, other: &[&str; N]) -> bool {
        *self == other[..]
    }
}

/// Iterates over [`Names`].
#[derive(Debug, Clone)]
pub struct NamesIter<'a> {
    names: &'a Names,
    range: std::ops::Range<usize>,
}

impl<'a> Iterator for NamesIter<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.names.get(self.range.next()?)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl ExactSizeIterator for NamesIter<'_> {}

impl<'a> IntoIterator for &'a Names {
    type Item = &'a str;
    type IntoIter = NamesIter<'a>;

    fn into_iter(self) -> NamesIter<'a> {
        self.iter()
    }
}
