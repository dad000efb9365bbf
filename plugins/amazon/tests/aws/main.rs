//! What this crate does against a real moto server. The data sources and the sources of
//! credentials are tested through the program.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

use ingot_test_support::require;
mod proxy;
use std::sync::Arc;

use ingot_amazon::AmazonEcr;
use ingot_amazon::access::{Access, AccessOptions};
use ingot_amazon::failure::{Failure, Kind};
use ingot_amazon::filter::AmiFilter;
use ingot_amazon::json_call::JsonService;
use ingot_sdk::ecr::{EcrAccount, EcrLogin};
use ingot_sdk::testing::RecordedOutput;
use ingot_sdk::{EventSink, Ui};
use ingot_test_support::moto::{Moto, REGION};
use proxy::{Fault, Proxy};
use serde_json::json;

const LIMITED: &str = "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request \
                       limit exceeded.</Message></Error></Errors></Response>";
const DENIED: &str = "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are \
                      not authorized to perform this operation. Encoded authorization failure \
                      message: abc-DEF_1</Message></Error></Errors></Response>";

fn ui() -> Ui {
    Ui::new(Arc::new(RecordedOutput::default()) as Arc<dyn EventSink>)
}

async fn access(endpoint: &str, adjust: impl FnOnce(&mut AccessOptions)) -> Access {
    let mut options = AccessOptions {
        access_key: Some("AKIAIOSFODNN7EXAMPLE".into()),
        secret_key: Some("secret".into()),
        region: Some(REGION.into()),
        custom_endpoint_ec2: Some(endpoint.to_owned()),
        ..Default::default()
    };
    adjust(&mut options);
    Access::open(&options, &ui()).await.unwrap()
}

fn trusty() -> AmiFilter {
    AmiFilter {
        filters: [("name".to_owned(), "ubuntu/images/*trusty*".to_owned())].into(),
        owners: vec!["099720109477".into()],
        most_recent: true,
        ..Default::default()
    }
}

#[tokio::test]
async fn throttled_and_broken_calls_are_created_again() {
    let moto = require!(Moto::start());
    let faults = [Fault::Answer(503, LIMITED), Fault::Cut, Fault::Half];
    let proxy = Proxy::start(moto.port, &faults);
    let access = access(&proxy.endpoint(), |_| {}).await;
    let image = trusty().find(&access.client(REGION), None).await.unwrap();
    assert_eq!(image.image_id(), Some("ami-1e749f67"));
    assert_eq!(proxy.calls(), 4);
}

#[tokio::test]
async fn patience_ends_with_a_failure_that_says_why() {
    let moto = require!(Moto::start());
    let proxy = Proxy::start(moto.port, &[Fault::Answer(503, LIMITED); 2]);
    let access = access(&proxy.endpoint(), |options| options.max_retries = Some(2)).await;
    let failure = trusty().find(&access.client(REGION), None).await.unwrap_err();
    assert_eq!((failure.kind, proxy.calls()), (Kind::Throttled, 2));
    assert!(failure.is("RequestLimitExceeded") && failure.hint.unwrap().contains("max_retries"));
}

#[tokio::test]
async fn refusals_are_reported_at_once_and_decoded_where_that_is_asked_for() {
    let moto = require!(Moto::start());
    let proxy = Proxy::start(moto.port, &[Fault::Answer(403, DENIED)]);
    let access = access(&proxy.endpoint(), |_| {}).await;
    let failure = trusty().find(&access.client(REGION), None).await.unwrap_err();
    assert_eq!((failure.kind, proxy.calls()), (Kind::Denied, 1));
    let error = access.explain(failure.into()).await;
    assert!(error.to_string().contains("abc-DEF_1 (UnauthorizedOperation)"), "{error}");
    assert!(error.advice().unwrap().contains("policies do not allow this"));
}

#[tokio::test]
async fn the_error_of_a_missing_ami_names_its_id() {
    let moto = require!(Moto::start());
    let access = access(&moto.endpoint(), |_| {}).await;
    let ec2 = access.client(REGION);
    let filter = AmiFilter::default();
    let failure = filter.find(&ec2, Some("ami-0123456789abcdef0")).await.unwrap_err();
    assert_eq!(failure.kind, Kind::NotFound, "{failure}");
    assert!(failure.message.contains("ami-0123456789abcdef0"), "{failure}");
    let image = filter.find(&ec2, Some("ami-1e749f67")).await.unwrap();
    assert_eq!(image.owner_id(), Some("099720109477"));
    let gone = ec2.describe_instances().instance_ids("i-0123456789abcdef0").send().await;
    let failure = Failure::from(gone.unwrap_err());
    assert!(failure.is("InvalidInstanceID.NotFound") && failure.kind == Kind::NotFound);
}

#[tokio::test]
async fn the_endpoint_of_the_options_is_that_of_their_region() {
    let moto = require!(Moto::start());
    let proxy = Proxy::start(moto.port, &[]);
    let directory = tempfile::tempdir().unwrap();
    let options = AccessOptions {
        profile: Some("here".into()),
        shared_credentials_file: Some(profile(&directory, &moto.endpoint())),
        custom_endpoint_ec2: Some(proxy.endpoint()),
        ..Default::default()
    };
    let access = Access::open(&options, &ui()).await.unwrap();
    access.client("eu-west-1").describe_regions().send().await.unwrap();
    assert_eq!(proxy.calls(), 0);
    access.client(REGION).describe_regions().send().await.unwrap();
    assert_eq!(proxy.calls(), 1);
}

#[tokio::test]
async fn an_unknown_code_with_a_status_of_the_server_may_pass() {
    let moto = require!(Moto::start());
    let strange = "<Response><Errors><Error><Code>Strange</Code><Message>Oops.</Message></Error>\
                   </Errors></Response>";
    let proxy =
        Proxy::start(moto.port, &[Fault::Answer(502, strange), Fault::Answer(400, strange)]);
    let access = access(&proxy.endpoint(), |options| options.max_retries = Some(1)).await;
    for kind in [Kind::Broken, Kind::Refused] {
        let failure = trusty().find(&access.client(REGION), None).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{failure}");
    }
}

#[tokio::test]
async fn nobody_there_is_a_failure_of_the_network() {
    let access = access("http://127.0.0.1:9", |options| options.max_retries = Some(1)).await;
    let failure = trusty().find(&access.client(REGION), None).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Unreachable, "{failure}");
    assert!(failure.message.contains("refused"), "{failure}");
}

/// A file with a profile that leads to `endpoint`, so that no environment is needed.
fn profile(directory: &tempfile::TempDir, endpoint: &str) -> String {
    let path = directory.path().join("credentials");
    let text = format!(
        "[here]\naws_access_key_id = k\naws_secret_access_key = s\nregion = {REGION}\n\
         endpoint_url = {endpoint}\n"
    );
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn calls_of_json_services_are_created_again_too() {
    let moto = require!(Moto::start());
    let limited = "{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}";
    let proxy = Proxy::start(moto.port, &[Fault::Answer(400, limited), Fault::Cut, Fault::Half]);
    let directory = tempfile::tempdir().unwrap();
    let options = AccessOptions {
        profile: Some("here".into()),
        shared_credentials_file: Some(profile(&directory, &proxy.endpoint())),
        ..Default::default()
    };
    let access = Access::open(&options, &ui()).await.unwrap();
    assert_eq!(access.region(), REGION);
    let ssm = JsonService { id: "SSM", host: "ssm", signing_name: "ssm", target: "AmazonSSM" };
    let failure =
        access.call(&ssm, REGION, "GetParameter", &json!({ "Name": "/none" })).await.unwrap_err();
    assert!(failure.is("ParameterNotFound"), "{failure}");
    assert_eq!(proxy.calls(), 4);
}

#[tokio::test]
async fn ecr_gives_a_password() {
    let moto = require!(Moto::start());
    // The account's profile is all that leads to the server.
    let directory = tempfile::tempdir().unwrap();
    let file = profile(&directory, &moto.endpoint());
    let server = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
    let account = EcrAccount { profile: Some("here".into()), ..Default::default() };
    assert!(AmazonEcr::default().knows(server, &account));
    assert!(!AmazonEcr::default().knows("ghcr.io", &account));
    let login = AmazonEcr::with_credentials_file(file);
    let credentials = login.login(server, &account, &ui()).await.unwrap();
    assert_eq!(credentials.username, "AWS");
    assert_eq!(credentials.password, "123456789012-auth-token");
}
