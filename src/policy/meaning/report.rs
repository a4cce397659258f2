//! Collects what the checks of meaning find.

use super::super::fault::Severity;
use super::super::remainder::Remainder;
use super::super::tree::{Finding, Place};
use crate::policy::{FaultCode, Pointer};

/// Findings, with places in the document as written.
pub(in crate::policy) struct Report<'a> {
    remainder: &'a Remainder,
    findings: Vec<Finding>,
}

impl<'a> Report<'a> {
    pub(in crate::policy) fn new(remainder: &'a Remainder) -> Self {
        Self { remainder, findings: Vec::new() }
    }

    /// Something that keeps the policy from taking effect. Returned to add a suggestion.
    pub(super) fn error(
        &mut self,
        place: Place,
        code: FaultCode,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> &mut Finding {
        self.add(place, code, Severity::Error, expected.into(), found.into())
    }

    /// Something that its author should look at.
    pub(super) fn warning(
        &mut self,
        place: Place,
        code: FaultCode,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> &mut Finding {
        self.add(place, code, Severity::Warning, expected.into(), found.into())
    }

    /// Whether what stands here was written otherwise and has a fault of its own already.
    pub(super) fn is_incomplete(&self, pointer: &Pointer) -> bool {
        self.remainder.is_incomplete(pointer)
    }

    /// Whether anything at or below this place has a fault.
    pub(super) fn has_fault(&self, pointer: &Pointer) -> bool {
        if self.is_incomplete(pointer) {
            return true;
        }
        if self.findings.is_empty() {
            return false;
        }
        let original = self.remainder.original(pointer);
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error && finding.place.pointer().is_within(&original))
    }

    /// A pointer as its author would write it.
    pub(super) fn original(&self, pointer: &Pointer) -> Pointer {
        self.remainder.original(pointer)
    }

    pub(in crate::policy) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    fn add(
        &mut self,
        place: Place,
        code: FaultCode,
        severity: Severity,
        expected: String,
        found: String,
    ) -> &mut Finding {
        let place = self.remainder.place(place);
        self.findings.push(Finding { place, code, severity, expected, found, suggestion: None });
        let last = self.findings.len() - 1;
        &mut self.findings[last]
    }
}

impl Finding {
    /// Adds what was probably meant.
    pub(super) fn suggest(&mut self, suggestion: Option<impl Into<String>>) {
        self.suggestion = suggestion.map(Into::into);
    }
}
