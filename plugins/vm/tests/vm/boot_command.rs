//! Boot commands, as a keyboard sees them.

use std::time::{Duration, Instant};

use ingot_sdk::{Config, ConfigErrors, PrepareContext, Prepared, Result, async_trait};
use ingot_vm::boot_command::{BootData, BootOptions, Key, KeySink};
use serde_json::{Value, json};

use crate::harness::Build;

/// Writes down what happens to it: `+` and `-` with the QEMU name of the key.
#[derive(Default)]
struct Keyboard {
    moves: Vec<String>,
    times: Vec<Instant>,
}

#[async_trait]
impl KeySink for Keyboard {
    async fn key(&mut self, key: Key, down: bool) -> Result<()> {
        self.moves.push(format!("{}{}", if down { '+' } else { '-' }, key.qcode().unwrap()));
        self.times.push(Instant::now());
        Ok(())
    }
}

fn prepared(value: Value) -> (BootOptions, Prepared, ConfigErrors) {
    let Value::Object(values) = value else { panic!("options are a map") };
    let config = Config::new(values);
    let mut options: BootOptions = config.decode().unwrap();
    let (mut prepared, mut errors) = Default::default();
    options.prepare(&config, &PrepareContext::default(), &mut prepared, &mut errors);
    (options, prepared, errors)
}

#[tokio::test]
async fn keys_are_moved_in_order_and_in_time() {
    let build = Build::new();
    let (options, _, errors) = prepared(json!({
        "boot_command":
            ["<esc>A\n{{ .HTTPPort }}\r\n", "<leftCtrlOn>c<leftCtrlOff><wait200ms>{{ .Name }}\t"],
        "boot_key_interval": "5ms",
        "boot_keygroup_interval": "100ms",
        "boot_wait": "-1s",
    }));
    assert!(errors.is_empty(), "{errors:?}");
    let mut keyboard = Keyboard::default();
    let data = BootData { http_port: 80, name: "_".to_owned(), ..BootData::default() };
    options.wait_for_boot(&build.ctx).await.unwrap();
    options.type_commands(&build.ctx, &data, &mut keyboard).await.unwrap();
    assert_eq!(
        keyboard.moves.join(" "),
        "+esc -esc +shift +a -a -shift +8 -8 +0 -0 +ctrl +c -c -ctrl \
         +shift +minus -minus -shift +tab -tab"
    );
    let gap = keyboard.times[14] - keyboard.times[13];
    assert!(gap >= Duration::from_millis(300), "{gap:?}");
    assert!(keyboard.times[1] - keyboard.times[0] >= Duration::from_millis(5));
}

#[tokio::test]
async fn steps_are_announced_and_cancelled() {
    let build = Build::new();
    let (options, _, errors) = prepared(json!({
        "boot_steps": [["a", "the first"], ["<wait1h>"], []],
        "boot_key_interval": "1ms",
    }));
    assert!(errors.is_empty(), "{errors:?}");
    let cancel = build.ctx.cancel.clone();
    let mut keyboard = Keyboard::default();
    let data = BootData::default();
    let typing = options.type_commands(&build.ctx, &data, &mut keyboard);
    let stop = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.cancel();
    };
    let (typed, ()) = tokio::join!(typing, stop);
    assert!(typed.unwrap_err().is_cancelled());
    assert_eq!(build.said.lines(), ["Typing boot command for: the first"]);
    assert_eq!(keyboard.moves, ["+a", "-a"]);
}

#[test]
fn mistakes_are_reported_with_their_place() {
    let messages = |value| {
        let (_, prepared, errors) = prepared(value);
        let errors: Vec<String> = errors.0.into_iter().map(|error| error.message).collect();
        let warnings = prepared.warnings.into_iter().map(|warning| warning.message);
        (warnings.collect::<Vec<String>>(), errors)
    };
    let (warnings, _) = messages(json!({"boot_command": ["<esc>", "linux <entr><wait>"]}));
    assert_eq!(
        warnings,
        ["boot_command: <entr> is not a key and is typed as it stands; did you mean <enter>? \
          (at character 7 of text 2)"]
    );
    let (_, errors) = messages(json!({"boot_command": ["a<wait0>"]}));
    assert_eq!(errors, ["<wait0> does not wait; write a time above zero (at character 2)"]);
    let (_, errors) = messages(json!({"boot_command": ["<esc>", "aé"]}));
    assert_eq!(
        errors,
        ["a US keyboard, which this is typed on, has no key for 'é' (at character 2 of text 2)"]
    );
    let (warnings, errors) = messages(json!({"boot_steps": [["a\nb\n<enter>"], ["c\r\n<enter>"]]}));
    assert_eq!(
        (warnings, errors),
        (
            vec![
                "boot_steps: step 1: line breaks are not typed; write <enter> to press Enter (at \
                 character 2)"
                    .to_owned()
            ],
            vec![]
        )
    );
    let (_, errors) = messages(json!({"boot_command": ["http://{{ .HTTPAddr }}/"]}));
    assert!(
        errors[0].contains("`.HTTPAddr` has no value") && errors[0].contains(".HTTPIP"),
        "{errors:?}"
    );
    let (_, errors) = messages(json!({"boot_command": ["a"], "boot_steps": [["b"]]}));
    assert!(errors[0].contains("cannot be used together"));
    let (_, errors) = messages(json!({"boot_steps": [["a"], ["<wait-1s>"]]}));
    assert!(errors[0].starts_with("step 2: "), "{errors:?}");
}

#[test]
fn the_time_to_boot_is_packers() {
    let wait = |value| prepared(value).0.boot_wait.map(|wait| wait.0.as_secs());
    assert_eq!(wait(json!({})), Some(10));
    assert_eq!(wait(json!({"boot_wait": "0s"})), Some(10));
    assert_eq!(wait(json!({"boot_wait": "3s"})), Some(3));
    assert_eq!(wait(json!({"boot_wait": "-1s"})), Some(0));
}
