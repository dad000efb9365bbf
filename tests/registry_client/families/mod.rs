//! Families of templates: what is out of date is rebuilt, in order.

mod interrupted;
mod stale;
mod tree;
mod versions;
