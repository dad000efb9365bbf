//! What plugins decode of options.

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
struct Sample {
    #[serde(default)]
    files: Vec<String>,
    name: Option<String>,
    count: Option<u8>,
}

fn text(text: &str) -> OptionValue {
    OptionValue::String(text.to_owned())
}

#[test]
fn what_is_not_known_is_absent() {
    let files = OptionValue::List(vec![text("a"), OptionValue::Unknown]);
    let options = [
        ("files".to_owned(), files),
        ("name".to_owned(), OptionValue::Unknown),
        ("count".to_owned(), OptionValue::Number(3.into())),
    ];
    let config = Config::new(options);
    let sample: Sample = config.decode().unwrap();
    assert_eq!(sample, Sample { files: vec!["a".to_owned()], name: None, count: Some(3) });
    assert_eq!(config.unknown().collect::<Vec<_>>(), ["files", "name"]);
    assert!(config.has("name") && !config.is_known("files") && config.is_known("count"));
    assert!(config.is_known("nope") && !config.has("nope"));
}

#[derive(Debug, Deserialize, PartialEq)]
struct Flattened {
    #[serde(flatten)]
    image: Image,
    #[serde(flatten)]
    login: Login,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Image {
    name: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Tag {
    key: String,
    value: String,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Login {
    port: Option<u16>,
    proxy_port: Option<u16>,
    retries: Option<u8>,
}

fn config<const N: usize>(options: [(&str, OptionValue); N]) -> Config {
    Config::new(options.map(|(name, value)| (name.to_owned(), value)))
}

#[test]
fn what_is_required_but_not_known_is_empty() {
    let tag = |value: OptionValue| {
        let tag = [("key".to_owned(), text("base")), ("value".to_owned(), value)];
        OptionValue::List(vec![OptionValue::Map(BTreeMap::from(tag))])
    };
    for (name, value) in [(OptionValue::Unknown, text("x")), (text("web"), OptionValue::Unknown)] {
        let port = OptionValue::Number(22.into());
        let config = config([("name", name), ("tags", tag(value)), ("port", port)]);
        let decoded: Flattened = config.decode().unwrap();
        assert_eq!(decoded.image.tags[0].key, "base");
        assert_eq!(decoded.login.port, Some(22));
    }
    // What is not required is absent.
    let config = config([("name", text("web")), ("port", OptionValue::Unknown)]);
    assert_eq!(config.decode::<Flattened>().unwrap().login.port, None);
}

#[test]
fn errors_name_their_options_beside_required_ones() {
    let number = |number: u32| OptionValue::Number(number.into());
    let wrong = |config: &Config| {
        let errors = config.decode::<Flattened>().unwrap_err();
        errors.0.into_iter().map(|error| (error.option, error.message)).collect::<Vec<_>>()
    };
    let port = || {
        let message = "invalid value: integer `70000`, expected u16".to_owned();
        (Some("port".to_owned()), message)
    };
    let one = config([("name", text("web")), ("port", number(70000))]);
    assert_eq!(wrong(&one), [port()]);
    // One that is not known does not hide it.
    let beside = config([("name", OptionValue::Unknown), ("port", number(70000))]);
    assert_eq!(wrong(&beside), [port()]);
    assert!(!beside.decode::<Flattened>().unwrap_err().0[0].is_undecided(&beside));
    let two = [("name", text("web")), ("port", number(70000)), ("retries", number(256))];
    let two = wrong(&config(two));
    assert_eq!((two.len(), &two[0].0), (2, &port().0), "{two:?}");
    assert_eq!(two[1].0.as_deref(), Some("retries"));
    let alike = [("name", text("web")), ("port", number(70000)), ("proxy_port", number(70000))];
    let alike = wrong(&config(alike));
    let options: Vec<_> = alike.iter().map(|(option, _)| option.as_deref()).collect();
    assert_eq!(options, [Some("port"), Some("proxy_port")], "{alike:?}");
    let required = wrong(&config([("name", number(1)), ("port", number(22))]));
    assert_eq!((required.len(), required[0].0.as_deref()), (1, Some("name")), "{required:?}");
}

#[test]
fn an_empty_text_is_not_set() {
    #[derive(Debug, Default, Deserialize, PartialEq, schemars::JsonSchema)]
    struct Nested {
        inner: Option<String>,
    }
    #[derive(Debug, Deserialize, PartialEq, schemars::JsonSchema)]
    struct Options {
        needed: String,
        name: Option<String>,
        #[serde(default = "Options::path")]
        path: String,
        wait: Option<crate::GoDuration>,
        #[serde(default)]
        items: Vec<String>,
        #[serde(default)]
        named: BTreeMap<String, String>,
        block: Option<Nested>,
        #[serde(default)]
        blocks: Vec<Nested>,
    }
    impl Options {
        fn path() -> String {
            "/tmp".to_owned()
        }
    }
    let all = serde_json::json!({
        "needed": "", "name": "", "path": "", "wait": "", "items": [""], "named": { "a": "" },
        "block": { "inner": "" }, "blocks": [{ "inner": "" }, { "inner": "x" }],
    });
    let config = Config::new(all.as_object().unwrap().clone());
    let config = config.without_empty(&Schema::of::<Options>());
    assert!(!config.has("name") && config.has("needed"));
    let options: Options = config.decode().unwrap();
    let expected = Options {
        needed: String::new(),
        name: None,
        path: Options::path(),
        wait: None,
        items: vec![String::new()],
        named: BTreeMap::from([("a".to_owned(), String::new())]),
        block: Some(Nested::default()),
        blocks: vec![Nested::default(), Nested { inner: Some("x".to_owned()) }],
    };
    assert_eq!(options, expected);
}

#[test]
fn errors_wait_for_the_options_that_decide_them() {
    let options = [("name", OptionValue::Unknown), ("count", text("many"))];
    let config = Config::new(options.map(|(name, value)| (name.to_owned(), value)));
    let wrong = config.decode::<Sample>().unwrap_err();
    assert_eq!(wrong.0.len(), 1);
    assert!(!wrong.0[0].is_undecided(&config), "{wrong:?}");
    for (error, undecided) in [
        (ConfigError::on("name", "is no name"), true),
        (ConfigError::on("name[0].x", "is no name"), true),
        (ConfigError::on("count", "is above files"), false),
        (ConfigError::on("count", "needs a name").related(["name"]), true),
        (ConfigError::new("something is missing"), true),
        (ConfigError::new("`files` is missing").related(["files"]), false),
    ] {
        assert_eq!(error.is_undecided(&config), undecided, "{error:?}");
    }
}
