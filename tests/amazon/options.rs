//! Options that people look for in vain.

use super::bench::{Bench, instances};
use super::cloud::cloud;
use super::proxy::Act;
use ingot_test_support::require;

#[test]
fn options_of_other_builders_are_reported_where_their_values_come_from() {
    let (cloud, instances) = (require!(cloud()), require!(instances()));
    for option in ["boot_mode", "tpm_support", "uefi_data"] {
        let source = format!("  {option} = \"x\"\n");
        let bench = Bench::new(&cloud, &instances, &source, "", |_| Act::Forward);
        let checked = bench.run(&["validate", "."]);
        assert_eq!(checked.code, Some(1), "{}", checked.said);
        let message = format!("there is no option called `{option}` here");
        assert!(checked.said.contains(&message), "{}", checked.said);
        assert!(checked.said.contains("has that of the source AMI"), "{}", checked.said);
    }
}
