//! How fast the registry's pages are, and what of it is the database's.
//!
//! `taskset -c 0 cargo bench --bench registry-pages` fills a database with 10,000 buckets of
//! `VERSIONS` (5) versions (`BUCKETS`), each but the first built from another, SQLite first, then
//! PostgreSQL where it is installed. It asks for each kind of page `PAGES` (300) times, one after
//! the other, through HTTPS, and beside it runs the bare statement that finds the page's rows.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

#[path = "../../tests/web/visitor.rs"]
#[expect(dead_code, reason = "shared with the tests of the pages")]
mod visitor;

use std::time::{Duration, Instant};

use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, AssertSqlSafe};

use ingot_test_support::registry_server::Server;
use visitor::Visitor;

/// Ids of the rows that are made here are numbers of one length from here on.
const BASE: u64 = 10_000_000;

/// How many buckets are built from one.
const CHILDREN: u64 = 20;

const ROOT: &str = "/projects/default/buckets";

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[tokio::main(flavor = "current_thread")]
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
    sqlx::any::install_drivers(&[sqlx::sqlite::any::DRIVER, sqlx::postgres::any::DRIVER]).ok();
    let pool = AnyPoolOptions::new().max_connections(1).connect(url).await;
    let pool = pool.expect("the database can be opened");
    let (buckets, versions) = (setting("BUCKETS", 10_000), setting("VERSIONS", 5));
    let start = Instant::now();
    fill(&pool, &server.env["HCP_PROJECT_ID"], buckets, versions).await;
    println!(
        "{name}: {buckets} buckets of {versions} versions, made in {:.1} s{}",
        start.elapsed().as_secs_f64(),
        if cfg!(debug_assertions) { "; not optimized" } else { "" }
    );
    let mut visitor = Visitor::admin(&server).await;
    let bucket = |number: u64| format!("b{}", number.wrapping_mul(7919) % buckets + BASE);
    let list = "SELECT b.id, b.name, b.description, b.updated_at, v.number, v.fingerprint \
                FROM buckets b LEFT JOIN channels c ON c.bucket_id = b.id AND c.managed = 1 \
                LEFT JOIN versions v ON v.id = c.version_id";
    let project = &server.env["HCP_PROJECT_ID"];
    let of = format!("{list} WHERE b.project_id = '{project}'");
    let page = |after: &str| format!("{of} AND b.name > '{after}' ORDER BY b.name LIMIT 51");
    let found = |word: &str| {
        format!(
            "{of} AND (lower(b.name) LIKE '%{word}%' OR lower(b.description) LIKE '%{word}%') \
             ORDER BY b.name LIMIT 51"
        )
    };
    let token = |name: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(name)
    };
    let one = |name: &str| {
        format!(
            "SELECT v.*, d.* FROM buckets b JOIN versions v ON v.bucket_id = b.id \
             JOIN builds d ON d.version_id = v.id WHERE b.name = '{name}' ORDER BY v.id DESC"
        )
    };
    let family = |name: &str| {
        format!(
            "SELECT p.bucket_id, d.version_id FROM buckets b JOIN versions p ON p.bucket_id = b.id \
             JOIN builds d ON d.parent_version_id = p.id WHERE b.name = '{name}'"
        )
    };
    let history = |name: &str| {
        format!(
            "SELECT a.*, v.* FROM buckets b JOIN channels c ON c.bucket_id = b.id AND c.name = 'prod' \
             JOIN assignments a ON a.channel_id = c.id LEFT JOIN versions v ON v.id = a.version_id \
             WHERE b.name = '{name}' ORDER BY a.number DESC LIMIT 26"
        )
    };
    type Make<'a> = &'a dyn Fn(u64) -> (String, String);
    let kinds: [(&str, Make); 7] = [
        ("buckets, first page", &|_| (ROOT.into(), page(""))),
        ("buckets, any page", &|number| {
            let after = bucket(number);
            (format!("{ROOT}?after={}", token(&after)), page(&after))
        }),
        ("buckets, search", &|number| {
            let word = bucket(number)[3..].to_owned();
            (format!("{ROOT}?q={word}"), found(&word))
        }),
        ("a bucket", &|number| (format!("{ROOT}/{}", bucket(number)), one(&bucket(number)))),
        ("a version", &|number| {
            let number = number.wrapping_mul(7919) % buckets;
            let print = format!("f{}", number * versions + BASE);
            (format!("{ROOT}/b{}/versions/{print}", number + BASE), one(&bucket(number)))
        }),
        ("a channel", &|number| {
            (format!("{ROOT}/{}/channels/prod", bucket(number)), history(&bucket(number)))
        }),
        ("ancestry", &|number| {
            (format!("{ROOT}/{}/ancestry", bucket(number)), family(&bucket(number)))
        }),
    ];
    for (what, make) in kinds {
        let (mut pages, mut bare) = (Vec::new(), Vec::new());
        let (count, busy) = (setting("PAGES", 300), processor_time(server.pid()));
        for number in 0..count {
            let (path, sql) = make(number);
            let start = Instant::now();
            let answer = visitor.get(&path).await;
            pages.push(start.elapsed());
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
            assert!(answer.text.ends_with("</html>"), "{path}");
            let start = Instant::now();
            let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&pool).await;
            bare.push(start.elapsed());
            rows.expect("the database answers");
        }
        let busy = (processor_time(server.pid()) - busy) / count as f64;
        let (page, query) = (figures(pages), figures(bare));
        println!(
            "  {what:<20} p50 {:>7.2} ms  p99 {:>7.2} ms   bare query p50 {:>6.2} ms  \
             p99 {:>6.2} ms   ratio of p50 {:>5.1}   server's processor {busy:>6.2} ms each",
            page.0,
            page.1,
            query.0,
            query.1,
            page.0 / query.0
        );
    }
}

/// How long a process has had a processor, in milliseconds.
fn processor_time(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("Linux tells");
    let (_, fields) = stat.rsplit_once(") ").expect("the name's end");
    let ticks = fields.split(' ').skip(11).take(2).map(|it| it.parse::<f64>().expect("a number"));
    // A tick is a hundredth of a second wherever Linux runs today.
    ticks.sum::<f64>() * 10.0
}

/// The median and the 99th of a hundred, in milliseconds.
fn figures(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
    (at(0.5), at(0.99))
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
    let place = format!("((i - {BASE}) / {versions})");
    let bucket = format!("CAST({BASE} + {place} AS TEXT)");
    let number = format!("((i - {BASE}) % {versions} + 1)");
    let newest = format!("CAST({BASE} + (i - {BASE}) * {versions} + {versions} - 1 AS TEXT)");
    // The same number of the parent, the newest of which is its newest.
    let parent = format!("(({place} - 1) / {CHILDREN})");
    let parent_version = format!("CAST({BASE} + {parent} * {versions} + {number} - 1 AS TEXT)");
    let parent_channel = format!("'p' || CAST({BASE} + {parent} AS TEXT)");
    let first = format!("{place} = 0");
    let (few, all) = (numbers(buckets), numbers(buckets * versions));
    let channel = |prefix: &str, name: &str, managed: u8| {
        format!(
            "{few} INSERT INTO channels SELECT '{prefix}' || {id}, {id}, '{name}', {managed}, 0, \
             {newest}, 'x', 1, 1 FROM n"
        )
    };
    let build = |prefix: &str, platform: &str| {
        format!(
            "{all} INSERT INTO builds SELECT '{prefix}' || {id}, {id}, '{platform}.a', \
             'BUILD_DONE', '', '{platform}', '{{\"os\":\"debian\",\"team\":\"web\"}}', \
             '{{\"packer\":{{\"version\":\"1.16.0\"}}}}', '', \
             CASE WHEN {first} THEN NULL ELSE {parent_version} END, \
             CASE WHEN {first} THEN NULL ELSE {parent_channel} END, 1, 1, NULL FROM n"
        )
    };
    let artifact = |build: &str, region: &str| {
        format!(
            "{all} INSERT INTO artifacts SELECT '{build}{region}' || {id}, '{build}' || {id}, \
             'ami-' || {id}, '{region}', 1 FROM n"
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
            "{all} INSERT INTO assignments SELECT 'p' || {id}, 'p' || {bucket}, {number}, {id}, \
             'x', 1 FROM n"
        ),
        build("a", "aws"),
        build("d", "docker"),
        artifact("a", "eu-central-1"),
        artifact("a", "us-east-1"),
        artifact("d", "docker"),
        "UPDATE builds SET current_parent_bucket_id = \
         (SELECT p.bucket_id FROM versions p WHERE p.id = builds.parent_version_id) WHERE version_id \
         IN (SELECT version_id FROM channels WHERE managed = 1)"
            .into(),
        "ANALYZE".into(),
    ];
    for sql in statements {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.expect("the rows are made");
    }
}
