//! Standard output, and what became of what was written there.

use std::io::{self, Write as _};

use parking_lot::Mutex;

/// The first error of writing.
static ERROR: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes to standard output at once. An error is kept for [`take_error`]. A reader that went away is not
/// one: it has what it wanted.
pub fn write(bytes: &[u8]) {
    let written = {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush())
    };
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        ERROR.lock().get_or_insert(error);
    }
}

/// Why a part of what was written is lost; none if all of it arrived. The next call has none either.
pub fn take_error() -> Option<io::Error> {
    ERROR.lock().take()
}
