//! One call of a Python function with literal keyword arguments.

use serde_json::Value;

/// What stands behind an argument's name.
pub enum Python {
    /// A literal.
    Literal(Value),
    /// A name that is in scope where the call is pasted.
    Name(&'static str),
    /// A dictionary.
    Dictionary(Vec<(&'static str, Python)>),
}

impl<T: Into<Value>> From<T> for Python {
    fn from(value: T) -> Self {
        Self::Literal(value.into())
    }
}

/// An argument, with a comment above it where one is needed.
pub struct Argument {
    name: &'static str,
    value: Python,
    comments: Vec<&'static str>,
}

impl Argument {
    /// An argument.
    pub fn new(name: &'static str, value: impl Into<Python>) -> Self {
        Self { name, value: value.into(), comments: Vec::new() }
    }

    /// The same, with a comment.
    pub fn because(mut self, comment: &'static str) -> Self {
        self.comments.push(comment);
        self
    }
}

/// `function(name=value, ...)`, an argument a line.
pub fn call(function: &str, arguments: &[Argument]) -> String {
    let mut out = format!("{function}(\n");
    for Argument { name, value, comments } in arguments {
        for comment in comments {
            out.push_str(&format!("    # {comment}\n"));
        }
        out.push_str(&format!("    {name}={},\n", written(value, 1)));
    }
    out.push_str(")\n");
    out
}

fn written(value: &Python, depth: usize) -> String {
    match value {
        Python::Literal(value) => literal(value, depth),
        Python::Name(name) => (*name).to_owned(),
        Python::Dictionary(entries) => dictionary(
            entries.iter().map(|(key, value)| ((*key).to_owned(), written(value, depth + 1))),
            depth,
        ),
    }
}

/// A value as Python writes it. A string of JSON is one of Python's too.
fn literal(value: &Value, depth: usize) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(elements) => {
            let elements: Vec<_> = elements.iter().map(|element| literal(element, depth)).collect();
            format!("[{}]", elements.join(", "))
        }
        Value::Object(entries) => {
            dictionary(entries.iter().map(|(key, value)| (key.clone(), literal(value, depth + 1))), depth)
        }
    }
}

fn dictionary(entries: impl Iterator<Item = (String, String)>, depth: usize) -> String {
    let (inner, outer) = ("    ".repeat(depth + 1), "    ".repeat(depth));
    let entries = entries.map(|(key, value)| format!("{inner}{}: {value},\n", Value::from(key)));
    format!("{{\n{}{outer}}}", entries.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn literals_are_pythons() {
        let arguments = [
            Argument::new("echo", false).because("no SQL in the log"),
            Argument::new("args", json!({"a": "it's \"x\"", "b": [1, null, true]})),
        ];
        let expected = "f(\n    # no SQL in the log\n    echo=False,\n    args={\n        \"a\": \
                        \"it's \\\"x\\\"\",\n        \"b\": [1, None, True],\n    },\n)\n";
        assert_eq!(call("f", &arguments), expected);
        let arguments =
            [Argument::new("a", Python::Dictionary(vec![("b", Python::Name("str")), ("c", 1.into())]))];
        assert_eq!(call("f", &arguments), "f(\n    a={\n        \"b\": str,\n        \"c\": 1,\n    },\n)\n");
    }
}
