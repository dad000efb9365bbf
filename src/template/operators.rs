//! `+`, `==`, `&&` and the like.

use super::convert::convert;
use super::number::Number;
use super::types::Type;
use super::value::Value;
use crate::syntax::ast::{BinaryOp, Expr, UnaryOp};
use crate::syntax::diagnostic::Diagnostic;

/// Applies an operator to one operand.
pub(super) fn unary(operator: UnaryOp, value: &Value, expr: &Expr) -> Result<Value, Diagnostic> {
    match operator {
        UnaryOp::Neg => {
            let value = operand(value, &Type::Number, "-", expr)?;
            Ok(match value.as_number() {
                Some(number) => Value::from(number.neg()).mark(value.sensitive),
                None => value,
            })
        }
        UnaryOp::Not => {
            let value = operand(value, &Type::Bool, "!", expr)?;
            Ok(match value.as_bool() {
                Some(truth) => Value::from(!truth).mark(value.sensitive),
                None => value,
            })
        }
    }
}

/// Applies an operator to two operands. `exprs` is where they stand.
pub(super) fn binary(
    operator: BinaryOp,
    left: &Value,
    right: &Value,
    exprs: &[Expr; 2],
) -> Result<Value, Diagnostic> {
    let sensitive = left.holds_secret() || right.holds_secret();
    let symbol = operator.symbol();
    let result = match operator {
        BinaryOp::Eq | BinaryOp::NotEq => {
            let equal = equal(left, right);
            match equal {
                Some(equal) => Value::from(equal == (operator == BinaryOp::Eq)),
                None => Value::unknown(Type::Bool),
            }
        }
        BinaryOp::And | BinaryOp::Or => {
            let left = operand(left, &Type::Bool, symbol, &exprs[0])?;
            let right = operand(right, &Type::Bool, symbol, &exprs[1])?;
            match (left.as_bool(), right.as_bool()) {
                (Some(a), Some(b)) => Value::from(match operator {
                    BinaryOp::And => a && b,
                    _ => a || b,
                }),
                _ => Value::unknown(Type::Bool),
            }
        }
        _ => {
            let left = operand(left, &Type::Number, symbol, &exprs[0])?;
            let right = operand(right, &Type::Number, symbol, &exprs[1])?;
            match (left.as_number(), right.as_number()) {
                (Some(a), Some(b)) => arithmetic(operator, a, b)
                    .ok_or_else(|| Diagnostic::error("division by zero").at(exprs[1].span))?,
                _ => Value::unknown(match operator {
                    BinaryOp::Add
                    | BinaryOp::Sub
                    | BinaryOp::Mul
                    | BinaryOp::Div
                    | BinaryOp::Mod => Type::Number,
                    _ => Type::Bool,
                }),
            }
        }
    };
    Ok(result.mark(sensitive))
}

/// None for a division by zero.
fn arithmetic(operator: BinaryOp, a: &Number, b: &Number) -> Option<Value> {
    Some(match operator {
        BinaryOp::Add => a.add(b).into(),
        BinaryOp::Sub => a.sub(b).into(),
        BinaryOp::Mul => a.mul(b).into(),
        BinaryOp::Div => a.div(b)?.into(),
        BinaryOp::Mod => a.rem(b)?.into(),
        BinaryOp::Less => (a < b).into(),
        BinaryOp::LessEq => (a <= b).into(),
        BinaryOp::Greater => (a > b).into(),
        _ => (a >= b).into(),
    })
}

fn operand(value: &Value, ty: &Type, symbol: &str, expr: &Expr) -> Result<Value, Diagnostic> {
    let complain = |message: String| {
        Err(Diagnostic::error(format!("`{symbol}` cannot work with this value"))
            .at(expr.span)
            .label(message))
    };
    if value.is_null() {
        return complain(format!("a {} is required, this is null", ty.friendly()));
    }
    convert(value, ty).or_else(|error| complain(error.to_string()))
}

/// Whether two values are equal; none while that cannot be said.
pub(super) fn equal(left: &Value, right: &Value) -> Option<bool> {
    if left.is_null() || right.is_null() {
        if left.is_unknown() || right.is_unknown() {
            return None;
        }
        return Some(left.is_null() && right.is_null());
    }
    if !left.is_wholly_known() || !right.is_wholly_known() {
        return None;
    }
    // Literals in braces and brackets are objects and tuples; people compare them with maps and
    // lists.
    let (left, right) = (left.unmark().0, right.unmark().0);
    if left.ty() == right.ty() {
        return Some(left == right);
    }
    let common = super::convert::unify([left.ty(), right.ty()].into_iter());
    let (Some(common), false) = (common, left.ty().is_primitive() || right.ty().is_primitive())
    else {
        return Some(false);
    };
    Some(match (convert(&left, &common), convert(&right, &common)) {
        (Ok(left), Ok(right)) => left == right,
        _ => false,
    })
}
