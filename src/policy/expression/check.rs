//! Checks the types of an expression before it ever runs.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr, operators as op};
use cel::{IdedExpr, Program};

use super::ExpressionFault;
use super::types::{SERVICE, Type};
use crate::policy::suggest::nearest;
use crate::policy::words::{one_of, quote};

/// Functions that are called on a value: name, type of the value, types of the arguments, result.
const METHODS: &[(&str, Type, &[Type], Type)] = &[
    ("contains", Type::String, &[Type::String], Type::Bool),
    ("startsWith", Type::String, &[Type::String], Type::Bool),
    ("endsWith", Type::String, &[Type::String], Type::Bool),
    ("matches", Type::String, &[Type::String], Type::Bool),
    ("size", Type::Any, &[], Type::Int),
];

/// Functions that are called by name: name, types of the arguments, result.
const FUNCTIONS: &[(&str, &[Type], Type)] = &[
    ("size", &[Type::Any], Type::Int),
    ("matches", &[Type::String, Type::String], Type::Bool),
    ("string", &[Type::Any], Type::String),
    ("int", &[Type::Any], Type::Int),
    ("uint", &[Type::Any], Type::Uint),
    ("double", &[Type::Any], Type::Double),
    ("bool", &[Type::Any], Type::Bool),
    ("bytes", &[Type::Any], Type::Bytes),
    ("dyn", &[Type::Any], Type::Any),
];

/// Macros are written like functions and are gone once an expression is read; they are here to be suggested.
const MACROS: &[&str] = &["has", "all", "exists", "exists_one", "filter", "map"];

/// Each loop inside of another multiplies the work.
const MOST_LOOPS: usize = 2;
/// Its variables and its result so far.
const NAMES_OF_A_LOOP: usize = 3;

/// Checks that an expression is true or false, and refers only to what there is.
pub(super) fn check(program: &Program, text: &str) -> Result<(), ExpressionFault> {
    let mut checker = Checker { program, text, scope: vec![("service".to_owned(), Type::Object(&SERVICE))] };
    let root = program.expression();
    let result = checker.type_of(root)?;
    match result {
        Type::Bool | Type::Any => Ok(()),
        other => Err(checker.fault(root, "an expression that is true or false", other.in_words())),
    }
}

struct Checker<'a> {
    program: &'a Program,
    text: &'a str,
    scope: Vec<(String, Type)>,
}

impl Checker<'_> {
    fn type_of(&mut self, node: &IdedExpr) -> Result<Type, ExpressionFault> {
        match &node.expr {
            Expr::Unspecified | Expr::Struct(_) => {
                Err(self.fault(node, "an expression about service", "a message of another kind"))
            }
            Expr::Literal(literal) => Ok(literal_type(literal)),
            Expr::Ident(name) => self.variable(node, name),
            Expr::Select(select) => self.select(node, select),
            Expr::Call(call) => self.call(node, call),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::List(list) => {
                let mut of = None;
                for element in &list.elements {
                    let element = self.type_of(element)?;
                    of = Some(match of {
                        None => element,
                        Some(of) if of == element => of,
                        Some(_) => Type::Any,
                    });
                }
                Ok(Type::list(of.unwrap_or(Type::Any)))
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.type_of(&entry.key)?;
                        self.type_of(&entry.value)?;
                    }
                }
                Ok(Type::Map(Box::new(Type::Any)))
            }
        }
    }

    fn variable(&self, node: &IdedExpr, name: &str) -> Result<Type, ExpressionFault> {
        let known = self.scope.iter().rev().find(|(known, _)| known == name);
        if let Some((_, of)) = known {
            return Ok(of.clone());
        }
        let names = self.scope.iter().map(|(known, _)| known.as_str());
        let visible: Vec<&str> = names.filter(|name| !name.starts_with('@')).collect();
        Err(ExpressionFault {
            suggestion: nearest(name, visible.iter().copied()).map(str::to_owned),
            ..self.fault(node, format!("the variable {}", one_of(visible)), quote(name))
        })
    }

    fn select(&mut self, node: &IdedExpr, select: &SelectExpr) -> Result<Type, ExpressionFault> {
        let of = self.type_of(&select.operand)?;
        let field = match of {
            Type::Object(object) => match object.fields.iter().find(|(name, _)| *name == select.field) {
                Some((_, field)) => Type::from(*field),
                None => {
                    let names = object.fields.iter().map(|(name, _)| *name);
                    return Err(ExpressionFault {
                        suggestion: nearest(&select.field, names.clone()).map(str::to_owned),
                        ..self.fault(
                            node,
                            format!("a field of {}: {}", object.name, one_of(names)),
                            quote(&select.field),
                        )
                    });
                }
            },
            Type::Map(of) => *of,
            Type::Any => Type::Any,
            other => {
                let found = format!("the field {} of {}", quote(&select.field), other.in_words());
                return Err(self.fault(node, "a field of an object or map", found));
            }
        };
        Ok(if select.test { Type::Bool } else { field })
    }

    fn comprehension(&mut self, comprehension: &ComprehensionExpr) -> Result<Type, ExpressionFault> {
        let item = match self.type_of(&comprehension.iter_range)? {
            Type::List(of) => *of,
            Type::Map(_) | Type::Object(_) => Type::String,
            Type::Any => Type::Any,
            other => {
                let found = other.in_words();
                return Err(self.fault(&comprehension.iter_range, "a list or map to go through", found));
            }
        };
        let accumulated = match self.type_of(&comprehension.accu_init)? {
            Type::List(_) => Type::list(Type::Any),
            other => other,
        };
        let depth = self.scope.len();
        if depth > MOST_LOOPS * NAMES_OF_A_LOOP {
            let expected = format!("at most {MOST_LOOPS} loops inside of each other");
            return Err(self.fault(&comprehension.iter_range, expected, "one more"));
        }
        self.scope.push((comprehension.iter_var.clone(), item));
        let second = comprehension.iter_var2.clone().unwrap_or_else(|| "@none".to_owned());
        self.scope.push((second, Type::Any));
        self.scope.push((comprehension.accu_var.clone(), accumulated));
        self.type_of(&comprehension.loop_cond)?;
        self.type_of(&comprehension.loop_step)?;
        let result = self.type_of(&comprehension.result);
        self.scope.truncate(depth);
        result
    }

    fn call(&mut self, node: &IdedExpr, call: &CallExpr) -> Result<Type, ExpressionFault> {
        let target = call.target.as_deref().map(|target| self.type_of(target)).transpose()?;
        let mut arguments = Vec::new();
        for argument in &call.args {
            arguments.push(self.type_of(argument)?);
        }
        match target {
            Some(target) => self.method(node, call, &target, &arguments),
            None => self.operator(node, call, &arguments),
        }
    }

    fn operator(&self, node: &IdedExpr, call: &CallExpr, arguments: &[Type]) -> Result<Type, ExpressionFault> {
        match (call.func_name.as_str(), arguments) {
            (op::LOGICAL_AND | op::LOGICAL_OR, operands) => {
                for (operand, of) in call.args.iter().zip(operands) {
                    self.expect_bool(operand, of)?;
                }
                Ok(Type::Bool)
            }
            (op::LOGICAL_NOT | op::NOT_STRICTLY_FALSE, [of]) => {
                self.expect_bool(call.args.first().unwrap_or(node), of)?;
                Ok(Type::Bool)
            }
            (op::CONDITIONAL, [condition, yes, no]) => {
                self.expect_bool(call.args.first().unwrap_or(node), condition)?;
                Ok(if yes == no { yes.clone() } else { Type::Any })
            }
            (op::EQUALS | op::NOT_EQUALS, [left, right]) => match left.comparable(right) {
                true => Ok(Type::Bool),
                false => Err(self.pair(node, "two values that can be equal", left, right)),
            },
            (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, [left, right]) => {
                match left.ordered(right) {
                    true => Ok(Type::Bool),
                    false => Err(self.pair(node, "two values that have an order", left, right)),
                }
            }
            (op::IN, [item, within]) => self.membership(node, item, within),
            (op::INDEX, [of, index]) => self.index(node, of, index),
            (op::NEGATE, [of]) => Ok(of.clone()),
            (op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO, [left, right]) => {
                self.arithmetic(node, call, left, right)
            }
            (name, arguments) => self.function(node, name, arguments),
        }
    }

    fn expect_bool(&self, node: &IdedExpr, of: &Type) -> Result<(), ExpressionFault> {
        match of {
            Type::Bool | Type::Any => Ok(()),
            other => Err(self.fault(node, "true or false", other.in_words())),
        }
    }

    fn membership(&self, node: &IdedExpr, item: &Type, within: &Type) -> Result<Type, ExpressionFault> {
        match within {
            Type::List(of) if !item.comparable(of) => Err(self.pair(node, "an item that the list can hold", item, of)),
            Type::Map(_) | Type::Object(_) if !item.comparable(&Type::String) => {
                Err(self.fault(node, "text, as the keys are text", item.in_words()))
            }
            Type::List(_) | Type::Map(_) | Type::Object(_) | Type::Any => Ok(Type::Bool),
            other => Err(self.fault(node, "a list or map after in", other.in_words())),
        }
    }

    fn index(&self, node: &IdedExpr, of: &Type, index: &Type) -> Result<Type, ExpressionFault> {
        match (of, index) {
            (Type::List(of), Type::Int | Type::Uint | Type::Any) => Ok((**of).clone()),
            (Type::List(_), other) => Err(self.fault(node, "a number as index of a list", other.in_words())),
            (Type::Map(of), Type::String | Type::Any) => Ok((**of).clone()),
            (Type::Map(_), other) => Err(self.fault(node, "text as key of a map", other.in_words())),
            (Type::Any | Type::Object(_), _) => Ok(Type::Any),
            (other, _) => Err(self.fault(node, "a list or map before [", other.in_words())),
        }
    }

    fn arithmetic(&self, node: &IdedExpr, call: &CallExpr, left: &Type, right: &Type) -> Result<Type, ExpressionFault> {
        let adds = call.func_name == op::ADD;
        match (left, right) {
            (Type::Any, other) | (other, Type::Any) if !matches!(other, Type::Bool | Type::Null | Type::Object(_)) => {
                Ok(if let Type::List(_) = other { Type::list(Type::Any) } else { Type::Any })
            }
            (Type::Int, Type::Int) | (Type::Uint, Type::Uint) | (Type::Double, Type::Double) => Ok(left.clone()),
            (Type::String, Type::String) | (Type::Bytes, Type::Bytes) if adds => Ok(left.clone()),
            (Type::List(a), Type::List(b)) if adds => Ok(Type::list(if a == b { (**a).clone() } else { Type::Any })),
            _ => Err(self.pair(node, "two numbers of one kind, or two texts or lists to join", left, right)),
        }
    }

    fn function(&self, node: &IdedExpr, name: &str, arguments: &[Type]) -> Result<Type, ExpressionFault> {
        let overload = FUNCTIONS.iter().find(|(known, ..)| *known == name);
        match overload {
            Some((_, wanted, result)) => {
                self.arguments(node, name, wanted, arguments)?;
                Ok(result.clone())
            }
            None => Err(self.unknown_function(node, name)),
        }
    }

    fn method(
        &self,
        node: &IdedExpr,
        call: &CallExpr,
        target: &Type,
        arguments: &[Type],
    ) -> Result<Type, ExpressionFault> {
        let name = call.func_name.as_str();
        let Some((_, of, wanted, result)) = METHODS.iter().find(|(known, ..)| *known == name) else {
            return Err(self.unknown_function(node, name));
        };
        if !of.comparable(target) || *target == Type::Null {
            let expected = format!("{} before .{name}()", of.in_words());
            return Err(self.fault(node, expected, target.in_words()));
        }
        self.arguments(node, name, wanted, arguments)?;
        if name == "matches" {
            self.pattern(call.args.first())?;
        }
        Ok(result.clone())
    }

    fn arguments(
        &self,
        node: &IdedExpr,
        name: &str,
        wanted: &[Type],
        arguments: &[Type],
    ) -> Result<(), ExpressionFault> {
        if wanted.len() != arguments.len() {
            let expected = format!("{name}() with {} arguments", wanted.len());
            return Err(self.fault(node, expected, arguments.len().to_string()));
        }
        match wanted.iter().zip(arguments).find(|(wanted, given)| !wanted.comparable(given)) {
            None => Ok(()),
            Some((wanted, given)) => {
                let expected = format!("{} as argument of {name}()", wanted.in_words());
                Err(self.fault(node, expected, given.in_words()))
            }
        }
    }

    /// A pattern that is written out is read before it is ever needed.
    fn pattern(&self, argument: Option<&IdedExpr>) -> Result<(), ExpressionFault> {
        let Some(node) = argument else {
            return Ok(());
        };
        let Expr::Literal(LiteralValue::String(pattern)) = &node.expr else {
            return Ok(());
        };
        match crate::policy::pattern::compile(pattern.inner()) {
            Ok(_) => Ok(()),
            Err(reason) => Err(self.fault(node, "a regular expression", reason)),
        }
    }

    fn unknown_function(&self, node: &IdedExpr, name: &str) -> ExpressionFault {
        let methods = METHODS.iter().map(|(known, ..)| *known);
        let functions = FUNCTIONS.iter().map(|(known, ..)| *known);
        let known = methods.chain(functions).chain(MACROS.iter().copied());
        ExpressionFault {
            suggestion: nearest(name, known).map(str::to_owned),
            ..self.fault(node, "a function of CEL", format!("{name}()"))
        }
    }

    fn pair(&self, node: &IdedExpr, expected: &str, left: &Type, right: &Type) -> ExpressionFault {
        self.fault(node, expected, format!("{} and {}", left.in_words(), right.in_words()))
    }

    fn fault(&self, node: &IdedExpr, expected: impl Into<String>, found: impl Into<String>) -> ExpressionFault {
        let (from, to) = self.program.source_info().offset_for(node.id).unwrap_or((0, 0));
        let (from, to) = (from as usize, to as usize);
        let from = if self.text.is_char_boundary(from) { from } else { 0 };
        let length = self.text.get(from..=to).map_or(1, |part| part.chars().count());
        ExpressionFault { from, length, expected: expected.into(), found: found.into(), suggestion: None }
    }
}

fn literal_type(literal: &LiteralValue) -> Type {
    match literal {
        LiteralValue::Boolean(_) => Type::Bool,
        LiteralValue::Bytes(_) => Type::Bytes,
        LiteralValue::Double(_) => Type::Double,
        LiteralValue::Int(_) => Type::Int,
        LiteralValue::Null => Type::Null,
        LiteralValue::String(_) => Type::String,
        LiteralValue::UInt(_) => Type::Uint,
    }
}
