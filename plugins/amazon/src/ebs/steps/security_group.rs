//! Who reaches the instance.

use std::time::Duration;

use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, ResourceType};
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Context, Error, Result, RunContext, Step, async_trait, http};

use super::{State, once};
use crate::ebs::creation::{Creation, Patience, create};
use crate::ebs::options::given;
use crate::ebs::region_access::note_account;
use crate::ebs::removal::{find_security_group, look_for, remove_security_group};
use crate::ebs::resources::SECURITY_GROUP;
use crate::ebs::settings::Cidr;
use crate::ebs::tags::{marked, specification};
use crate::failure::{During, Failure, Kind};
use crate::filter::filter;

/// Tells which address a machine has on the internet.
const WHAT_IS_MY_ADDRESS: &str = "https://checkip.amazonaws.com";
/// How long that may take, and how many bytes of what it says are read: it is one address.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(60);
const LARGEST_ADDRESS: usize = 1 << 10;

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
            let answer = request.send().await.during("looking for the security groups")?;
            let groups = answer.security_groups().iter();
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
            let answer = request.clone().send().await;
            let answer = answer.during("creating the temporary security group")?;
            note_account(&journal, answer.security_group_arn());
            answer.group_id.ok_or_else(|| {
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
            answer => answer.map(drop),
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
    let answer = async {
        let request = http::client()?.get(WHAT_IS_MY_ADDRESS).timeout(ADDRESS_TIMEOUT);
        let answer = request.send().await.and_then(|answer| answer.error_for_status());
        let answer = answer.context("asking")?;
        http::body(answer, LARGEST_ADDRESS).await.context("reading the answer")
    };
    let text =
        answer.await.context(format_args!("asking {WHAT_IS_MY_ADDRESS} for this address"))?;
    let text = String::from_utf8_lossy(&text);
    let text = text.trim();
    let bits = if text.contains(':') { 128 } else { 32 };
    let source = Cidr::parse(&format!("{text}/{bits}"));
    let unspecified = text.parse().is_ok_and(|address: std::net::IpAddr| address.is_unspecified());
    let source = source.filter(|_| !unspecified).ok_or_else(|| {
        Error::new(format!("{WHAT_IS_MY_ADDRESS} does not answer with an address"))
            .hint("name it in temporary_security_group_source_cidrs")
    })?;
    ctx.ui.say(format!("Current host's public IP: {text}"));
    Ok(vec![source])
}
