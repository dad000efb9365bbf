//! How much the registry's server can do, and what the database could do by itself.
//!
//! `cargo bench --bench registry` fills a database with 10,000 buckets of 20 versions
//! (`BUCKETS`, `VERSIONS`), SQLite first, then PostgreSQL where it is installed, and measures for
//! `SECONDS` each: reads of a channel and publishes through HTTPS with `CLIENTS` clients at once,
//! and beside them the same with bare statements on the database.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, AssertSqlSafe};
use tokio::task::JoinSet;

use ingot_test_support::registry_server::{Caller, Server};

/// Ids of the rows that are made here are numbers of one length from here on.
const BASE: u64 = 10_000_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[tokio::main]
async fn main() {
    let sqlite = tempfile::tempdir().expect("a directory");
    let file = sqlite.path().join("registry-server.db");
    measure("SQLite", &format!("sqlite://{}", file.display())).await;
    if let Some(postgres) = ingot_test_support::postgres::Postgres::start() {
        measure("PostgreSQL", &postgres.url()).await;
    }
}

async fn measure(name: &str, url: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["-rate-limit=0", "-database-url", url]);
    let admin = server.admin().await;
    sqlx::any::install_drivers(&[sqlx::sqlite::any::DRIVER, sqlx::postgres::any::DRIVER]).ok();
    let clients = setting("CLIENTS", 16);
    let sqlite = url.starts_with("sqlite");
    let pool = AnyPoolOptions::new()
        .max_connections(u32::try_from(clients).expect("a small number"))
        .after_connect(move |connection, _| {
            Box::pin(async move {
                if sqlite {
                    let set = "PRAGMA busy_timeout = 20000; PRAGMA synchronous = FULL";
                    sqlx::raw_sql(set).execute(connection).await?;
                }
                Ok(())
            })
        })
        .connect(url)
        .await
        .expect("the database can be opened");
    let (buckets, versions) = (setting("BUCKETS", 10_000), setting("VERSIONS", 20));
    let start = Instant::now();
    fill(&pool, &server.env["HCP_PROJECT_ID"], buckets, versions).await;
    println!(
        "{name}: {buckets} buckets of {versions} versions, made in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    run("channel reads, server", clients, |number| {
        let (admin, bucket) = (admin.clone(), pick(number, buckets));
        async move {
            let channel = admin.get(&format!("/buckets/{bucket}/channels/prod")).await;
            assert_eq!(channel["channel"]["name"], "prod");
        }
    })
    .await;
    run("channel reads, database", clients, |number| {
        let (pool, bucket) = (pool.clone(), pick(number, buckets));
        let project = server.env["HCP_PROJECT_ID"].clone();
        async move {
            let rows = sqlx::query(
                "SELECT c.id, v.fingerprint, v.number, d.component_type, d.labels, \
                 a.external_identifier, a.region FROM buckets b \
                 JOIN channels c ON c.bucket_id = b.id JOIN versions v ON v.id = c.version_id \
                 JOIN builds d ON d.version_id = v.id JOIN artifacts a ON a.build_id = d.id \
                 WHERE b.project_id = $1 AND b.name = $2 AND c.name = 'prod'",
            )
            .bind(project)
            .bind(bucket)
            .fetch_all(&pool)
            .await
            .expect("the database answers");
            assert_eq!(rows.len(), 1);
        }
    })
    .await;
    let prints = AtomicU64::new(0);
    run("publishes, server", clients, |number| {
        let (admin, bucket) = (admin.clone(), pick(number, buckets));
        let print = format!("new-{}", prints.fetch_add(1, Ordering::Relaxed));
        async move { publish(&admin, &bucket, &print).await }
    })
    .await;
    run("publishes, database", clients, |number| {
        let (pool, id) = (pool.clone(), number % buckets + BASE);
        let print = prints.fetch_add(1, Ordering::Relaxed);
        async move { publish_bare(&pool, sqlite, id, print).await }
    })
    .await;
}

/// The name of some bucket: all are hit alike, in no order.
fn pick(number: u64, buckets: u64) -> String {
    format!("b{}", number.wrapping_mul(7919) % buckets + BASE)
}

async fn publish(admin: &Caller, bucket: &str, print: &str) {
    let path = format!("/buckets/{bucket}/versions");
    admin.post(&path, json!({ "fingerprint": print })).await;
    let body = json!({ "component_type": "docker.a" });
    let build = admin.post(&format!("{path}/{print}/builds"), body).await;
    let id = build["build"]["id"].as_str().expect("an id");
    let body = json!({
        "status": "BUILD_DONE",
        "platform": "docker",
        "artifacts": [{ "external_identifier": print, "region": "docker" }],
    });
    admin.patch(&format!("{path}/{print}/builds/{id}"), body).await;
}

/// The least a publish can be: its rows, in one transaction.
async fn publish_bare(pool: &AnyPool, sqlite: bool, bucket: u64, print: u64) {
    let begin = if sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" };
    let mut tx = pool.begin_with(begin).await.expect("a transaction");
    let statements = [
        format!(
            "INSERT INTO versions (id, bucket_id, fingerprint, number, template_type, author, \
             revoked, revocation_message, revocation_author, revocation_type, revoke_rollback, \
             revoke_descendants, created_at, updated_at) VALUES ('bare{print}', '{bucket}', \
             'bare{print}', {}, 'HCL2', 'x', 0, '', '', '', 0, 0, 1, 1)",
            1_000_000 + print
        ),
        format!(
            "INSERT INTO builds (id, version_id, component_type, status, run_uuid, platform, \
             labels, metadata, source_external_identifier, created_at, updated_at) VALUES \
             ('bare{print}', 'bare{print}', 'a', 'BUILD_DONE', '', 'docker', '{{}}', '{{}}', '', 1, 1)"
        ),
        format!(
            "INSERT INTO artifacts (id, build_id, external_identifier, region, created_at) \
             VALUES ('bare{print}', 'bare{print}', 'x', 'docker', 1)"
        ),
        format!("UPDATE channels SET version_id = 'bare{print}' WHERE id = 'l{bucket}'"),
    ];
    for sql in statements {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *tx).await.expect("it is written");
    }
    tx.commit().await.expect("it is committed");
}

/// Runs work from many clients at once and prints how often and how fast it was done.
async fn run<W, F>(what: &str, clients: u64, work: W)
where
    W: Fn(u64) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let length = Duration::from_secs(setting("SECONDS", 20));
    let start = Instant::now();
    let mut number = 0;
    let mut times: Vec<Duration> = Vec::new();
    let mut running = JoinSet::new();
    let timed = |future: F| async move {
        let start = Instant::now();
        future.await;
        start.elapsed()
    };
    while number < clients {
        running.spawn(timed(work(number)));
        number += 1;
    }
    while let Some(time) = running.join_next().await {
        times.push(time.expect("the work is done"));
        if start.elapsed() < length {
            running.spawn(timed(work(number)));
            number += 1;
        }
    }
    let each = times.len() as f64 / start.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
    println!("  {what:<24} {each:>8.0}/s   p50 {:>7.2} ms   p99 {:>7.2} ms", at(0.5), at(0.99));
}

/// Fills the tables, by statements that make their rows themselves.
async fn fill(pool: &AnyPool, project: &str, buckets: u64, versions: u64) {
    let numbers = |count: u64| {
        let last = BASE + count - 1;
        format!(
            "WITH RECURSIVE n (i) AS (SELECT CAST({BASE} AS BIGINT) \
             UNION ALL SELECT i + 1 FROM n WHERE i < {last})"
        )
    };
    let id = "CAST(i AS TEXT)";
    let bucket = format!("CAST({BASE} + (i - {BASE}) / {versions} AS TEXT)");
    let number = format!("((i - {BASE}) % {versions} + 1)");
    let newest = format!("CAST({BASE} + (i - {BASE}) * {versions} + {versions} - 1 AS TEXT)");
    let (few, all) = (numbers(buckets), numbers(buckets * versions));
    let channel = |prefix: &str, name: &str, managed: u8| {
        format!(
            "{few} INSERT INTO channels SELECT '{prefix}' || {id}, {id}, '{name}', {managed}, 0, \
             {newest}, 'x', 1, 1 FROM n"
        )
    };
    let statements = [
        format!(
            "{few} INSERT INTO buckets SELECT {id}, '{project}', 'b' || {id}, 'A bucket', \
             '{{\"os\":\"debian\"}}', 1, 1, {versions} FROM n"
        ),
        format!(
            "{all} INSERT INTO versions SELECT {id}, {bucket}, 'f' || {id}, {number}, 'HCL2', 'x', \
             NULL, 0, '', '', 'REVOCATION_TYPE_UNSET', NULL, 0, 0, 1, 1, NULL FROM n"
        ),
        channel("l", "latest", 1),
        channel("p", "prod", 0),
        format!(
            "{all} INSERT INTO assignments SELECT 'l' || {id}, 'l' || {bucket}, {number}, {id}, \
             'x', 1 FROM n"
        ),
        format!(
            "{all} INSERT INTO builds SELECT {id}, {id}, 'docker.a', 'BUILD_DONE', '', 'docker', \
             '{{\"os\":\"debian\"}}', '{{}}', '', NULL, NULL, 1, 1, NULL FROM n"
        ),
        format!(
            "{all} INSERT INTO artifacts SELECT {id}, {id}, 'sha256:' || {id}, 'docker', 1 FROM n"
        ),
        "ANALYZE".into(),
    ];
    for sql in statements {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.expect("the rows are made");
    }
}
