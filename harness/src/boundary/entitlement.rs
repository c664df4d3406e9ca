//! What a client has to be entitled to for an open (G5, G7), and what an object is made of (G4, G11).

use super::{OpenRefusal, Rule, Rules};
use crate::IoReturn;
use crate::registry::Value;
use std::collections::BTreeMap;

/// The entitlements of a program, by their keys.
pub type Entitlements = BTreeMap<String, Value>;

/// Entitlement of a client: the bundle identifiers of the dexts that it may open.
pub const USER_CLIENT_ACCESS: &str = "com.apple.developer.driverkit.userclient-access";
/// Entitlement of a dext: any client may open it.
pub const ALLOW_ANY_ACCESS: &str = "com.apple.developer.driverkit.allow-any-userclient-access";
/// Property of a user client: groups of entitlements, of one of which the client must have all.
pub const DEXT_ENTITLEMENTS: &str = "IOServiceDEXTEntitlements";
/// Property of a user client: an entitlement that the client must have.
pub const USER_CLIENT_ENTITLEMENTS: &str = "IOUserClientEntitlements";
/// Property of a user client: who opened it (G9).
pub const USER_CLIENT_CREATOR: &str = "IOUserClientCreator";
/// The kernel's class of the user clients of dexts.
pub const USER_CLIENT_CLASS: &str = "IOUserUserClient";
/// Property that names the kernel's class of what `Create` makes.
pub const CLASS: &str = "IOClass";

/// A dext as an open looks at it.
#[derive(Clone, Copy, Debug)]
pub struct OpenedDext<'a> {
    /// Its bundle identifier; `None` for a service of the kernel's own, which checks nothing here.
    pub bundle_id: Option<&'a str>,
    /// Its entitlements.
    pub entitlements: &'a Entitlements,
    /// The properties of the user client that it made.
    pub properties: &'a BTreeMap<String, Value>,
}

/// Whether the client may have the user client that the dext has made: the class first, then the
/// entitlement for the dext, then the one that the user client asks for (G4, G5, G7).
///
/// # Errors
///
/// Why not.
pub fn admitted(
    rules: Rules,
    client: &Entitlements,
    dext: &OpenedDext<'_>,
    kernel_class: &str,
) -> Result<(), OpenRefusal> {
    if kernel_class != USER_CLIENT_CLASS && rules.on(Rule::G4) {
        return Err(OpenRefusal::WrongClass);
    }
    may_access(rules, client, dext)?;
    match dext.properties.get(USER_CLIENT_ENTITLEMENTS) {
        Some(Value::String(key)) if rules.on(Rule::G7) && !is_true(client, key) => {
            Err(OpenRefusal::NotPrivileged)
        }
        _ => Ok(()),
    }
}

/// The entitlement for the dext (G5).
fn may_access(
    rules: Rules,
    client: &Entitlements,
    dext: &OpenedDext<'_>,
) -> Result<(), OpenRefusal> {
    let Some(bundle_id) = dext.bundle_id else { return Ok(()) };
    let listed = match client.get(USER_CLIENT_ACCESS) {
        Some(Value::Array(bundles)) => bundles.contains(&Value::from(bundle_id)),
        _ => false,
    };
    let allowed = is_true(dext.entitlements, ALLOW_ANY_ACCESS) || listed;
    let matched = dext.properties.get(DEXT_ENTITLEMENTS).is_none_or(|groups| fits(client, groups));
    if allowed && matched || !rules.on(Rule::G5) { Ok(()) } else { Err(OpenRefusal::NotEntitled) }
}

/// True where the client has every entitlement of one of the groups.
fn fits(client: &Entitlements, groups: &Value) -> bool {
    let Value::Array(groups) = groups else { return false };
    groups.iter().any(|group| match group {
        Value::Array(keys) if !keys.is_empty() => keys.iter().all(|key| match key {
            Value::String(key) => client.contains_key(key),
            _ => false,
        }),
        _ => false,
    })
}

fn is_true(entitlements: &Entitlements, key: &str) -> bool {
    entitlements.get(key) == Some(&Value::Boolean(true))
}

/// True where the entitlement is looked at only once the dext has made the user client (G6).
#[must_use]
pub fn admits_after_making(rules: Rules) -> bool {
    rules.on(Rule::G6)
}

/// The class of what `IOService::Create` makes (G11). `property` is what the service has under the key
/// that was given.
///
/// # Errors
///
/// `kIOReturnUnsupported` for another provider than the service itself, or for one that is inactive;
/// `kIOReturnBadArgument` where the property describes no object.
pub fn create(
    rules: Rules,
    provider_is_self: bool,
    property: Option<&Value>,
    inactive: bool,
) -> Result<String, IoReturn> {
    // Naively whatever is missing has a default.
    let g11 = rules.on(Rule::G11);
    if g11 && !provider_is_self {
        return Err(IoReturn::UNSUPPORTED);
    }
    let class = match property {
        Some(Value::Dictionary(entries)) => entries.get(CLASS),
        _ => None,
    };
    match class {
        Some(Value::String(_)) if g11 && inactive => Err(IoReturn::UNSUPPORTED),
        Some(Value::String(class)) => Ok(class.clone()),
        _ if g11 => Err(IoReturn::BAD_ARGUMENT),
        _ => Ok(USER_CLIENT_CLASS.to_owned()),
    }
}

/// What an open gives where the dext has no `NewUserClient` (G10).
pub fn base_new_user_client(rules: Rules) -> IoReturn {
    if rules.on(Rule::G10) { rules.open().base_new_user_client } else { IoReturn::ERROR }
}

/// True where a close returns before the dext's `Stop` has run (G14).
#[must_use]
pub fn close_overtakes_stop(rules: Rules) -> bool {
    rules.on(Rule::G14) && !rules.open().close_waits_for_stop
}
