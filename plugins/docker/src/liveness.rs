//! Waiting for the Engine, which may say nothing any more.
//!
//! Over TCP a connection can be lost without a word: the Engine's machine loses power, or something
//! between the two forgets a connection on which nothing happened for some minutes. Whoever waits on
//! it would wait for ever, so that long waits ask on a new connection whether the Engine is there.

use bollard::errors::Error as EngineError;
use ingot_sdk::{Error, Result};

use crate::engine::{Engine, describe, is_refusal};

/// How many questions in a row the Engine may leave without an answer.
const MOST_MISSED: u32 = 3;

/// How many questions in a row the Engine has left without an answer.
#[derive(Debug, Default)]
pub(crate) struct MissedPings(u32);

impl MissedPings {
    /// Whether it answered the last one.
    pub(crate) fn is_none(&self) -> bool {
        self.0 == 0
    }

    /// Starts anew, as it answered.
    pub(crate) fn reset(&mut self) {
        self.0 = 0;
    }

    /// Counts one more, which ended with `error`.
    ///
    /// # Errors
    /// They are too many: the Engine does not answer any more.
    pub(crate) fn add(&mut self, engine: &Engine, error: &EngineError) -> Result<()> {
        self.0 += 1;
        if self.0 < MOST_MISSED { Ok(()) } else { Err(engine.unresponsive_error(error)) }
    }
}

impl Engine {
    /// Waits for the answer to a call that the Engine has an answer to at once.
    pub(crate) async fn ask<T>(
        &self,
        call: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let answer = tokio::time::timeout(self.patience.answer, call).await;
        answer.unwrap_or(Err(EngineError::RequestTimeoutError))
    }

    /// Waits for `work`, which the Engine may need long for, as long as it answers other calls.
    ///
    /// # Errors
    /// It does not answer any more.
    pub(crate) async fn while_alive<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            lost = self.lost() => Err(lost),
        }
    }

    /// Asks whether it is there.
    ///
    /// # Errors
    /// It does not answer, or cannot work.
    pub(crate) async fn ping(&self) -> Result<(), EngineError> {
        match self.ask(self.api.ping()).await {
            Err(error) if !is_refusal(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Ends, with the reason, when the Engine does not answer any more.
    pub(crate) async fn lost(&self) -> Error {
        let mut missed = MissedPings::default();
        loop {
            tokio::time::sleep(self.patience.silence).await;
            match self.ping().await {
                Ok(()) => missed.reset(),
                Err(error) => {
                    if let Err(error) = missed.add(self, &error) {
                        return error;
                    }
                }
            }
        }
    }

    /// That it does not answer any more, which `last` was the last to show. Not to be tried again:
    /// what it was asked to do may have been done.
    fn unresponsive_error(&self, last: &EngineError) -> Error {
        let host = &self.endpoint.host;
        let why = describe(last);
        Error::new(format!("the Docker Engine at {host} does not respond any more: {why}"))
            .hint("look whether its machine, and the network or VPN on the way there, are up")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ingot_test_support::require;

    use crate::archive;
    use crate::exec::Runner;
    use crate::mounts::Mounts;
    use crate::patience::Patience;
    use crate::reclaim::{is_taken, remove_container, remove_image};
    use crate::test_engine::{Hold, TestEngine};

    #[tokio::test]
    async fn work_may_take_long_as_long_as_the_engine_answers() {
        let test = require!(TestEngine::start().await);
        let mut engine = test.connect().await;
        engine.patience.silence = Duration::from_millis(10);
        let work = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            7
        };
        assert_eq!(engine.while_alive(work).await.unwrap(), 7);
        engine.patience.answer = Duration::from_millis(10);
        test.hold(Hold::All);
        let work = engine.while_alive(std::future::pending::<()>());
        let limit = Duration::from_secs(30);
        let error = tokio::time::timeout(limit, work).await.expect("it hangs").unwrap_err();
        assert!(error.to_string().contains("does not respond any more"), "{error}");
        assert!(error.advice().unwrap().contains("VPN"), "{error}");
    }

    #[tokio::test]
    async fn an_engine_whose_proxy_refuses_the_question_is_there() {
        let test = require!(TestEngine::start().await);
        let mut engine = test.connect().await;
        engine.patience.silence = Duration::from_millis(10);
        test.hold(Hold::Refuse("/_ping"));
        let work = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            7
        };
        assert_eq!(engine.while_alive(work).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn what_the_engine_need_not_work_for_is_not_waited_for_without_end() {
        let test = require!(TestEngine::start().await);
        let mut engine = test.connect().await;
        let short = Duration::from_millis(10);
        engine.patience = Patience { silence: short, answer: short, ..Patience::default() };
        test.hold(Hold::All);
        let runner = Runner::new(engine.clone(), "none".to_owned());
        let asking = async {
            let error = Mounts::of(&runner).await.unwrap_err();
            assert_eq!(error.to_string(), "looking at the container: no answer in time");
            archive::path_kind(&engine, "none", "/").await.unwrap_err();
            engine.inspect_image_of("none", "linux/amd64").await.unwrap_err();
            remove_container(&engine, "none").await.unwrap_err();
            remove_image(&engine, "none").await.unwrap_err();
            is_taken(&engine, "none").await.unwrap_err();
        };
        tokio::time::timeout(Duration::from_secs(30), asking).await.expect("it hangs");
    }
}
