//! When a key expires: the one place that turns what a client writes into a Unix time.
//!
//! A client gives an expiry in seconds or milliseconds, either from now on or as a Unix time. That makes four forms, which
//! SET and GETEX name by their options, and which other commands have in their names:
//!
//! | form | options of SET, GETEX | commands |
//! |---|---|---|
//! | [`Form::EX`] | `EX seconds` | SETEX, EXPIRE |
//! | [`Form::PX`] | `PX milliseconds` | PSETEX, PEXPIRE |
//! | [`Form::EXAT`] | `EXAT unix-time-seconds` | EXPIREAT |
//! | [`Form::PXAT`] | `PXAT unix-time-milliseconds` | PEXPIREAT |
//!
//! The result is always a Unix time in milliseconds, and that is what goes to the log: a replica that runs the log later
//! must not begin to count anew.
//!
//! SET and its relatives refuse zero and negative numbers. The EXPIRE family takes them, and deletes the key.
//!
//! # Invariant
//!
//! * A time that this file returns is less than [`NEVER`], which stands for "does not expire".

use crate::resp::Error;
use crate::store::NEVER;

/// How an expiry is written.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Form {
    /// Milliseconds in the unit.
    unit: i64,
    /// It counts from now on.
    is_relative: bool,
}

impl Form {
    pub const EX: Form = Form::new(1000, true);
    pub const PX: Form = Form::new(1, true);
    pub const EXAT: Form = Form::new(1000, false);
    pub const PXAT: Form = Form::new(1, false);

    const fn new(unit: i64, is_relative: bool) -> Form {
        Form { unit, is_relative }
    }

    /// The form that an option of SET or GETEX names.
    pub fn of_option(word: &[u8]) -> Option<Form> {
        match word.to_ascii_uppercase().as_slice() {
            b"EX" => Some(Form::EX),
            b"PX" => Some(Form::PX),
            b"EXAT" => Some(Form::EXAT),
            b"PXAT" => Some(Form::PXAT),
            _ => None,
        }
    }

    /// The Unix time in milliseconds that `n` stands for. `command` is the command's name, for the error.
    ///
    /// # Errors
    ///
    /// Redis's error if the time does not fit into 64 bits.
    pub fn deadline(self, n: i64, now: i64, command: &str) -> Result<i64, Error> {
        let base = if self.is_relative { now } else { 0 };
        let ms = n.checked_mul(self.unit);
        let at = ms.and_then(|ms| ms.checked_add(base));
        Ok(at.ok_or_else(|| invalid(command))?.min(NEVER - 1))
    }

    /// The same for commands that refuse zero and negative numbers.
    ///
    /// # Errors
    ///
    /// Redis's error for such a number, or if the time does not fit into 64 bits.
    pub fn positive_deadline(self, n: i64, now: i64, command: &str) -> Result<i64, Error> {
        if n <= 0 {
            return Err(invalid(command));
        }
        self.deadline(n, now, command)
    }
}

/// Redis's words for an expiry that is out of range.
fn invalid(command: &str) -> Error {
    Error::new(format!("ERR invalid expire time in '{command}' command"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_forms_of_one_time() {
        let at = |form: Form, n| form.deadline(n, 5_000, "set").ok();
        assert_eq!(at(Form::EX, 2), Some(7_000));
        assert_eq!(at(Form::PX, 2_000), Some(7_000));
        assert_eq!(at(Form::EXAT, 7), Some(7_000));
        assert_eq!(at(Form::PXAT, 7_000), Some(7_000));
        assert_eq!(Form::of_option(b"pxat"), Some(Form::PXAT));
        assert_eq!(Form::of_option(b"persist"), None);
    }

    #[test]
    fn times_out_of_range_are_refused() {
        let at = |form: Form, n| form.deadline(n, 5_000, "expire");
        assert_eq!(at(Form::EX, -6).ok(), Some(-1_000));
        assert!(at(Form::EX, i64::MAX / 1000).is_err());
        assert!(at(Form::EXAT, i64::MIN / 1000 - 1).is_err());
        assert!(at(Form::PX, i64::MAX).is_err());
        assert_eq!(at(Form::PXAT, i64::MAX).ok(), Some(NEVER - 1));
        let error = Form::PX
            .positive_deadline(0, 5_000, "psetex")
            .err()
            .unwrap();
        assert_eq!(&*error.0, b"ERR invalid expire time in 'psetex' command");
    }
}
