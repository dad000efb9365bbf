//! Named pipes, which give what they have once.

use std::path::Path;
use std::thread::JoinHandle;

use crate::{eventually, output_of};

/// What is written to a named pipe, by a thread that waits for whoever reads it.
pub struct Pipe(JoinHandle<std::io::Result<()>>);

impl Pipe {
    /// Writes `content` to the pipe at `path`, which is created if it is not there.
    pub fn feed(path: &Path, content: impl AsRef<[u8]> + Send + 'static) -> Pipe {
        if !path.exists() {
            output_of("mkfifo", &[path.to_str().expect("a plain name")]);
        }
        let path = path.to_owned();
        Pipe(std::thread::spawn(move || std::fs::write(path, content)))
    }

    /// Waits until all of it was read.
    pub fn end(self) {
        eventually("all of the pipe is read", || self.0.is_finished());
        self.0.join().expect("no thread panics").expect("it can be written");
    }
}
