//! The client: a key dumper.

use super::abi::{CLASS, FourCharacters, ParamStruct, SELECTOR, command, result};
use super::line::{CODE_OF_A_FAILED_CALL, KeyLine, Reading, split_keys};
use super::{HOST_SYSTEM, parameter};
use crate::print::Plain;
use crate::{ParameterError, Parameters, ScenarioError};
use dextape::IoReturn;
use dextape::connection::{CallError, Connection, ConnectionExt, Matching, System, Value};
use std::io::Write;
use std::sync::Arc;

/// The most keys that a service is believed to have.
const KEYS_MAX: u32 = 1 << 16;

/// Lists the public keys by index and the hidden ones by name, as a dump; then writes a key where it
/// is told to, and tells what it met.
pub(super) fn run(
    parameters: &Parameters,
    system: &Arc<dyn System>,
    out: &mut dyn Write,
) -> Result<(), ScenarioError> {
    let named = parameters.get(parameter::HIDDEN);
    let hidden = split_keys(named).ok_or_else(|| {
        let expected = "names of four characters with commas between";
        ParameterError::value(parameter::HIDDEN, named, expected)
    })?;
    let write = write_request(parameters)?;

    let service = system
        .first_service(&Matching::service(CLASS))
        .map_err(ScenarioError::refused("find AppleSMC"))?;
    let host = system
        .property(service, HOST_SYSTEM)
        .map_err(ScenarioError::refused("read the properties of AppleSMC"))?;
    let connection = system.open(service, 0).map_err(ScenarioError::refused("open AppleSMC"))?;

    if let Some(Value::String(host)) = host {
        writeln!(out, "{host}")?;
    }
    let mut dumper = Dumper { connection: &*connection, out, told: Told::default() };
    let stopped = dumper.dump(&hidden).and_then(|()| match &write {
        Some((key, value)) => dumper.write(*key, value),
        None => Ok(()),
    });
    match stopped {
        Ok(()) => {}
        Err(Stop::Call(error)) => writeln!(dumper.out, "\nStopped: {error}.")?,
        Err(Stop::Scenario(error)) => return Err(error),
    }
    dumper.report()?;
    writeln!(out, "Close: {}.", Plain(connection.close()))?;
    Ok(())
}

/// Key and value of the parameter `write`.
fn write_request(
    parameters: &Parameters,
) -> Result<Option<(FourCharacters, Vec<u8>)>, ParameterError> {
    let text = parameters.get(parameter::WRITE);
    if text.is_empty() {
        return Ok(None);
    }
    let request = text.split_at_checked(4).and_then(|(name, rest)| {
        let key = *split_keys(name)?.first()?;
        let digits = rest.strip_prefix('=')?;
        let plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        (plain && digits.len().is_multiple_of(2) && digits.len() <= 64).then_some(())?;
        let pairs = (0..digits.len()).step_by(2);
        let value = pairs.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok());
        Some((key, value.collect::<Option<Vec<u8>>>()?))
    });
    let expected = "a key of four characters, `=` and up to 32 bytes in hex";
    request.map(Some).ok_or_else(|| ParameterError::value(parameter::WRITE, text, expected))
}

/// What the client tells at the end.
#[derive(Default)]
struct Told {
    stated: u32,
    by_index: u32,
    by_name: u32,
    missing_indices: u32,
    missing_names: u32,
    failures: Vec<(FourCharacters, IoReturn)>,
}

/// Why the client does not go on.
enum Stop {
    /// A call failed that never does.
    Call(CallError),
    Scenario(ScenarioError),
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Scenario(error.into())
    }
}

struct Dumper<'a> {
    connection: &'a dyn Connection,
    out: &'a mut dyn Write,
    told: Told,
}

impl Dumper<'_> {
    fn dump(&mut self, hidden: &[FourCharacters]) -> Result<(), Stop> {
        let count = FourCharacters::new(*b"#KEY");
        let info = self.ask(&ParamStruct {
            key: count,
            data8: command::KEY_INFO,
            ..ParamStruct::default()
        })?;
        let reply = self.ask(&ParamStruct {
            key: count,
            data8: command::READ_KEY,
            key_info: info.key_info,
            ..ParamStruct::default()
        })?;
        // A value is big-endian on every Mac that has such a service.
        let [a, b, c, d, ..] = reply.bytes;
        self.told.stated = u32::from_be_bytes([a, b, c, d]);
        writeln!(self.out, "Public keys ({}):", self.told.stated)?;

        for data32 in 0..self.told.stated.min(KEYS_MAX) {
            let request =
                ParamStruct { data8: command::KEY_FROM_INDEX, data32, ..ParamStruct::default() };
            let reply = self.ask(&request)?;
            if reply.result == result::SUCCESS && self.key(reply.key)? {
                self.told.by_index += 1;
            } else {
                self.told.missing_indices += 1;
            }
        }
        for key in hidden {
            if self.key(*key)? {
                self.told.by_name += 1;
            } else {
                self.told.missing_names += 1;
            }
        }
        Ok(())
    }

    /// Writes one key's line; false where there is no such key.
    fn key(&mut self, key: FourCharacters) -> Result<bool, Stop> {
        let mut request = ParamStruct { key, data8: command::KEY_INFO, ..ParamStruct::default() };
        let reply = self.ask(&request)?;
        if reply.result != result::SUCCESS {
            return Ok(false);
        }
        let info = reply.key_info;
        request.data8 = command::READ_KEY;
        request.key_info.data_size = info.data_size;
        let reading = match self.ask(&request) {
            Ok(reply) => match reply.result {
                result::SUCCESS => Reading::printed(key, info.data_size, &reply.bytes),
                result::ERROR => Reading::NotReadable { code: None },
                code => Reading::NotReadable { code: Some(code) },
            },
            Err(CallError::Failed { result, .. }) => {
                self.told.failures.push((key, result));
                Reading::NotReadable { code: Some(CODE_OF_A_FAILED_CALL) }
            }
            Err(error) => return Err(error.into()),
        };
        writeln!(self.out, "{}", KeyLine { key, info, reading })?;
        Ok(true)
    }

    fn write(&mut self, key: FourCharacters, value: &[u8]) -> Result<(), Stop> {
        let mut request = ParamStruct { key, data8: command::WRITE_KEY, ..ParamStruct::default() };
        request.key_info.data_size = value.len() as u32;
        request.bytes[..value.len()].copy_from_slice(value);
        let reply = self.ask(&request)?;
        writeln!(self.out, "\nWrite of {key}: result {:02X}. It is now:", reply.result)?;
        if !self.key(key)? {
            writeln!(self.out, "not there")?;
        }
        Ok(())
    }

    fn ask(&self, request: &ParamStruct) -> Result<ParamStruct, CallError> {
        self.connection.call(SELECTOR).input(request).output()
    }

    fn report(&mut self) -> Result<(), ScenarioError> {
        let Told { stated, by_index, by_name, missing_indices, missing_names, failures } =
            &self.told;
        let lines = by_index + by_name;
        writeln!(self.out)?;
        writeln!(
            self.out,
            "#KEY says {stated}; {lines} lines, {by_index} by index and {by_name} by name."
        )?;
        if missing_indices + missing_names > 0 {
            let missing = format!("{missing_indices} by index and {missing_names} by name");
            writeln!(self.out, "Not there: {missing}.")?;
        }
        for (key, result) in failures {
            writeln!(self.out, "Failed to read {key}: {result}.")?;
        }
        Ok(())
    }
}
