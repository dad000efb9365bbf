//! The number of processors and how they are laid out: the value of `-smp`.

use std::fmt;

use crate::options::Options;

/// The options about processors; 0 is the same as not given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Processors {
    /// How many in all.
    pub count: u32,
    /// Sockets.
    pub sockets: u32,
    /// Cores in a socket.
    pub cores: u32,
    /// Threads in a core.
    pub threads: u32,
}

impl Processors {
    /// What the options say.
    pub(crate) fn of(raw: &Options) -> Processors {
        Processors {
            count: raw.cpus.unwrap_or(0),
            sockets: raw.sockets.unwrap_or(0),
            cores: raw.cores.unwrap_or(0),
            threads: raw.threads.unwrap_or(0),
        }
    }

    /// How many fit into the layout; none without a layout.
    fn room(self) -> Option<u32> {
        let given = [self.sockets, self.cores, self.threads].into_iter().filter(|&n| n > 0);
        given.reduce(u32::saturating_mul)
    }
}

impl fmt::Display for Processors {
    /// As QEMU takes it. Where the count and the layout disagree the smaller one counts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = match (self.count, self.room()) {
            (0, room) => room.unwrap_or(1),
            (count, room) => count.min(room.unwrap_or(count)),
        };
        write!(f, "{count}")?;
        for (name, number) in
            [("sockets", self.sockets), ("cores", self.cores), ("threads", self.threads)]
        {
            if number > 0 {
                write!(f, ",{name}={number}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_and_layout_are_joined() {
        let smp = |count, sockets, cores, threads| {
            Processors { count, sockets, cores, threads }.to_string()
        };
        assert_eq!(smp(0, 0, 0, 0), "1");
        assert_eq!(smp(4, 0, 0, 0), "4");
        assert_eq!(smp(0, 2, 3, 2), "12,sockets=2,cores=3,threads=2");
        assert_eq!(smp(0, 0, 0, 2), "2,threads=2");
        assert_eq!(smp(2, 1, 4, 0), "2,sockets=1,cores=4");
        assert_eq!(smp(9, 1, 4, 0), "4,sockets=1,cores=4");
    }
}
