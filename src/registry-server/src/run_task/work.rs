//! Doing what calls ask for. What is to be done is in the database, so that another server, or this
//! one after a start, does it where one was stopped.

use std::time::{Duration, Instant};

use reqwest::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::super::{App, Shared};
use super::call::{OLDEST, Work};
use super::outcome;
use super::remote::{Failure, PlanJson, Remote, client};
use crate::progress::{AGAIN, BackgroundTask};
use ingot_plan_check::{Behaviour, Inventory, Plan, PlanError, Rules, check};
use ingot_registry::api::{Code, Error, Result, RunTaskBehaviour, RunTaskConfig, Timestamp};
use ingot_registry::service::{Caller, Session, forget_run_tasks};
use ingot_registry::store::{Role, RunTaskJob, transaction};

/// How often to look for what other servers left.
const POLL: Duration = Duration::from_secs(1);
/// How long all of it may take.
const LONGEST: Duration = Duration::from_secs(150);
/// How long other servers leave a call alone that one has begun, unless that one says again that it
/// is at it.
const LEASE: Duration = Duration::from_secs(30);
/// How often it says so.
const RENEW: Duration = Duration::from_secs(10);
/// How many calls are worked on at once: mostly they wait for Terraform.
const AT_ONCE: usize = 16;
/// How often to try, with a second, two, four… between: Terraform waits for ten minutes.
const ATTEMPTS: i64 = 8;
/// How often to forget old calls.
const FORGET: Duration = Duration::from_secs(3600);

fn from_now(micros: i128) -> Timestamp {
    let now = i128::from(Timestamp::now().micros().unwrap_or_default());
    Timestamp::from_micros(i64::try_from(now + micros).ok())
}

fn later(wait: Duration) -> Timestamp {
    from_now(wait.as_micros() as i128)
}

/// Works until the token is cancelled.
pub(in super::super) async fn run(app: Shared, stop: CancellationToken) {
    let client = tokio::select! {
        () = stop.cancelled() => return,
        client = app.progress.until_created(BackgroundTask::RunTasks, AGAIN, client) => client,
    };
    let mut forgotten = None::<Instant>;
    // Each is on its own: one that takes long does not hold up the others, and one that is in the
    // middle of a transaction goes on while the next are taken.
    let mut jobs = JoinSet::new();
    loop {
        let free = !stop.is_cancelled() && jobs.len() < AT_ONCE;
        if free {
            match take(&app, AT_ONCE - jobs.len()).await {
                Ok(taken) => {
                    for job in taken {
                        jobs.spawn(one(Shared::clone(&app), client.clone(), stop.clone(), job));
                    }
                }
                Err(error) => tracing::error!(%error, "run tasks could not be carried out"),
            }
        }
        if forgotten.is_none_or(|at| at.elapsed() > FORGET) {
            forgotten = Some(Instant::now());
            // A day more than what is refused, for clocks that differ.
            let before = from_now(-((OLDEST.as_micros() + 86_400_000_000) as i128));
            if let Err(error) = forget_run_tasks(&app.store, before).await {
                tracing::error!(%error, "old run tasks could not be forgotten");
            }
        }
        app.progress.round(BackgroundTask::RunTasks);
        let free = jobs.len() < AT_ONCE && !stop.is_cancelled();
        tokio::select! {
            Some(done) = jobs.join_next() => match done {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(%error, "what became of a run task was not written down");
                }
                Err(error) => tracing::error!(%error, "a run task broke"),
            },
            () = app.run_tasks.notifier.notified(), if free => {}
            () = tokio::time::sleep(POLL), if free => {}
            () = stop.cancelled(), if free => {}
            else => return,
        }
    }
}

/// What is due, so many at most.
async fn take(app: &App, count: usize) -> Result<Vec<RunTaskJob>> {
    if !app.store.read().await?.run_tasks_due().await? {
        return Ok(Vec::new());
    }
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    transaction!(app.store, |tx| tx.take_run_tasks(later(LEASE), count))
}

/// Does one, or lets it be when this server stops.
async fn one(app: Shared, client: Client, stop: CancellationToken, job: RunTaskJob) -> Result<()> {
    let (app, client, job) = (&*app, &client, &job);
    let ended = tokio::select! {
        () = stop.cancelled() => None,
        ended = tokio::time::timeout(LONGEST, work(app, client, job)) => Some(ended),
        () = renew(app, job) => None,
    };
    match ended {
        // The next server begins at once.
        None => transaction!(app.store, |tx| tx.put_off_run_task(job, Timestamp::now())),
        Some(Ok(result)) => result,
        Some(Err(_)) => again(app, client, job, "it took too long").await,
    }
}

/// Keeps other servers from a call.
async fn renew(app: &App, job: &RunTaskJob) {
    loop {
        tokio::time::sleep(RENEW).await;
        if let Err(error) = transaction!(app.store, |tx| tx.put_off_run_task(job, later(LEASE))) {
            tracing::error!(%error, "a run task could not be kept");
        }
    }
}

async fn work(app: &App, client: &Client, job: &RunTaskJob) -> Result<()> {
    let remote = Remote::new(client, &app.run_tasks);
    let work = read(job)?;
    // Where a server ended in the middle nobody counted but the database.
    if job.attempts > ATTEMPTS {
        let why = format!("it was started {ATTEMPTS} times and never finished");
        return end(app, &remote, job, &work, &outcome::failed(&why), "failed").await;
    }
    let Some(url) = &work.plan else {
        let why = format!(
            "there is no plan at the stage {}; attach the run task after the plan (post_plan)",
            work.stage
        );
        return end(app, &remote, job, &work, &outcome::failed(&why), "failed").await;
    };
    // That it takes a moment is good to know, no more.
    if job.attempts == 1
        && let Err(failure) = remote.report(&work, &outcome::running()).await
    {
        let (result, why) = (&job.task_result_id, failure.why());
        tracing::warn!(result, why, "a run task's progress could not be reported");
    }
    let json = match remote.plan(url, &work.token).await {
        Ok(json) => json,
        Err(Failure::Passing(why)) => return again(app, client, job, &why).await,
        Err(Failure::Lasting(why)) => {
            return end(app, &remote, job, &work, &outcome::failed(&why), "failed").await;
        }
    };
    // What is large takes a processor for seconds, which others must not wait for.
    let read = tokio::task::spawn_blocking(move || {
        let PlanJson { bytes, permit } = json;
        let plan = Plan::read(&bytes)?;
        drop(bytes);
        let inventory = Inventory::of(&plan);
        drop((plan, permit));
        Ok::<_, PlanError>(inventory)
    });
    let inventory = match read.await {
        Ok(Ok(inventory)) => inventory,
        Ok(Err(error)) => {
            let body = outcome::failed(&format!("of the plan that Terraform gave, {error}"));
            return end(app, &remote, job, &work, &body, "failed").await;
        }
        Err(_) => return again(app, client, job, "reading the plan failed").await,
    };
    let report = match session(app, job).await {
        Ok(session) => check(inventory, &session, &rules(&job.config)).await,
        Err(error) => Err(error),
    };
    match report {
        Ok(report) => {
            let body = outcome::checked(&report, &app.run_tasks.options.public_url, work.outcomes);
            end(app, &remote, job, &work, &body, &report.summary()).await
        }
        Err(error) if error.code.is_transient() => {
            again(app, client, job, &format!("the registry failed: {error}")).await
        }
        Err(error) => {
            let body = outcome::failed(&error.message);
            end(app, &remote, job, &work, &body, "failed").await
        }
    }
}

fn read(job: &RunTaskJob) -> Result<Work> {
    // What serde says may quote the token.
    let wrong = |_| Error::new(Code::Internal, "a stored request of a run task cannot be read");
    serde_json::from_str(&job.call).map_err(wrong)
}

fn rules(config: &RunTaskConfig) -> Rules {
    let behaviour = |it| match it {
        RunTaskBehaviour::Fail => Behaviour::Fail,
        RunTaskBehaviour::Warn | RunTaskBehaviour::Unset => Behaviour::Warn,
    };
    Rules {
        untracked: behaviour(config.on_untracked_image),
        outdated: behaviour(config.on_outdated_image),
        ..Rules::default()
    }
}

/// The view of the project, with its restricted channels.
async fn session(app: &App, job: &RunTaskJob) -> Result<Session> {
    let project = app.store.project(&job.location).await?;
    let project = project.ok_or_else(|| Error::not_found("the project is gone"))?;
    let caller = Caller {
        id: "run-task".into(),
        name: "run task".into(),
        role: Role::Contributor,
        address: String::new(),
    };
    let name = project.name.clone();
    Ok(Session::new(app.store.clone(), project, caller, name))
}

/// Sends the result, and is done with it if Terraform took it or never will.
async fn end(
    app: &App,
    remote: &Remote<'_>,
    job: &RunTaskJob,
    work: &Work,
    body: &serde_json::Value,
    summary: &str,
) -> Result<()> {
    match remote.report(work, body).await {
        Ok(()) => {
            tracing::info!(result = job.task_result_id, summary, "a run task is done");
            transaction!(app.store, |tx| tx.end_run_task(job, summary))
        }
        Err(Failure::Passing(why)) if job.attempts < ATTEMPTS => put_off(app, job, &why).await,
        Err(failure) => {
            let (result, why) = (&job.task_result_id, failure.why());
            tracing::error!(result, why, "gave up reporting a run task's result");
            transaction!(app.store, |tx| tx.end_run_task(job, why))
        }
    }
}

/// Tries again later, or says that it failed.
async fn again(app: &App, client: &Client, job: &RunTaskJob, why: &str) -> Result<()> {
    if job.attempts < ATTEMPTS {
        return put_off(app, job, why).await;
    }
    let remote = Remote::new(client, &app.run_tasks);
    end(app, &remote, job, &read(job)?, &outcome::failed(why), why).await
}

async fn put_off(app: &App, job: &RunTaskJob, why: &str) -> Result<()> {
    tracing::warn!(result = job.task_result_id, why, "a run task is tried again");
    let exponent = u32::try_from(job.attempts - 1).unwrap_or(0).min(6);
    let until = later(Duration::from_secs(1 << exponent));
    transaction!(app.store, |tx| tx.put_off_run_task(job, until))
}
