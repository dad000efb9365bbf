//! How often somebody may ask: buckets of tokens, one for each, in this server's memory.

use std::collections::HashMap;
use std::time::Instant;

use super::secret;
use ingot_registry::api::{Code, Error, Result};
use parking_lot::Mutex;

/// How many buckets are kept; those that are full again are forgotten then, and if few are, all.
const MOST: usize = 10_000;

#[derive(Debug)]
struct Meter {
    /// How many a second.
    rate: f64,
    /// How many at once.
    burst: f64,
    left: Mutex<HashMap<String, (f64, Instant)>>,
}

impl Meter {
    fn new(rate: f64, burst: f64) -> Self {
        Meter { rate, burst, left: Mutex::default() }
    }

    /// Takes `cost` out of somebody's bucket; whether there was one left.
    fn take(&self, who: &str, cost: f64) -> bool {
        let now = Instant::now();
        let mut left = self.left.lock();
        let refilled = |(tokens, at): (f64, Instant)| {
            (tokens + now.duration_since(at).as_secs_f64() * self.rate).min(self.burst)
        };
        if left.len() >= MOST && !left.contains_key(who) {
            left.retain(|_, entry| refilled(*entry) < self.burst);
            if left.len() > MOST / 2 {
                left.clear();
            }
        }
        let tokens = left.get(who).copied().map_or(self.burst, refilled);
        let enough = tokens >= 1.0;
        left.insert(who.to_owned(), (if enough { tokens - cost } else { tokens }, now));
        enough
    }
}

/// The limits of a server.
#[derive(Debug)]
pub(super) struct Limits {
    requests: Option<Meter>,
    failures: Meter,
}

impl Limits {
    /// `rate` requests a second for each principal, 0 for any number.
    pub(crate) fn new(rate: u32) -> Self {
        let rate = f64::from(rate);
        Limits {
            requests: (rate > 0.0).then(|| Meter::new(rate, rate * 2.0)),
            failures: Meter::new(0.5, 20.0),
        }
    }

    /// A request of a principal.
    pub(crate) fn request(&self, principal: &str) -> Result<()> {
        match self.requests.as_ref().is_none_or(|meter| meter.take(principal, 1.0)) {
            true => Ok(()),
            false => Err(Error::new(Code::ResourceExhausted, "too many requests; slow down")),
        }
    }

    /// Whether an address may try to sign in as somebody, which it may not after too many failures.
    /// Others behind the same proxy, which have the same address, may.
    pub(crate) fn sign_in(&self, address: &str, who: &str) -> Result<()> {
        match self.failures.take(&key(address, who), 0.0) {
            true => Ok(()),
            false => Err(Error::new(
                Code::ResourceExhausted,
                "too many failed attempts to sign in; wait a minute",
            )),
        }
    }

    /// An address failed to sign in as somebody.
    pub(crate) fn failed(&self, address: &str, who: &str) {
        self.failures.take(&key(address, who), 1.0);
    }
}

/// A name may be of any length; its hash is not.
fn key(address: &str, who: &str) -> String {
    format!("{address} {}", secret::hash(who))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_runs_dry_and_only_its_own() {
        let limits = Limits::new(1);
        assert!(limits.request("a").is_ok() && limits.request("a").is_ok());
        assert!(limits.request("a").is_err());
        assert!(limits.request("b").is_ok());
        for _ in 0..20 {
            limits.failed("x", "a");
        }
        assert!(limits.sign_in("x", "a").is_err());
        assert!(limits.sign_in("x", "b").is_ok() && limits.sign_in("y", "a").is_ok());
    }
}
