//! What templates render to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ::time::macros::datetime;
use serde_json::{Value, json};

use super::*;
use crate::{
    Config, OptionSpec, OptionType, PrepareContext, Schema, TemplateFunction, UserVariable,
};

fn context() -> PrepareContext {
    PrepareContext {
        build_name: "web".to_owned(),
        build_type: "docker".to_owned(),
        template_dir: PathBuf::from("/templates"),
        user_variables: Arc::new(BTreeMap::from([
            ("region".to_owned(), UserVariable { value: "eu".to_owned(), sensitive: false }),
            ("pw".to_owned(), UserVariable { value: "hunter2".to_owned(), sensitive: true }),
        ])),
        start: Some(datetime!(2024-03-05 17:08:09 UTC)),
        ..PrepareContext::default()
    }
}

fn data() -> Value {
    json!({
        "Path": "/tmp/script.sh", "Vars": "A='1' ", "Empty": "", "Port": 22, "Ratio": 0.5,
        "Sudo": true, "List": ["a", "b", "c"], "None": [],
        "Map": {"z": 1, "a": {"deep": "down"}}, "Image": {"Name": "busybox"},
    })
}

fn render(template: &str) -> Result<String, String> {
    Interpolation::new(&context()).render(template, &data()).map_err(|error| error.0)
}

#[track_caller]
fn gives(template: &str, expected: &str) {
    assert_eq!(render(template).as_deref(), Ok(expected), "{template}");
}

#[track_caller]
fn fails(template: &str, part: &str) {
    let error = render(template).expect_err(template);
    assert!(error.contains(part), "{template}: {error}");
}

#[test]
fn offers_the_functions_of_packer() {
    gives("{{build_name}}-{{build_type}}", "web-docker");
    gives("{{ user `region` }}", "eu");
    gives("{{ timestamp }}", "1709658489");
    gives("{{ isotime }} {{ isotime \"20060102\" }}", "2024-03-05T17:08:09Z 20240305");
    gives("{{ strftime \"%Y-%m\" }}", "2024-03");
    gives("{{ template_dir }}", "/templates");
    gives("{{ packer_version }}", COMPATIBLE_PACKER_VERSION);
    gives("{{ split \"a-b-c\" \"-\" 1 }}", "b");
    gives("{{ upper \"a\" }}{{ lower \"B\" }}", "Ab");
    gives("{{ upper `Straße` }} {{ lower `ΑΣ İ` }}", "STRAßE ασ i");
    gives(
        "{{ replace \"a\" \"x\" 1 \"aaa\" }} {{ replace \"a\" \"x\" -1 \"aaa\" }} {{ \"a.b.c\" | replace_all \".\" \"-\" }}",
        "xaa xxx a-b-c",
    );
    gives("{{ build `Path` }} {{ build `Port` }}", "/tmp/script.sh 22");
    let directory = std::env::current_dir().unwrap();
    gives("{{ pwd }}", directory.to_str().unwrap());
    let two = render("{{ uuid }} {{ uuid }}").unwrap();
    let (one, other) = two.split_once(' ').unwrap();
    assert!(one != other && uuid::Uuid::parse_str(one).is_ok(), "{two}");

    fails("{{ user `nothing` }}", "no input variable \"nothing\"");
    fails("{{ build `Nope` }}", "${build.Nope}");
    fails("{{ env `HOME` }}", "default of an input variable");
    fails("{{ split \"a\" \"-\" 1 }}", "there is no part 1");
    fails("{{ vault `a` `b` }}", "a local whose value is vault(…)");
    fails("{{ consul_key `a` }}", "a local whose value is consul_key(…)");
    fails("{{ aws_secretsmanager `a` }}", "not allowed in options");
    fails("{{ sed `a` `b` }}", "use replace");
    fails("{{ clean_resource_name `a` }}", "only available");
}

#[test]
fn what_has_no_value_may_pass() {
    let context = context();
    let engine = Interpolation::new(&context).leniently();
    let text = "{{ user `region` }}|{{ user `nothing` | upper }}|{{ .Nope.Deep }}";
    assert_eq!(engine.render(text, &Value::Null).as_deref(), Ok("eu||<no value>"));
    assert!(engine.render("{{ upper .Nope }}", &Value::Null).is_err());
    assert!(engine.render("{{ build_nam }}", &Value::Null).is_err());
}

#[test]
fn lets_plugins_add_functions() {
    let context = context();
    let engine = Interpolation::new(&context).with_function(
        "clean_resource_name",
        Box::new(|arguments| {
            let text = arguments[0].as_str().ok_or("needs text")?;
            Ok(text.replace(':', "-").into())
        }),
    );
    assert_eq!(engine.render("{{ clean_resource_name \"a:b\" }}", &data()).unwrap(), "a-b");
}

#[test]
fn renders_what_values_contain() {
    let context = context();
    let engine = Interpolation::new(&context);
    let data = json!({"Outer": "<{{ .Inner }}>", "Inner": "x", "Loop": "{{ .Loop }}!"});
    assert_eq!(engine.render("{{ .Outer }}", &data).unwrap(), "<x>");
    assert_eq!(engine.render_once("{{ .Outer }}", &data).unwrap(), "<{{ .Inner }}>");
    assert!(engine.render("{{ .Loop }}", &data).unwrap_err().0.contains("for ever"));
    assert_eq!(engine.render_once("{{ \"{{\" }} .Id }}", &data).unwrap(), "{{ .Id }}");
}

#[test]
fn a_literal_renders_to_itself() {
    let context = context();
    let engine = Interpolation::new(&context);
    let texts = ["plain", "a{{b", "{{ .Path }}", "{{{{`{{`}}}}", "}} {{", "{{{", "{", "{ }", "}{"];
    for text in texts {
        assert_eq!(engine.render_once(&literal(text), &data()).as_deref(), Ok(text), "{text}");
        for other in texts {
            let both = engine.render_once(&(literal(text) + &literal(other)), &data());
            assert_eq!(both, Ok(format!("{text}{other}")));
        }
    }
}

#[test]
fn what_is_created_of_a_secret_is_a_secret() {
    for (template, secrets) in [
        ("{{ user `region` | upper }}", &[][..]),
        ("echo {{ user `pw` | upper }} {{ .Port }}", &["HUNTER2"]),
        ("{{ $x := user `pw` }}{{ upper $x }}{{ .Path }}", &["HUNTER2"]),
        ("{{ with (user `pw`) }}{{ . }}!{{ end }}{{ .Path }}", &["hunter2"]),
        ("{{ range .List }}{{ . }}{{ user `pw` }}{{ end }}", &["hunter2"]),
        ("{{ if eq (user `pw`) `x` }}{{ .Path }}{{ else }}{{ .Vars }}{{ end }}", &["A='1' "]),
        ("{{ printf `%s-%s` .Path (user `pw`) }}", &["/tmp/script.sh-hunter2"]),
        // One that HCL put there, before the template is read.
        ("{{ upper `--s3cret--` }}{{ upper `plain` }}", &["--S3CRET--"]),
    ] {
        let context = context();
        context.secrets.add("s3cret");
        Interpolation::new(&context).render(template, &data()).unwrap();
        let found = context.secrets.all();
        let found: Vec<_> = found.iter().filter(|secret| *secret != "s3cret").collect();
        assert_eq!(found, secrets, "{template}");
    }
}

#[test]
fn renders_a_configuration() {
    let context = context();
    let option = |name: &str, rendered_late| OptionSpec {
        name: name.to_owned(),
        ty: OptionType::Any,
        required: false,
        default: Value::Null,
        description: String::new(),
        sensitive: false,
        rendered_late,
        reads: None,
    };
    let schema = Schema {
        options: vec![option("name", false), option("execute_command", true)],
        functions: vec![TemplateFunction { name: "shout", run: |_| Ok("HEY".into()) }],
        ..Schema::default()
    };
    let object = |value: Value| value.as_object().cloned().unwrap();
    let render = |value: Value, schema: &Schema| {
        Interpolation::new(&context).render_config(&Config::new(object(value)), schema)
    };
    let options = json!({
        "name": "img-{{ timestamp }}",
        "tags": {"a": ["{{ build_name }} {{ shout }}"], "{{ build_name }}": {"{{ build_type }}": "x"}},
        "count": 3, "execute_command": "{{ .Path }}", "format": "{{.Names}} {{ `{{.Id}}` }}",
    });
    let (rendered, warnings) = render(options.clone(), &schema).unwrap();
    assert_eq!(
        *rendered.values(),
        *Config::new(object(json!({
            "name": "img-1709658489", "tags": {"a": ["web HEY"], "web": {"docker": "x"}}, "count": 3,
            "execute_command": "{{ .Path }}", "format": "<no value> {{.Id}}",
        })))
        .values()
    );
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].message.contains("format: `.Names` has no value"), "{warnings:?}");
    assert!(warnings[0].message.contains("and {{`{{.Names}}`}} to keep"), "{warnings:?}");

    let errors = render(
        json!({
            "a": "{{ user 1 }}", "b": "{{ fine", "c": {"{{ fine": 1},
            "execute_command": {"{{ nope }}": ""},
        }),
        &schema,
    );
    let errors = errors.unwrap_err();
    let named: Vec<_> = errors.0.iter().map(|error| error.option.clone().unwrap()).collect();
    assert_eq!(named, ["a", "b", "c", "execute_command"]);

    let itself = Schema { renders_itself: true, ..schema };
    let (untouched, _) = render(options.clone(), &itself).unwrap();
    assert_eq!(untouched, Config::new(object(options)));
}
