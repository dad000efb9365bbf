//! All options in one builder's struct.

use ingot_sdk::{Config, OptionType, Schema};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// What a builder writes.
#[derive(Deserialize, JsonSchema)]
struct Options {
    /// The builder's own.
    memory: Option<u32>,
    #[serde(flatten)]
    iso: ingot_vm::iso::IsoOptions,
    #[serde(flatten)]
    http: ingot_vm::http_server::HttpOptions,
    #[serde(flatten)]
    floppy: ingot_vm::floppy::FloppyOptions,
    #[serde(flatten)]
    cd: ingot_vm::cd::CdOptions,
    #[serde(flatten)]
    boot: ingot_vm::boot_command::BootOptions,
    #[serde(flatten)]
    shutdown: ingot_vm::shutdown::ShutdownOptions,
}

#[test]
fn a_builder_can_flatten_them() {
    let schema = Schema::of::<Options>();
    let texts = OptionType::List(Box::new(OptionType::String));
    for (name, ty) in [
        ("memory", OptionType::Number),
        ("iso_urls", texts.clone()),
        ("http_content", OptionType::Map(Box::new(OptionType::String))),
        ("http_port_min", OptionType::Number),
        ("floppy_dirs", texts.clone()),
        ("cd_label", OptionType::String),
        ("boot_wait", OptionType::String),
        ("boot_steps", OptionType::List(Box::new(texts))),
        ("disable_shutdown", OptionType::Bool),
    ] {
        let option = schema.get(name).unwrap_or_else(|| panic!("no option {name}"));
        assert_eq!(option.ty, ty, "{name}");
        assert!(!option.required && !option.description.is_empty(), "{name}");
    }
    let values = json!({
        "memory": 512,
        "iso_url": "a.iso",
        "http_port_min": 8100,
        "http_content": {"/a": "b"},
        "floppy_files": ["x"],
        "cd_content": {"a": "b"},
        "boot_steps": [["a", "b"]],
        "boot_wait": "5s",
        "shutdown_timeout": "1m",
        "disable_shutdown": true,
    });
    let Value::Object(values) = values else { unreachable!() };
    let options: Options = Config::new(values.clone()).decode().unwrap();
    assert_eq!(options.memory, Some(512));
    assert_eq!(options.iso.urls(), ["a.iso"]);
    assert_eq!(options.http.ports().min, 8100);
    assert!(options.floppy.is_set() && options.cd.is_set() && options.boot.is_set());
    assert_eq!(options.shutdown.timeout().as_secs(), 60);
    let mut values = values;
    values.insert("boot_wait".to_owned(), json!("5"));
    let errors = Config::new(values).decode::<Options>().err().unwrap();
    assert_eq!(errors.0[0].option.as_deref(), Some("boot_wait"));
}
