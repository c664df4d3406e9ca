//! The process whose clients a mock system serves, as the kernel looks at it.

use crate::boundary::SandboxFilter;
use crate::boundary::entitlement::{Entitlements, USER_CLIENT_ACCESS};
use crate::registry::Value;

/// The process whose clients a mock system serves: its name, what it is entitled to, and what its
/// sandbox refuses. The default is process 1, `client`, without entitlements and sandbox.
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
/// use dextape::boundary::SandboxFilter;
/// use dextape::kernel::ClientProcess;
///
/// let client = ClientProcess::new(501, "panel")
///     .may_open("com.example.null-driver")
///     .sandbox(SandboxFilter::default().refuse_method(3, IoReturn::NOT_PERMITTED));
/// assert_eq!(client.process, 501);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientProcess {
    /// Its number.
    pub process: u32,
    /// Its name.
    pub name: String,
    /// Its entitlements (G5, G7).
    pub entitlements: Entitlements,
    /// What its sandbox refuses (H8).
    pub sandbox: SandboxFilter,
}

impl ClientProcess {
    /// A process without entitlements and sandbox.
    #[must_use]
    pub fn new(process: u32, name: &str) -> Self {
        Self {
            process,
            name: name.to_owned(),
            entitlements: Entitlements::new(),
            sandbox: SandboxFilter::default(),
        }
    }

    /// Gives it an entitlement.
    #[must_use]
    pub fn entitled(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.entitlements.insert(key.to_owned(), value.into());
        self
    }

    /// Entitles it to open the dext of that bundle identifier (G5).
    #[must_use]
    pub fn may_open(mut self, bundle_id: &str) -> Self {
        let bundles = self.entitlements.entry(USER_CLIENT_ACCESS.to_owned());
        match bundles.or_insert_with(|| Value::Array(Vec::new())) {
            Value::Array(bundles) => bundles.push(Value::from(bundle_id)),
            other => *other = Value::Array(vec![Value::from(bundle_id)]),
        }
        self
    }

    /// Puts it into a sandbox (H8).
    #[must_use]
    pub fn sandbox(mut self, filter: SandboxFilter) -> Self {
        self.sandbox = filter;
        self
    }
}

impl Default for ClientProcess {
    fn default() -> Self {
        Self::new(1, "client")
    }
}
