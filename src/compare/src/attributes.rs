//! Extended attributes of files, as people read them.

use std::collections::BTreeMap;

/// What a file may do that is run (see capabilities(7)).
const CAPABILITY: &str = "security.capability";

/// The names of Linux' capabilities, by their numbers.
const CAPABILITIES: &[&str] = &[
    "cap_chown",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_fowner",
    "cap_fsetid",
    "cap_kill",
    "cap_setgid",
    "cap_setuid",
    "cap_setpcap",
    "cap_linux_immutable",
    "cap_net_bind_service",
    "cap_net_broadcast",
    "cap_net_admin",
    "cap_net_raw",
    "cap_ipc_lock",
    "cap_ipc_owner",
    "cap_sys_module",
    "cap_sys_rawio",
    "cap_sys_chroot",
    "cap_sys_ptrace",
    "cap_sys_pacct",
    "cap_sys_admin",
    "cap_sys_boot",
    "cap_sys_nice",
    "cap_sys_resource",
    "cap_sys_time",
    "cap_sys_tty_config",
    "cap_mknod",
    "cap_lease",
    "cap_audit_write",
    "cap_audit_control",
    "cap_setfcap",
    "cap_mac_override",
    "cap_mac_admin",
    "cap_syslog",
    "cap_wake_alarm",
    "cap_block_suspend",
    "cap_audit_read",
    "cap_perfmon",
    "cap_bpf",
    "cap_checkpoint_restore",
];

/// The value of an extended attribute: capabilities as getcap(8) writes them, other text as it is, the
/// rest in hexadecimal.
pub fn attribute_text(name: &str, value: &[u8]) -> String {
    if name == CAPABILITY
        && let Some(text) = capabilities(value)
    {
        return text;
    }
    // Labels of SELinux end in a zero byte.
    let text = std::str::from_utf8(value.strip_suffix(b"\0").unwrap_or(value));
    match text {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => {
            let digits: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("0x{digits}")
        }
    }
}

/// Reads `struct vfs_cap_data` of linux/capability.h; none if it is of an unknown revision.
fn capabilities(value: &[u8]) -> Option<String> {
    let words: Vec<u32> = value
        .chunks(4)
        .map(|word| word.try_into().map(u32::from_le_bytes))
        .collect::<Result<_, _>>()
        .ok()?;
    let (first, rest) = words.split_first()?;
    let (sets, root) = match (first >> 24, rest) {
        (1, [permitted, inheritable]) => ([*permitted, *inheritable, 0, 0], 0),
        (2, &[a, b, c, d]) => ([a, b, c, d], 0),
        (3, &[a, b, c, d, root]) => ([a, b, c, d], root),
        _ => return None,
    };
    let bits = |low: u32, high: u32| (u64::from(high) << 32) | u64::from(low);
    let (permitted, inheritable) = (bits(sets[0], sets[2]), bits(sets[1], sets[3]));
    let effective = first & 1 == 1;
    let mut by_flags: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for number in 0..u64::BITS {
        let has = |set: u64| (set >> number) & 1 == 1;
        let flags = [
            (effective && has(permitted | inheritable), 'e'),
            (has(inheritable), 'i'),
            (has(permitted), 'p'),
        ];
        let flags: String = flags.iter().filter(|(on, _)| *on).map(|(_, flag)| flag).collect();
        if !flags.is_empty() {
            let known = usize::try_from(number).ok().and_then(|at| CAPABILITIES.get(at));
            let name = known.map_or_else(|| number.to_string(), |&name| name.to_owned());
            by_flags.entry(flags).or_default().push(name);
        }
    }
    let groups = by_flags.iter().map(|(flags, names)| format!("{}={flags}", names.join(",")));
    let mut text = groups.collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        text.push('=');
    }
    if root != 0 {
        text.push_str(&format!(" [rootid={root}]"));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_written_as_getcap_does() {
        let text = |words: &[u32]| {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            attribute_text("security.capability", &bytes)
        };
        assert_eq!(text(&[0x0200_0001, 1 << 13, 0, 0, 0]), "cap_net_raw=ep");
        assert_eq!(
            text(&[0x0200_0000, (1 << 12) | (1 << 13), 0, 0, 0]),
            "cap_net_admin,cap_net_raw=p"
        );
        let two = [0x0300_0001, 1 << 10, 1 << 7, 1 << 7, 0, 1000];
        assert_eq!(text(&two), "cap_setuid=ei cap_net_bind_service,cap_bpf=ep [rootid=1000]");
        assert_eq!(text(&[0x0200_0000, 0, 0, 1 << 31, 0]), "63=p");
        assert_eq!(text(&[0x0200_0000, 0, 0, 0, 0]), "=");
        // Of no known form.
        assert_eq!(text(&[0x0900_0000]), "0x00000009");
        assert_eq!(attribute_text("security.capability", b"\x01\x02"), "0x0102");
    }

    #[test]
    fn labels_are_text_and_the_rest_is_digits() {
        let label = "system_u:object_r:bin_t:s0";
        assert_eq!(attribute_text("security.selinux", format!("{label}\0").as_bytes()), label);
        assert_eq!(attribute_text("user.note", b"two words"), "two words");
        assert_eq!(attribute_text("user.note", b"a\x1b[31m"), "0x611b5b33316d");
        assert_eq!(attribute_text("user.note", b"\xff"), "0xff");
    }
}
