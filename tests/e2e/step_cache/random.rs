//! Templates that change at random.

use super::cached::{steps, three_steps};
use super::image::{config, files};
use ingot_test_support::{docker, docker_template, require};

/// A small generator of numbers, the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A step of a random template, which does the same each time it is run on the same machine.
fn random_step(numbers: &mut Numbers) -> String {
    let number = numbers.below(3);
    let options = match numbers.below(6) {
        0 => format!("inline = [\"echo {number} >>/log\"]"),
        1 => format!("script = \"s{number}\""),
        2 => "inline = [\"cat /log /root/* >/sum 2>/dev/null; md5sum /sum >>/log\"]".to_owned(),
        3 => "inline = [\"echo ${var.word} >>/log\"]".to_owned(),
        4 => format!("inline = [\"rm -rf /root/up{number}; ln -s /log /root/link{number}\"]"),
        _ => {
            let slash = if number == 0 { "/" } else { "" };
            return format!(
                "  provisioner \"file\" {{\n    source = \"up{slash}\"\n    destination = \
                 \"/root/up{number}\"\n  }}\n"
            );
        }
    };
    format!("  provisioner \"shell\" {{\n    {options}\n    valid_exit_codes = [0, 1]\n  }}\n")
}

#[test]
fn random_edits_of_random_templates_give_what_they_give_without_the_cache() {
    require!(docker());
    let mut numbers = Numbers(u64::from(std::process::id()));
    println!("begins with {}", numbers.0);
    let mut cached = three_steps();
    for name in ["s0", "s1", "s2"] {
        cached.write(name, &format!("echo {name} >>/log"));
    }
    let mut list: Vec<String> = (0..4).map(|_| random_step(&mut numbers)).collect();
    let mut word = "first".to_owned();
    let mut from_cache = 0;
    for round in 0..12 {
        let at = numbers.below(list.len() as u64) as usize;
        match numbers.below(6) {
            0 => list[at] = random_step(&mut numbers),
            1 => list.insert(at, random_step(&mut numbers)),
            2 if list.len() > 2 => drop(list.remove(at)),
            3 => cached
                .write(&format!("s{}", numbers.below(3)), &format!("echo round {round} >>/log")),
            4 => cached.write("up/file", &format!("round {round}")),
            _ => word = format!("word {}", numbers.below(2)),
        }
        let variable = format!("variable \"word\" {{\n  default = \"{word}\"\n}}\n");
        let text = docker_template("commit = true", &list.concat());
        cached.write("t.pkr.hcl", &(variable + &text));
        let said = cached.build(&["-cache"]);
        from_cache += steps(&said).1;
        let with = cached.image().to_owned();
        cached.build(&[]);
        assert_eq!(files(&with), files(cached.image()), "round {round}: {text}");
        assert_eq!(config(&with), config(cached.image()), "round {round}: {text}");
    }
    assert!(from_cache > 6, "{from_cache} steps came from the cache");
}
