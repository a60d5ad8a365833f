//! As much JSON as the scenario and the library's answers need.

use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    pub fn parse(text: &str) -> Json {
        let mut parser = Parser { rest: text.trim_end() };
        let value = parser.value();
        assert_eq!(parser.rest, "", "after the value");
        value
    }

    /// The value of `key`, if this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(fields) => fields.get(key),
            _ => None,
        }
    }

    /// Adds a field to this object.
    pub fn insert(&mut self, key: &str, value: Json) {
        match self {
            Json::Object(fields) => fields.insert(key.to_owned(), value),
            other => panic!("no object: {other:?}"),
        };
    }

    pub fn number(&self) -> f64 {
        match self {
            Json::Number(number) => *number,
            other => panic!("no number: {other:?}"),
        }
    }

    pub fn integer(&self) -> i64 {
        let number = self.number();
        assert_eq!(number.fract(), 0.0, "no integer");
        number as i64
    }

    pub fn text(&self) -> &str {
        match self {
            Json::Text(text) => text,
            other => panic!("no text: {other:?}"),
        }
    }

    pub fn list(&self) -> &[Json] {
        match self {
            Json::List(list) => list,
            other => panic!("no list: {other:?}"),
        }
    }

    pub fn texts(&self) -> Vec<&str> {
        self.list().iter().map(Json::text).collect()
    }

    pub fn integers(&self) -> Vec<i64> {
        self.list().iter().map(Json::integer).collect()
    }

    pub fn floats(&self) -> Vec<f32> {
        self.list().iter().map(|it| it.number() as f32).collect()
    }
}

impl From<i64> for Json {
    fn from(number: i64) -> Json {
        Json::Number(number as f64)
    }
}

impl From<f32> for Json {
    fn from(number: f32) -> Json {
        Json::Number(number.into())
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::Text(text.into())
    }
}

impl<T: Into<Json>> From<Vec<T>> for Json {
    fn from(list: Vec<T>) -> Json {
        Json::List(list.into_iter().map(T::into).collect())
    }
}

impl<T: Into<Json> + Copy> From<&[T]> for Json {
    fn from(list: &[T]) -> Json {
        list.to_vec().into()
    }
}

pub fn object<const N: usize>(fields: [(&str, Json); N]) -> Json {
    let fields = fields.map(|(key, value)| (key.to_owned(), value));
    Json::Object(BTreeMap::from(fields))
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    /// Whether the next that is no space is `token`, which it takes.
    fn takes(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self) -> Json {
        if self.takes("{") {
            let pairs = self.items("}", |it| {
                assert!(it.takes("\""), "no key");
                let key = it.string();
                assert!(it.takes(":"), "no colon");
                (key, it.value())
            });
            return Json::Object(pairs.into_iter().collect());
        }
        if self.takes("[") {
            return Json::List(self.items("]", Parser::value));
        }
        if self.takes("\"") {
            return Json::Text(self.string());
        }
        let words =
            [("null", Json::Null), ("true", Json::Bool(true))].into_iter();
        for (word, value) in words.chain([("false", Json::Bool(false))]) {
            if self.takes(word) {
                return value;
            }
        }
        self.number()
    }

    fn items<T>(&mut self, end: &str, item: fn(&mut Self) -> T) -> Vec<T> {
        let mut items = Vec::new();
        while !self.takes(end) {
            assert!(items.is_empty() || self.takes(","), "no comma");
            items.push(item(self));
        }
        items
    }

    fn number(&mut self) -> Json {
        let is_part = |it: char| it.is_ascii_digit() || "+-.eE".contains(it);
        let end = self.rest.find(|it| !is_part(it));
        let (number, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        Json::Number(number.parse().expect("a number"))
    }

    fn string(&mut self) -> String {
        let mut text = String::new();
        loop {
            let end = self.rest.find(['"', '\\']).expect("the string's end");
            text += &self.rest[..end];
            let at = self.rest.as_bytes()[end];
            self.rest = &self.rest[end + 1..];
            if at == b'"' {
                return text;
            }
            text.push(self.escaped());
        }
    }

    fn escaped(&mut self) -> char {
        let letter = self.rest.chars().next().expect("an escape");
        self.rest = &self.rest[1..];
        match letter {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'u' => {
                let (digits, rest) = self.rest.split_at(4);
                self.rest = rest;
                let code = u32::from_str_radix(digits, 16).expect("hex");
                char::from_u32(code).unwrap_or('\u{fffd}')
            }
            other => other,
        }
    }
}

#[test]
fn json_is_read() {
    let json = Json::parse(
        r#" {"a": [1, -2.5e1, "x\n\u00e4", []],
        "b": {}, "c": null, "d": true} "#,
    );
    let list = json.get("a").unwrap().list();
    assert_eq!((list[0].integer(), list[1].number()), (1, -25.0));
    assert_eq!((list[2].text(), list[3].list()), ("x\n\u{e4}", &[][..]));
    assert_eq!(json.get("b"), Some(&object([])));
    assert_eq!(json.get("c"), Some(&Json::Null));
    assert_eq!(json.get("d"), Some(&Json::Bool(true)));
    assert_eq!(json.get("e"), None);
}
