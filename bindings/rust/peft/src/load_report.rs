//! What loading an adapter found.

use std::ops::Range;
use std::ptr;

use peft_sys as sys;

use crate::constants::ReportKind;
use crate::error::{check, Result};
use crate::handle::{handle, out_struct};
use crate::text::str_of;

handle! {
    sync
    /// What loading an adapter found: a line for each tensor, and for what is
    /// worth knowing.
    LoadReport, peft_load_report_t, peft_load_report_free
}

/// A line of a [`LoadReport`], which it cannot outlive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportLine<'a> {
    /// What the line says of the tensor or key.
    pub kind: ReportKind,
    /// The tensor or config key; "" for most notes.
    pub name: &'a str,
    /// A sentence, or the module.
    pub detail: &'a str,
}

impl LoadReport {
    /// Calls a function that loads.
    pub(crate) fn of(
        load: impl FnOnce(
            *mut *mut sys::peft_load_report_t,
        ) -> *mut sys::peft_status_t,
    ) -> Result<Self> {
        let mut raw = ptr::null_mut();
        check(load(&mut raw))?;
        Ok(Self::from_new(raw))
    }

    /// The number of lines of a kind, or of all with `None`.
    pub fn count(&self, kind: impl Into<Option<ReportKind>>) -> usize {
        let kind = kind.into().map_or(0, i32::from);
        // SAFETY: The handle is good.
        unsafe { sys::peft_load_report_count(self.raw, kind) }
    }

    /// Line `index`. Fails with `Argument` beyond the last.
    pub fn line(&self, index: usize) -> Result<ReportLine<'_>> {
        let mut raw = out_struct!(peft_report_line_t);
        // SAFETY: `raw` is the library's to write to; the texts live until the
        // report is freed.
        let text = |text| unsafe { str_of(text) }.unwrap_or_default();
        check(unsafe {
            sys::peft_load_report_get_line(self.raw, index, &mut raw)
        })?;
        Ok(ReportLine {
            kind: raw.kind.into(),
            name: text(raw.name),
            detail: text(raw.detail),
        })
    }

    /// All lines in order.
    pub fn lines(&self) -> ReportLines<'_> {
        ReportLines { report: self, range: 0..self.count(None) }
    }

    /// The number of sites that the adapter changes.
    pub fn num_sites(&self) -> i64 {
        // SAFETY: The handle is good.
        unsafe { sys::peft_load_report_num_sites(self.raw) }
    }

    /// The number of elements of the tensors in use.
    pub fn num_parameters(&self) -> i64 {
        // SAFETY: The handle is good.
        unsafe { sys::peft_load_report_num_parameters(self.raw) }
    }
}

/// Iterates over the lines of a [`LoadReport`].
#[derive(Debug, Clone)]
pub struct ReportLines<'a> {
    report: &'a LoadReport,
    range: Range<usize>,
}

impl<'a> Iterator for ReportLines<'a> {
    type Item = ReportLine<'a>;

    fn next(&mut self) -> Option<ReportLine<'a>> {
        self.report.line(self.range.next()?).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl ExactSizeIterator for ReportLines<'_> {}

impl<'a> IntoIterator for &'a LoadReport {
    type Item = ReportLine<'a>;
    type IntoIter = ReportLines<'a>;

    fn into_iter(self) -> ReportLines<'a> {
        self.lines()
    }
}
