//! Reads a password where the policy says it is.

use k8s_openapi::api::core::v1 as api;
use kube::{Api, Client};

use crate::domain::Secret;
use crate::kubernetes::refusal::cluster_error;
use crate::plan::PasswordSource;
use crate::ports::ClusterError;

/// The password, without the newline that editors and `echo` put at the end of files.
pub(super) async fn read(client: &Client, source: &PasswordSource) -> Result<Secret, ClusterError> {
    let bytes = match source {
        PasswordSource::Env(name) => std::env::var_os(name).ok_or_else(|| missing(source))?.into_encoded_bytes(),
        PasswordSource::File(path) => tokio::fs::read(path).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => missing(source),
            _ => failed(source, &error.to_string()),
        })?,
        PasswordSource::SecretKey { namespace, name, key } => {
            let secrets: Api<api::Secret> = Api::namespaced(client.clone(), namespace);
            let secret =
                secrets.get(name).await.map_err(|error| cluster_error(format!("Secret {namespace}/{name}"), &error))?;
            let value = secret.data.and_then(|mut data| data.remove(key));
            value.ok_or_else(|| missing(source))?.0
        }
    };
    let text = String::from_utf8(bytes).map_err(|_| failed(source, "is not UTF-8"))?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(failed(source, "is empty"));
    }
    Ok(Secret::new(password))
}

fn missing(source: &PasswordSource) -> ClusterError {
    ClusterError::NotFound { object: source.to_string() }
}

fn failed(source: &PasswordSource, message: &str) -> ClusterError {
    ClusterError::Failed { object: source.to_string(), message: message.to_owned() }
}
