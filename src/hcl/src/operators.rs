//! `+`, `==`, `&&` and the like.

use super::convert::convert;
use super::number::Number;
use super::types::Type;
use super::value::{Kind, Value};
use crate::ast::{BinaryOp, Expr, UnaryOp};
use crate::diagnostic::Diagnostic;

type Outcome = Result<Value, Diagnostic>;

/// Applies an operator to one operand.
pub(crate) fn unary(operator: UnaryOp, value: &Value, expr: &Expr) -> Outcome {
    let (ty, symbol) = match operator {
        UnaryOp::Neg => (Type::Number, "-"),
        UnaryOp::Not => (Type::Bool, "!"),
    };
    let value = operand(value, &ty, symbol, expr)?;
    let result = match &value.kind {
        Kind::Number(number) => Value::from(number.neg()),
        Kind::Bool(truth) => Value::from(!truth),
        _ => return Ok(value),
    };
    Ok(result.mark(value.sensitive))
}

/// Applies an operator to two operands, each as far as it could be evaluated. `exprs` is where
/// they stand.
pub(crate) fn binary(
    operator: BinaryOp,
    left: Outcome,
    right: Outcome,
    exprs: &[Expr; 2],
) -> Outcome {
    if matches!(operator, BinaryOp::And | BinaryOp::Or) {
        return logic(operator, left, right, exprs);
    }
    let (left, right) = (left?, right?);
    let sensitive = left.holds_secret() || right.holds_secret();
    let symbol = operator.symbol();
    let result = match operator {
        BinaryOp::Eq | BinaryOp::NotEq => match equal(&left, &right) {
            Some(equal) => Value::from(equal == (operator == BinaryOp::Eq)),
            None => Value::unknown(Type::Bool),
        },
        _ => {
            let left = operand(&left, &Type::Number, symbol, &exprs[0])?;
            let right = operand(&right, &Type::Number, symbol, &exprs[1])?;
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

/// One side may decide the result alone, even if the other one cannot be evaluated; it must be a
/// bool if it can. As in Packer, null decides `&&` as false does, but is no operand otherwise.
fn logic(operator: BinaryOp, left: Outcome, right: Outcome, exprs: &[Expr; 2]) -> Outcome {
    let decisive = operator == BinaryOp::Or;
    let may_be_bool =
        |value: &Value| matches!(value.ty(), Type::Dynamic | Type::Bool | Type::String);
    let side = |side: Outcome, expr: &Expr| match side {
        Ok(value) if value.is_null() && may_be_bool(&value) => {
            Ok(Ok(Value::null(Type::Bool).mark(value.sensitive)))
        }
        Ok(value) => operand(&value, &Type::Bool, operator.symbol(), expr).map(Ok),
        Err(error) => Ok(Err(error)),
    };
    let sides = [side(left, &exprs[0])?, side(right, &exprs[1])?];
    let sensitive = sides.iter().flatten().any(|value| value.sensitive);
    let decides =
        |value: &Value| value.as_bool() == Some(decisive) || (!decisive && value.is_null());
    if sides.iter().flatten().any(decides) {
        return Ok(Value::from(decisive).mark(sensitive));
    }
    let [left, right] = sides;
    let left = left?;
    if left.is_unknown() {
        return Ok(Value::unknown(Type::Bool).mark(sensitive));
    }
    let right = right?;
    if right.is_unknown() {
        return Ok(Value::unknown(Type::Bool).mark(sensitive));
    }
    // Only `||` comes here with a null.
    for (value, expr) in [left, right].iter().zip(exprs) {
        operand(value, &Type::Bool, operator.symbol(), expr)?;
    }
    Ok(Value::from(!decisive).mark(sensitive))
}

/// None for a division by zero.
fn arithmetic(operator: BinaryOp, a: &Number, b: &Number) -> Option<Value> {
    Some(match operator {
        BinaryOp::Add => a.add(b).into(),
        BinaryOp::Sub => a.sub(b).into(),
        BinaryOp::Mul => a.mul(b).into(),
        BinaryOp::Div => a.div(b)?.into(),
        BinaryOp::Mod => a.rem(b).into(),
        BinaryOp::Less => (a < b).into(),
        BinaryOp::LessEq => (a <= b).into(),
        BinaryOp::Greater => (a > b).into(),
        _ => (a >= b).into(),
    })
}

fn operand(value: &Value, ty: &Type, symbol: &str, expr: &Expr) -> Outcome {
    let invalid = |message: String| {
        Err(Diagnostic::error(format!("`{symbol}` cannot work with this value"))
            .at(expr.span)
            .label(message))
    };
    if value.is_null() {
        return invalid(format!("{} is required, this is null", ty.with_article()));
    }
    convert(value, ty).or_else(|error| invalid(error.to_string()))
}

/// Whether two values are equal; none while that cannot be said. Values of different types never
/// are: not `1` and `"1"`, and not a list and a tuple either, which is what brackets make.
pub(crate) fn equal(left: &Value, right: &Value) -> Option<bool> {
    if left.is_unknown() || right.is_unknown() {
        let (a, b) = (left.ty(), right.ty());
        let null = left.is_null() || right.is_null();
        return match !null && a.is_concrete() && b.is_concrete() && a != b {
            true => Some(false),
            false => None,
        };
    }
    if left.is_null() || right.is_null() {
        return Some(left.is_null() && right.is_null());
    }
    let all = |pairs: &mut dyn Iterator<Item = (&Value, &Value)>| {
        let mut result = Some(true);
        for (left, right) in pairs {
            match equal(left, right) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => result = None,
            }
        }
        result
    };
    match (&left.kind, &right.kind) {
        (Kind::Bool(a), Kind::Bool(b)) => Some(a == b),
        (Kind::Number(a), Kind::Number(b)) => Some(a == b),
        (Kind::String(a), Kind::String(b)) => Some(a == b),
        (Kind::List(a_type, a), Kind::List(b_type, b))
        | (Kind::Set(a_type, a), Kind::Set(b_type, b)) => {
            if !same_type(a_type, b_type) || a.len() != b.len() {
                return Some(false);
            }
            all(&mut a.iter().zip(b.iter()))
        }
        (Kind::Map(a_type, a), Kind::Map(b_type, b)) => {
            if !same_type(a_type, b_type) || !a.keys().eq(b.keys()) {
                return Some(false);
            }
            all(&mut a.values().zip(b.values()))
        }
        (Kind::Tuple(a), Kind::Tuple(b)) if a.len() == b.len() => all(&mut a.iter().zip(b.iter())),
        (Kind::Object(a), Kind::Object(b)) if a.keys().eq(b.keys()) => {
            all(&mut a.values().zip(b.values()))
        }
        _ => Some(false),
    }
}

fn same_type(a: &Type, b: &Type) -> bool {
    a == b || !a.is_concrete() || !b.is_concrete()
}
