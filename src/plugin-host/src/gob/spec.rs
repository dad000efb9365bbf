//! The options of plugins that do not know protobuf.

use std::io;

use super::{Gob, cty, invalid};
use crate::cty::CtyType;
use crate::spec::{ObjectSpec, Spec};

/// How deep blocks may nest.
const MAX_DEPTH: usize = 32;

/// The specification of a block's body, as plugins without protobuf send it.
///
/// # Errors
/// The bytes do not hold one, or it has an option of a kind that Packer does not know either.
pub(crate) fn object_spec(bytes: &[u8]) -> io::Result<ObjectSpec> {
    object(&Gob::decode(bytes)?, 0)
}

fn object(gob: &Gob, depth: usize) -> io::Result<ObjectSpec> {
    if depth > MAX_DEPTH {
        return Err(invalid("blocks nest too deep"));
    }
    match gob {
        Gob::Map(entries) => {
            let entries = entries.iter();
            entries.map(|(name, spec)| Ok((name.text(), one(spec, depth)?))).collect()
        }
        Gob::Named(_, body) => object(body, depth),
        _ => Err(invalid("the options are not those of a block")),
    }
}

fn one(gob: &Gob, depth: usize) -> io::Result<Spec> {
    let Gob::Named(kind, body) = gob else {
        return Err(invalid("an option without its kind"));
    };
    let ty = |field: &str| match body.field(field) {
        Gob::Bytes(bytes) => cty::type_of(bytes, 0),
        // The zero value of a type.
        _ => Ok(CtyType::Dynamic),
    };
    let required = *body.field("Required") == Gob::Bool(true);
    let name = body.field("TypeName").text();
    let nested = || object(body.field("Nested"), depth + 1);
    match kind.rsplit('.').next().unwrap_or(kind) {
        "AttrSpec" => {
            Ok(Spec::Attribute { name: body.field("Name").text(), ty: ty("Type")?, required })
        }
        "BlockSpec" => Ok(Spec::Block { name, required, nested: nested()? }),
        "BlockListSpec" => Ok(Spec::Blocks { name, nested: nested()? }),
        "BlockAttrsSpec" => Ok(Spec::FreeBlock { name, ty: ty("ElementType")?, required }),
        other => Err(invalid(format!("an option of the kind {other}, which is not known"))),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::gob::decode::tests::unhex;

    /// A body with an argument, a block, a list of blocks and a block of any arguments, written
    /// by Go.
    pub(crate) const SAMPLE: &str = include_str!("spec.hex");

    #[test]
    fn a_specification_that_go_wrote_is_read() {
        let list = |item| CtyType::List(Box::new(item));
        let attribute = |name: &str, ty| {
            let attribute = Spec::Attribute { name: name.into(), ty, required: false };
            ObjectSpec::from([(name.into(), attribute)])
        };
        let mut expected = attribute("a", list(list(CtyType::String)));
        expected.extend(ObjectSpec::from([
            (
                "blk".into(),
                Spec::Block {
                    name: "blk".into(),
                    required: true,
                    nested: attribute("n", CtyType::Number),
                },
            ),
            (
                "blks".into(),
                Spec::Blocks {
                    name: "blks".into(),
                    nested: attribute("m", CtyType::Map(Box::new(CtyType::Bool))),
                },
            ),
            (
                "tags".into(),
                Spec::FreeBlock { name: "tags".into(), ty: CtyType::String, required: false },
            ),
        ]));
        assert_eq!(object_spec(&unhex(SAMPLE)).unwrap(), expected);
    }
}
