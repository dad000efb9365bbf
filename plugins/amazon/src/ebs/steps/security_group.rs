//! Who reaches the instance.

use std::time::Duration;

use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, ResourceType};
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Context, Error, Result, RunContext, Step, async_trait, http};

use super::{State, once};
use crate::ebs::choices::Cidr;
use crate::ebs::creation::{Creation, Patience, create};
use crate::ebs::options::given;
use crate::ebs::region_access::note_account;
use crate::ebs::removal::{find_security_group, look_for, remove_security_group};
use crate::ebs::resources::SECURITY_GROUP;
use crate::ebs::tags::{marked, specification};
use crate::failure::{During, Failure, Kind};
use crate::filter::filter;

/// Tells which address a machine has on the internet.
const WHAT_IS_MY_ADDRESS: &str = "https://checkip.amazonaws.com";
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(30);
/// The longest answer, in bytes; an address has fewer.
const LONGEST_ANSWER: usize = 1024;

/// Finds the security groups of the instance, or makes one for the build.
pub(super) struct MakeSecurityGroup;

#[async_trait]
impl Step<State> for MakeSecurityGroup {
    fn name(&self) -> &'static str {
        "security group"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let network = &state.settings.raw.network;
        let mut ids = network.security_group_ids.clone();
        ids.extend(given(&network.security_group_id).map(str::to_owned));
        if !ids.is_empty() {
            let request = state.ec2.describe_security_groups();
            let found = request.set_group_ids(Some(ids.clone())).send().await;
            found.during("looking for the security groups")?;
            state.security_groups = ids;
            return Ok(());
        }
        let wanted = network.security_group_filter.as_ref().map(|filter| filter.all());
        if let Some(mut wanted) = wanted.filter(|wanted| !wanted.is_empty()) {
            if let Some(vpc) = &state.subnet.vpc {
                wanted.insert("vpc-id".to_owned(), vpc.clone());
            }
            let filters = wanted.iter().map(|(name, value)| filter(name, value)).collect();
            let request = state.ec2.describe_security_groups().set_filters(Some(filters));
            let response = request.send().await.during("looking for the security groups")?;
            let groups = response.security_groups().iter();
            let ids: Vec<String> =
                groups.filter_map(|group| group.group_id().map(str::to_owned)).collect();
            if ids.is_empty() {
                return Err(Error::new("security_group_filter: no security group matches"));
            }
            ctx.ui.say(format!("Found Security Group(s): {}", ids.join(", ")));
            state.security_groups = ids;
            return Ok(());
        }
        make(ctx, state).await
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, _: Outcome) {
        let Some((name, mut creation)) = state.created_group.take() else { return };
        ctx.ui.say("Deleting temporary security group...");
        let known = creation.settle().await;
        let removed = async {
            let id = match known {
                Some(id) => Some(id),
                None => {
                    let run = &ctx.prepare.run_uuid;
                    look_for(|| find_security_group(&state.ec2, &name, run)).await?
                }
            };
            match id {
                Some(id) => remove_security_group(&state.ec2, &id).await,
                None => Ok(()),
            }
        };
        match removed.await {
            Ok(()) => creation.done(),
            Err(failure) => super::left_behind(ctx, &format!("the security group {name}"), failure),
        }
    }
}

async fn make(ctx: &RunContext, state: &mut State) -> Result<()> {
    let name = format!("packer_{}", uuid::Uuid::new_v4());
    ctx.ui.say(format!("Creating temporary security group for this instance: {name}"));
    let tags = specification(ResourceType::SecurityGroup, marked(ctx, &state.run_tags(ctx)?));
    let ec2 = state.ec2.clone();
    let request = once(&ec2)
        .create_security_group()
        .group_name(&name)
        .description("Temporary group for an image build")
        .set_vpc_id(state.subnet.vpc.clone())
        .set_tag_specifications(tags.map(|tags| vec![tags]));
    let (wanted, run) = (name.clone(), ctx.prepare.run_uuid.clone());
    let (cancel, journal) = (state.patience(ctx), ctx.journal.clone());
    let call = async move {
        let attempt = || async {
            let response = request.clone().send().await;
            let response = response.during("creating the temporary security group")?;
            note_account(&journal, response.security_group_arn());
            response.group_id.ok_or_else(|| {
                Failure::new(Kind::Refused, "AWS created a security group without an id")
            })
        };
        let find = || look_for(|| find_security_group(&ec2, &wanted, &run));
        create(&cancel, attempt, find, |_| false).await
    };
    let creation = Creation::begin(ctx, &state.resource(SECURITY_GROUP, &name), call)?;
    let id = state.created_group.insert((name, creation)).1.created().await?;
    state.security_groups = vec![id.clone()];
    if state.settings.uses_session_manager() {
        // The instance calls Systems Manager, and nobody calls the instance.
        return Ok(());
    }
    let Some(port) = state.settings.communication.port() else { return Ok(()) };
    let sources = sources(ctx, state).await?;
    let texts: Vec<&str> = sources.iter().map(|source| source.text.as_str()).collect();
    ctx.ui.say(format!(
        "Authorizing access to port {port} from [{}] in the temporary security groups...",
        texts.join(" ")
    ));
    authorize(&state.patience(ctx), state, &id, port, &sources).await?;
    Ok(())
}

async fn authorize(
    cancel: &Patience,
    state: &State,
    group: &str,
    port: u16,
    sources: &[Cidr],
) -> Result<(), Failure> {
    let mut permission =
        IpPermission::builder().ip_protocol("tcp").from_port(port.into()).to_port(port.into());
    for source in sources {
        permission = match source.v6 {
            true => permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(&source.text).build()),
            false => permission.ip_ranges(IpRange::builder().cidr_ip(&source.text).build()),
        };
    }
    let request = state.ec2.authorize_security_group_ingress().group_id(group);
    let request = request.ip_permissions(permission.build());
    let attempt = || async {
        match request.clone().send().await.during("opening the temporary security group") {
            // By a call whose answer was lost.
            Err(failure) if failure.is("InvalidPermission.Duplicate") => Ok(()),
            response => response.map(drop),
        }
    };
    // A new group is not seen by all of AWS at once.
    create(cancel, attempt, || async { Ok(None) }, |failure| failure.kind == Kind::NotFound).await
}

/// Who is let in.
async fn sources(ctx: &RunContext, state: &State) -> Result<Vec<Cidr>> {
    let own = state.settings.raw.network.temporary_security_group_source_public_ip;
    let given = &state.settings.sources;
    if !own || !given.is_empty() {
        if own {
            ctx.ui.say(
                "Using temporary_security_group_source_public_ip with \
                 temporary_security_group_source_cidrs is unsupported, ignoring \
                 temporary_security_group_source_public_ip.",
            );
        }
        return Ok(given.clone());
    }
    ctx.ui.say("Checking current host's public IP...");
    let source = own_address(WHAT_IS_MY_ADDRESS, ANSWER).await;
    let source = source.map_err(|error| {
        error
            .context(format_args!("asking {WHAT_IS_MY_ADDRESS} for this address"))
            .hint("name it in temporary_security_group_source_cidrs")
    })?;
    let address = source.text.split('/').next().unwrap_or_default();
    ctx.ui.say(format!("Current host's public IP: {address}"));
    Ok(vec![source])
}

/// The address that the server at `url` sees this machine under.
async fn own_address(url: &str, limit: Duration) -> Result<Cidr> {
    let response = http::client()?.get(url).timeout(limit).send().await;
    let response = response.and_then(|response| response.error_for_status()).context("asking")?;
    let response = http::body(response, LONGEST_ANSWER).await.context("reading the response")?;
    let text = String::from_utf8_lossy(&response);
    let text = text.trim();
    let bits = if text.contains(':') { 128 } else { 32 };
    let unspecified = text.parse().is_ok_and(|address: std::net::IpAddr| address.is_unspecified());
    let source = Cidr::parse(&format!("{text}/{bits}")).filter(|_| !unspecified);
    source.ok_or_else(|| Error::new("the response is not an address"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// What comes of asking a server that answers with `response`, or, without one, never.
    async fn ask(response: Option<&'static str>) -> Result<Cidr> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let server = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let _ = client.read(&mut [0; 4096]);
            match response {
                Some(response) => {
                    let length = response.len();
                    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length:";
                    write!(client, "{head} {length}\r\n\r\n{response}").unwrap();
                }
                // Until whoever asks has given up.
                None => {
                    let _ = wait.recv();
                }
            }
        });
        let limit = if response.is_some() { ANSWER } else { Duration::from_millis(200) };
        let asked = own_address(&url, limit).await;
        drop(done);
        server.join().unwrap();
        asked
    }

    #[tokio::test]
    async fn this_machines_address_is_asked_for() {
        let address = Cidr { text: "192.0.2.7/32".to_owned(), v6: false };
        assert_eq!(ask(Some("192.0.2.7\n")).await.unwrap(), address);
        assert!(ask(Some("2001:db8::7")).await.unwrap().v6);
        for wrong in ["0.0.0.0", "<html>log in</html>", ""] {
            let error = ask(Some(wrong)).await.unwrap_err();
            assert_eq!(error.to_string(), "the response is not an address", "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_server_that_never_answers_is_not_waited_for() {
        let error = ask(None).await.unwrap_err().to_string();
        assert!(error.starts_with("asking: "), "{error}");
    }
}
