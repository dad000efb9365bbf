//! The types of options as expressions know them.

use ingot_hcl::types::Type;
use ingot_sdk::{OptionType, Schema};

/// The type of an option's value.
pub(super) fn type_of(option: &OptionType) -> Type {
    match option {
        OptionType::String => Type::String,
        OptionType::Number => Type::Number,
        OptionType::Bool => Type::Bool,
        OptionType::List(item) => Type::list(type_of(item)),
        OptionType::Map(item) => Type::map(type_of(item)),
        OptionType::Block(inner) => object_type(inner),
        OptionType::Blocks(inner) => Type::list(object_type(inner)),
        OptionType::Any => Type::Dynamic,
    }
}

/// The type of an object with the attributes that a schema lists: what a data source yields.
pub fn object_type(schema: &Schema) -> Type {
    Type::object(schema.options.iter().map(|option| (option.name.clone(), type_of(&option.ty))))
}
