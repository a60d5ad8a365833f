//! What an adapter does to random input.

use std::ops::Range;
use std::ptr;

use peft_sys as sys;

use crate::adapter_options::ProbeOptions;
use crate::error::{check, Result};
use crate::handle::{handle, out_struct};
use crate::model::Model;
use crate::text::{str_of, with_optional_text};

handle! {
    sync
    /// What an adapter does to random input, layer by layer.
    ProbeReport, peft_probe_report_t, peft_probe_report_free
}

/// One layer of a [`ProbeReport`], which it cannot outlive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProbeLine<'a> {
    /// The module.
    pub name: &'a str,
    /// The norm over all rows of the base's output, without its bias.
    pub base_norm: f64,
    /// That of what the adapter changes in it.
    pub delta_norm: f64,
    /// `delta_norm / base_norm`; infinite where only the base's is 0.
    pub ratio: f64,
}

/// All layers of a [`ProbeReport`] together.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ProbeSummary {
    /// Layers that the adapter has a part in.
    pub num_sites: i64,
    /// Those among them whose output it does not change.
    pub num_unchanged: i64,
    /// As in [`ProbeLine`], over all layers.
    pub ratio: f64,
    /// The largest of a layer.
    pub max_ratio: f64,
}

impl Model {
    /// Feeds random input to every layer that an adapter has a part in and
    /// measures how much the output changes: an adapter that loaded but does
    /// nothing has ratios of 0.
    pub fn probe_adapter<'n>(
        &self,
        name: impl Into<Option<&'n str>>,
        options: &ProbeOptions,
    ) -> Result<ProbeReport> {
        let mut raw = ptr::null_mut();
        with_optional_text(name.into(), |name| {
            let (probe, options) =
                (sys::peft_model_probe_adapter, options.raw());
            // SAFETY: All is valid for the call.
            check(unsafe { probe(self.as_raw(), name, options, &mut raw) })
        })?;
        Ok(ProbeReport::from_new(raw))
    }
}

impl ProbeReport {
    /// The number of layers.
    pub fn count(&self) -> usize {
        // SAFETY: The handle is good.
        unsafe { sys::peft_probe_report_count(self.raw) }
    }

    /// Layer `index`, in module order. Fails with `Argument` beyond the last.
    pub fn line(&self, index: usize) -> Result<ProbeLine<'_>> {
        let mut raw = out_struct!(peft_probe_line_t);
        // SAFETY: `raw` is the library's to write to; the text lives until the
        // report is freed.
        let name = unsafe {
            let get = sys::peft_probe_report_get_line;
            check(get(self.raw, index, &mut raw))?;
            str_of(raw.name).unwrap_or_default()
        };
        Ok(ProbeLine {
            name,
            base_norm: raw.base_norm,
            delta_norm: raw.delta_norm,
            ratio: raw.ratio,
        })
    }

    /// All layers in order.
    pub fn lines(&self) -> ProbeLines<'_> {
        ProbeLines { report: self, range: 0..self.count() }
    }

    /// All layers together.
    pub fn summary(&self) -> Result<ProbeSummary> {
        let mut raw = out_struct!(peft_probe_summary_t);
        // SAFETY: `raw` is the library's to write to.
        check(unsafe {
            sys::peft_probe_report_get_summary(self.raw, &mut raw)
        })?;
        Ok(ProbeSummary {
            num_sites: raw.num_sites,
            num_unchanged: raw.num_unchanged,
            ratio: raw.ratio,
            max_ratio: raw.max_ratio,
        })
    }
}

/// Iterates over the layers of a [`ProbeReport`].
#[derive(Debug, Clone)]
pub struct ProbeLines<'a> {
    report: &'a ProbeReport,
    range: Range<usize>,
}

impl<'a> Iterator for ProbeLines<'a> {
    type Item = ProbeLine<'a>;

    fn next(&mut self) -> Option<ProbeLine<'a>> {
        self.report.line(self.range.next()?).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl ExactSizeIterator for ProbeLines<'_> {}
