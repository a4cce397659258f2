//! Server-side apply.

use std::convert::Infallible;
use std::sync::Arc;

use serde_json::Value;

use crate::sandbox::kubernetes::api::Shared;
use crate::sandbox::kubernetes::decode::{Decoded, FieldValidation};
use crate::sandbox::kubernetes::request::ResourceRequest;
use crate::sandbox::kubernetes::status::Refusal;
use crate::sandbox::kubernetes::store::Object;

/// A configuration to be applied; not taken yet.
#[derive(Debug)]
pub(crate) struct Apply(Infallible);

impl Apply {
    /// Refuses: server-side apply is not taken yet.
    ///
    /// # Errors
    /// Always.
    pub(super) fn of(_request: &ResourceRequest) -> Result<Self, Refusal> {
        Err(Refusal::unsupported_patch())
    }

    pub(super) fn merge(&self, _request: &ResourceRequest, _old: &Value) -> Result<Decoded, Refusal> {
        match self.0 {}
    }

    pub(crate) fn create(
        &self,
        _shared: &Arc<Shared>,
        _request: &ResourceRequest,
        _validation: FieldValidation,
    ) -> Result<Arc<Object>, Refusal> {
        match self.0 {}
    }
}
