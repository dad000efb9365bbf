//! The output of a command.

use bytes::Bytes;

/// A piece of output.
pub(crate) enum Piece {
    /// Of standard output.
    Output(Bytes),
    /// Of standard error.
    Errors(Bytes),
}
