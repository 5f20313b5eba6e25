//! One call of a Python function with literal keyword arguments.

use serde_json::Value;

/// An argument, with a comment above it where one is needed.
pub struct Argument {
    name: &'static str,
    value: Value,
    comment: &'static str,
}

impl Argument {
    /// An argument.
    pub fn new(name: &'static str, value: impl Into<Value>) -> Self {
        Self { name, value: value.into(), comment: "" }
    }

    /// The same, with a comment.
    pub fn because(mut self, comment: &'static str) -> Self {
        self.comment = comment;
        self
    }
}

/// `function(name=value, ...)`, an argument a line.
pub fn call(function: &str, arguments: &[Argument]) -> String {
    let mut out = format!("{function}(\n");
    for Argument { name, value, comment } in arguments {
        if !comment.is_empty() {
            out.push_str(&format!("    # {comment}\n"));
        }
        out.push_str(&format!("    {name}={},\n", literal(value, 1)));
    }
    out.push_str(")\n");
    out
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
            let (inner, outer) = ("    ".repeat(depth + 1), "    ".repeat(depth));
            let entries = entries.iter().map(|(key, value)| {
                format!("{inner}{}: {},\n", Value::from(key.as_str()), literal(value, depth + 1))
            });
            format!("{{\n{}{outer}}}", entries.collect::<String>())
        }
    }
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
    }
}
