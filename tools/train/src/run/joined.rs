//! Tables of settings of which several commands share a part.

use serde::de::value::Error as NoValue;
use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, forward_to_deserialize_any};
use toml::{Table, Value};

/// Table of settings whose keys are the fields of two structs with different field names.
///
/// serde does not support `flatten` together with `deny_unknown_fields`. This type has the effect
/// of both: an unknown key is an error, which lists all keys that are allowed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Joined<Shared, Own> {
    /// Settings that other commands have as well.
    #[serde(flatten)]
    pub shared: Shared,
    /// Other settings of the command.
    #[serde(flatten)]
    pub own: Own,
}

impl<'de, Shared: DeserializeOwned, Own: DeserializeOwned> Deserialize<'de> for Joined<Shared, Own> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut own = match Value::deserialize(deserializer)? {
            Value::Table(table) => table,
            other => {
                let found = format!("{} `{other}`", other.type_str());
                return Err(Error::custom(format!("invalid type: {found}, expected a table")));
            }
        };
        let names = field_names::<Shared>();
        let all = [names, field_names::<Own>()].concat();
        if let Some(key) = own.keys().find(|key| !all.contains(&key.as_str())) {
            let expected: Vec<String> = all.iter().map(|name| format!("`{name}`")).collect();
            let expected = expected.join(", ");
            return Err(Error::custom(format!("unknown field `{key}`, expected one of {expected}")));
        }
        let shared = names.iter().filter_map(|&name| Some((name.to_owned(), own.remove(name)?))).collect();
        Ok(Self { shared: read(shared)?, own: read(own)? })
    }
}

fn read<T: DeserializeOwned, E: Error>(table: Table) -> Result<T, E> {
    table.try_into().map_err(|error: toml::de::Error| E::custom(error.message()))
}

/// Returns the names of the fields of `T`, a struct that derives [`Deserialize`] and does not use
/// `flatten`. For any other type the result is empty.
fn field_names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names = FieldNames(&[]);
    // This is always an error, because there is no value.
    let _ = T::deserialize(&mut names);
    names.0
}

/// Deserializer that has no value and records the names of the fields that a struct asks for.
struct FieldNames(&'static [&'static str]);

impl<'de> Deserializer<'de> for &mut FieldNames {
    type Error = NoValue;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, NoValue> {
        self.0 = fields;
        Err(NoValue::custom("no value"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, NoValue> {
        Err(NoValue::custom("no value"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Length {
        steps: u64,
        #[serde(default)]
        most: Option<u64>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Rates {
        smoothing: f64,
        seeds: Vec<u64>,
    }

    impl Default for Rates {
        fn default() -> Self {
            Self { smoothing: 0.5, seeds: vec![1] }
        }
    }

    type Example = Joined<Length, Rates>;

    fn refused(text: &str) -> String {
        toml::from_str::<Example>(text).unwrap_err().message().to_owned()
    }

    #[test]
    fn both_structs_are_read_from_one_table_and_written_to_one() {
        let read: Example = toml::from_str("seeds = [2, 3]\nsteps = 4").unwrap();
        assert_eq!(read.shared, Length { steps: 4, most: None });
        assert_eq!(read.own, Rates { smoothing: 0.5, seeds: vec![2, 3] });
        let expected: Table = "steps = 4\nsmoothing = 0.5\nseeds = [2, 3]".parse().unwrap();
        assert_eq!(Table::try_from(&read).unwrap(), expected);
    }

    #[test]
    fn numbers_are_accepted_and_refused_as_without_joining() {
        let read: Example = toml::from_str("smoothing = 0\nsteps = 4\nmost = 5").unwrap();
        assert_eq!((read.own.smoothing, read.shared.most), (0.0, Some(5)));
        for text in ["steps = 4.0", "steps = -1", "steps = \"4\"", "steps = 1\nmost = []", ""] {
            let alone = toml::from_str::<Length>(text).unwrap_err();
            assert_eq!(refused(text), alone.message());
        }
    }

    #[test]
    fn another_type_is_refused() {
        #[derive(Debug, Deserialize)]
        struct File {
            #[serde(rename = "training")]
            _training: Example,
        }
        let error = toml::from_str::<File>("training = 3").unwrap_err();
        assert_eq!(error.message(), "invalid type: integer `3`, expected a table");
    }

    /// The misspelt key is named, and not the one that is missing for this reason.
    #[test]
    fn an_unknown_key_is_refused_with_all_that_are_allowed() {
        assert_eq!(
            refused("step = 4"),
            "unknown field `step`, expected one of `steps`, `most`, `smoothing`, `seeds`"
        );
    }
}
