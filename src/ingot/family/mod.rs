//! Families: templates whose images are built from each other's, by way of the registry. A template's
//! parents are the buckets that its data sources name.

mod arrange;
mod find;
mod member;
mod promote;
mod standing;

pub use arrange::{Family, arrange};
pub use find::find_templates;
pub use member::{Member, ParentLink, read_member};
pub use promote::{finish_promotion, promote};
pub use standing::{ParentStanding, Standing, of_one_run, standing};
