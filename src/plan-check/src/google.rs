//! The names of Google's images: paths, self links of every host and version of the API, and the
//! short forms that Terraform takes.

use std::borrow::Cow;

/// An image, or a family of images, as a text names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ImageName<'a> {
    /// The project that it is in; none where the text does not say.
    pub project: Option<&'a str>,
    /// Whether it is a family's, of which Google takes the newest image.
    pub family: bool,
    /// Its name.
    pub name: &'a str,
}

/// Where the API is, before the version.
const HOSTS: [&str; 2] =
    ["https://www.googleapis.com/compute/", "https://compute.googleapis.com/compute/"];
/// The versions of the API.
const VERSIONS: [&str; 3] = ["v1", "beta", "alpha"];

impl<'a> ImageName<'a> {
    /// Reads a path with `global/images` in it, or a URL of one.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let path = path(text)?;
        let parts: Vec<&str> = path.split('/').collect();
        let image = |project, family, name: &'a str| {
            (!name.is_empty()).then_some(ImageName { project, family, name })
        };
        match parts[..] {
            ["projects", project, "global", "images", "family", name] => {
                image(Some(project), true, name)
            }
            ["projects", project, "global", "images", name] => image(Some(project), false, name),
            ["projects", project, "zones" | "regions", _, "imageFamilyViews", name] => {
                image(Some(project), true, name)
            }
            ["global", "images", "family", name] => image(None, true, name),
            ["global", "images", name] => image(None, false, name),
            _ => None,
        }
    }

    /// Reads what else an attribute of Terraform's that holds an image takes: `family/NAME`,
    /// `PROJECT/NAME` and `NAME`, of which the last two may be a family's, too.
    pub(crate) fn parse_short(text: &'a str) -> Option<Self> {
        let plain = |part: &str| !part.is_empty() && !part.contains([':', '@']);
        match text.split('/').collect::<Vec<_>>()[..] {
            ["family", name] if plain(name) => {
                Some(ImageName { project: None, family: true, name })
            }
            [project, name] if !project.is_empty() && plain(name) && !project.contains('@') => {
                Some(ImageName { project: Some(project), family: false, name })
            }
            [name] if plain(name) => Some(ImageName { project: None, family: false, name }),
            _ => None,
        }
    }

    /// The path, with the project: what two texts for the same image have in common.
    pub(crate) fn path(&self) -> Option<String> {
        let ImageName { project, family, name } = self;
        let family = if *family { "family/" } else { "" };
        Some(format!("projects/{}/global/images/{family}{name}", (*project)?))
    }

    /// All texts that stand for the image with its project in it, and no other.
    pub(crate) fn full(&self) -> Vec<Cow<'static, str>> {
        let Some(path) = self.path() else { return Vec::new() };
        let bases =
            HOSTS.iter().flat_map(|host| VERSIONS.map(|version| format!("{host}{version}/")));
        let links: Vec<Cow<'static, str>> =
            bases.map(|base| Cow::Owned(format!("{base}{path}"))).collect();
        let asset = format!("//compute.googleapis.com/{path}");
        [Cow::Owned(path), Cow::Owned(asset)].into_iter().chain(links).collect()
    }

    /// The texts for it that leave out something, so that they may stand for another.
    pub(crate) fn short(&self) -> Vec<Cow<'a, str>> {
        let ImageName { project, family, name } = self;
        let family = if *family { "family/" } else { "" };
        let mut short = vec![Cow::Owned(format!("global/images/{family}{name}"))];
        short.extend(project.map(|project| Cow::Owned(format!("{project}/{name}"))));
        short.push(match family {
            "" => Cow::Borrowed(*name),
            family => Cow::Owned(format!("{family}{name}")),
        });
        short
    }
}

/// What follows the host and the API's version.
fn path(text: &str) -> Option<&str> {
    let text = text.split(['?', '#']).next().unwrap_or(text);
    let path = match text.split_once("//") {
        None => text.trim_start_matches('/'),
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/')?;
            let host = host.split(':').next().unwrap_or(host).to_ascii_lowercase();
            let scheme = scheme.to_ascii_lowercase();
            let known = matches!(scheme.as_str(), "" | "http:" | "https:");
            (known && host.ends_with(".googleapis.com")).then_some(path)?
        }
    };
    let path = path.trim_end_matches('/');
    let path = path.strip_prefix("compute/").unwrap_or(path);
    let Some((version, rest)) = path.split_once('/') else { return Some(path) };
    let numbered = version.strip_prefix('v').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    Some(if numbered || VERSIONS.contains(&version) { rest } else { path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_image_has_one_path_in_all_its_forms() {
        for text in [
            "projects/p/global/images/g",
            "/projects/p/global/images/g",
            "https://www.googleapis.com/compute/v1/projects/p/global/images/g",
            "https://compute.googleapis.com/compute/v1/projects/p/global/images/g",
            "https://www.googleapis.com/compute/beta/projects/p/global/images/g",
            "HTTPS://WWW.googleapis.com:443/compute/alpha/projects/p/global/images/g/",
            "https://compute.europe-west3.rep.googleapis.com/compute/v2/projects/p/global/images/g",
            "https://content.googleapis.com/compute/v1/projects/p/global/images/g?alt=json",
            "//compute.googleapis.com/projects/p/global/images/g",
            "compute/v1/projects/p/global/images/g",
        ] {
            let image = ImageName::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(image.path().as_deref(), Some("projects/p/global/images/g"), "{text}");
            assert!(!image.family, "{text}");
        }
        for text in [
            "projects/p/global/images/family/f",
            "https://compute.googleapis.com/compute/v1/projects/p/zones/z/imageFamilyViews/f",
        ] {
            let image = ImageName::parse(text).unwrap();
            assert_eq!(image.path().as_deref(), Some("projects/p/global/images/family/f"));
        }
        assert_eq!(ImageName::parse("global/images/g").and_then(|image| image.path()), None);
        for other in [
            "https://example.com/compute/v1/projects/p/global/images/g",
            "projects/p/global/networks/g",
            "projects/p/global/images/",
            "ftp://www.googleapis.com/compute/v1/projects/p/global/images/g",
            "g",
        ] {
            assert_eq!(ImageName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn short_forms_say_less() {
        let parse = |text| ImageName::parse_short(text).map(|it| (it.project, it.family, it.name));
        assert_eq!(parse("g"), Some((None, false, "g")));
        assert_eq!(parse("p/g"), Some((Some("p"), false, "g")));
        assert_eq!(parse("example.com:p/g"), Some((Some("example.com:p"), false, "g")));
        assert_eq!(parse("family/f"), Some((None, true, "f")));
        assert_eq!(parse("r/x@sha256:aa"), None);
        assert_eq!(parse("a/b/c"), None);
    }
}
