//! How deep an expression is nested, told without recursion.

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr};

/// Whether an expression has at most so many levels.
pub(super) fn is_within(expression: &IdedExpr, most: usize) -> bool {
    let mut open = vec![(expression, 1)];
    while let Some((node, depth)) = open.pop() {
        if depth > most {
            return false;
        }
        open.extend(children(node).into_iter().map(|child| (child, depth + 1)));
    }
    true
}

fn children(node: &IdedExpr) -> Vec<&IdedExpr> {
    match &node.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(|entry| entry_children(&entry.expr)).collect(),
        Expr::Struct(object) => object.entries.iter().flat_map(|entry| entry_children(&entry.expr)).collect(),
        Expr::Comprehension(one) => {
            vec![&one.iter_range, &one.accu_init, &one.loop_cond, &one.loop_step, &one.result]
        }
    }
}

fn entry_children(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}
