//! The end of a command in the communicator.

use std::io;

use super::decode::{Gob, invalid};

/// The description of the struct `CommandFinished` with its one field `ExitStatus`, an `int`, as
/// type 64, the first that is not basic.
const COMMAND_FINISHED: &[u8] =
    b"\x2b\x7f\x03\x01\x01\x0fCommandFinished\x01\xff\x80\x00\x01\x01\x01\
    \x0aExitStatus\x01\x04\x00\x00\x00";

/// How a command ended, for the other side of the communicator.
pub(crate) fn encode_exit_status(status: i64) -> Vec<u8> {
    let mut value = vec![0xff, 0x80];
    if status != 0 {
        value.push(1);
        let number = status.cast_unsigned() << 1;
        put_uint(&mut value, if status < 0 { !number } else { number });
    }
    value.push(0);
    let mut message = COMMAND_FINISHED.to_vec();
    put_uint(&mut message, value.len() as u64);
    message.extend(value);
    message
}

fn put_uint(bytes: &mut Vec<u8>, number: u64) {
    if number < 128 {
        bytes.push(number.to_le_bytes()[0]);
        return;
    }
    let width = 8 - number.leading_zeros() as usize / 8;
    // The number of bytes, negated.
    bytes.push((width as u8).wrapping_neg());
    bytes.extend(&number.to_be_bytes()[8 - width..]);
}

/// How a command ended, from the other side of the communicator.
///
/// # Errors
/// The bytes do not tell.
pub(crate) fn decode_exit_status(bytes: &[u8]) -> io::Result<i64> {
    match Gob::decode(bytes)? {
        value @ Gob::Struct(_) => match value.field("ExitStatus") {
            Gob::Nil => Ok(0),
            Gob::Int(status) => Ok(*status),
            _ => Err(invalid("an exit status that is not a number")),
        },
        _ => Err(invalid("the end of a command is not a struct")),
    }
}
