//! Whether key and project fit each other.

use super::Project;
use crate::ports::MetalError;

/// Why the program cannot work with this project.
#[derive(Debug, thiserror::Error)]
pub enum StartUpError {
    /// 401.
    #[error("Metal refuses the API key: check METAL_API_KEY (or apiKey in the cloud configuration)")]
    Key(#[source] MetalError),
    /// 403 and 404.
    #[error(
        "the API key does not reach the project {project}: check METAL_PROJECT_ID (projectID in the cloud \
         configuration), and that the key in METAL_API_KEY belongs to that project or to a member of it"
    )]
    Project {
        /// The project's id as configured.
        project: String,
        /// What Metal said.
        #[source]
        source: MetalError,
    },
    /// Metal did not answer, or not as it should; worth another try.
    #[error("could not ask Metal for the project {project}")]
    Unavailable {
        /// The project's id as configured.
        project: String,
        /// What happened.
        #[source]
        source: MetalError,
    },
}

impl Project {
    /// Reads the project once, to tell a wrong key and a wrong project from an outage.
    ///
    /// # Errors
    /// See [`StartUpError`]; the message says which setting to look at.
    pub async fn start_up_check(&self) -> Result<(), StartUpError> {
        let project = || self.id.clone();
        match self.client.project(&self.id).await {
            Ok(_) => Ok(()),
            Err(source @ MetalError::Unauthorized { .. }) => Err(StartUpError::Key(source)),
            Err(source @ (MetalError::Forbidden { .. } | MetalError::NotFound { .. })) => {
                Err(StartUpError::Project { project: project(), source })
            }
            Err(source) => Err(StartUpError::Unavailable { project: project(), source }),
        }
    }
}
