//! Launch configurations of Auto Scaling.
//!
//! Auto Scaling speaks AWS's Query protocol, forms and XML. Its crate in the SDK takes minutes to
//! build; there is one thing to ask it.

use roxmltree::{Document, Node};

use crate::access::Access;
use crate::failure::{Failure, Kind};
use crate::json_call::JsonService;
use crate::xml::{self, child, is};

/// Only its place is of use: it takes no JSON.
const SERVICE: JsonService = JsonService {
    id: "Auto Scaling",
    host: "autoscaling",
    signing_name: "autoscaling",
    target: "",
};
/// The version of its interface.
const VERSION: &str = "2011-01-01";
/// How many pages are read at most.
const PAGES: usize = 1000;

/// A launch configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LaunchConfiguration {
    /// Its name.
    pub name: String,
    /// The AMI that it launches.
    pub image: String,
}

/// All launch configurations of the account in the region of `access`.
///
/// # Errors
/// What Auto Scaling answered, or that it did not.
pub(crate) async fn launch_configurations(
    access: &Access,
) -> Result<Vec<LaunchConfiguration>, Failure> {
    let (mut found, mut token) = (Vec::new(), None);
    for _ in 0..PAGES {
        let page = access.persist(|| page(access, token.as_deref())).await;
        let (some, next) =
            page.map_err(|failure| failure.during("describing launch configurations"))?;
        found.extend(some);
        match next {
            Some(next) => token = Some(next),
            None => return Ok(found),
        }
    }
    Err(Failure::new(Kind::Broken, "the list of Auto Scaling does not end"))
}

type Page = (Vec<LaunchConfiguration>, Option<String>);

async fn page(access: &Access, token: Option<&str>) -> Result<Page, Failure> {
    let pairs = [("Action", "DescribeLaunchConfigurations"), ("Version", VERSION)].into_iter();
    let pairs = pairs.chain(token.map(|token| ("NextToken", token)));
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let response = access.post(&SERVICE, access.region(), &headers, form).await?;
    let text = String::from_utf8_lossy(&response.body);
    read(&text, response.status.as_u16())
}

fn read(text: &str, status: u16) -> Result<Page, Failure> {
    let broken = |_| Failure::new(Kind::Broken, format!("AWS returned {status} and invalid XML"));
    let document = Document::parse(text).map_err(broken)?;
    let all = || document.descendants();
    if !(200..300).contains(&status) {
        return Err(xml::failure(&document, status));
    }
    let lists = all().filter(|node| is(node, "LaunchConfigurations"));
    let members = lists.flat_map(|list| list.children().filter(|node| is(node, "member")));
    let configuration = |member: Node<'_, '_>| {
        Some(LaunchConfiguration {
            name: child(member, "LaunchConfigurationName")?.to_owned(),
            image: child(member, "ImageId")?.to_owned(),
        })
    };
    let next = all().find(|node| is(node, "NextToken")).and_then(|node| node.text());
    let next = next.filter(|token| !token.is_empty()).map(str::to_owned);
    Ok((members.filter_map(configuration).collect(), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let text = r#"<DescribeLaunchConfigurationsResponse xmlns="http://a/doc/2011-01-01/">
          <DescribeLaunchConfigurationsResult><LaunchConfigurations>
            <member><LaunchConfigurationName>web</LaunchConfigurationName><ImageId>ami-1</ImageId>
              <BlockDeviceMappings><member><DeviceName>/dev/sda1</DeviceName></member>
              </BlockDeviceMappings></member>
            <member><LaunchConfigurationName>none</LaunchConfigurationName></member>
          </LaunchConfigurations><NextToken>more</NextToken></DescribeLaunchConfigurationsResult>
          </DescribeLaunchConfigurationsResponse>"#;
        let web = LaunchConfiguration { name: "web".to_owned(), image: "ami-1".to_owned() };
        assert_eq!(read(text, 200).unwrap(), (vec![web], Some("more".to_owned())));
        let refused = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error>\
                       </ErrorResponse>";
        assert_eq!(read(refused, 403).unwrap_err().kind, Kind::Denied);
        assert_eq!(read("busy", 503).unwrap_err().kind, Kind::Broken);
    }
}
