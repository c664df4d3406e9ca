//! How clients find and open the service that they need.

use crate::ScenarioError;
use dextape::connection::{Connection, Matching, System};
use std::sync::Arc;

/// Opens the first service of this user class, with type 0.
///
/// # Errors
///
/// [`ScenarioError::Refused`] where there is none or it does not open.
pub fn open(
    system: &Arc<dyn System>,
    user_class: &str,
) -> Result<Box<dyn Connection>, ScenarioError> {
    let service = system
        .first_service(&Matching::user_class(user_class))
        .map_err(ScenarioError::refused(format!("find {user_class}")))?;
    system.open(service, 0).map_err(ScenarioError::refused(format!("open {user_class}")))
}
