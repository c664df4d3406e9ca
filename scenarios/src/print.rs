//! How clients print what they got.

use dextape::IoReturn;
use dextape::connection::{CallError, Reply};
use std::fmt::{self, Display, Write as _};

/// A call's reply, or why there is none: result, then what came back.
pub(crate) struct Outcome<'a>(pub(crate) &'a Result<Reply, CallError>);

impl Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ok(reply) => {
                f.write_str("ok")?;
                if !reply.scalars.is_empty() {
                    write!(f, ", scalars {}", Numbers(&reply.scalars))?;
                }
                if reply.structure_size > 0 {
                    write!(f, ", {} bytes", reply.structure_size)?;
                }
                Ok(())
            }
            Err(CallError::Failed { result, .. }) => result.fmt(f),
            Err(error) => error.fmt(f),
        }
    }
}

/// Numbers with spaces between.
pub(crate) struct Numbers<'a>(pub(crate) &'a [u64]);

impl Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_char(' ')?;
            }
            number.fmt(f)?;
        }
        Ok(())
    }
}

/// A result by itself.
pub(crate) struct Plain(pub(crate) IoReturn);

impl Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_success() { f.write_str("ok") } else { self.0.fmt(f) }
    }
}
