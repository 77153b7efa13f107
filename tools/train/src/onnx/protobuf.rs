//! Protocol Buffers, as far as ONNX files need them.

/// A message under construction.
#[derive(Debug, Default)]
pub struct Message(Vec<u8>);

/// Wire types of a field.
const VARINT: u32 = 0;
const LENGTH: u32 = 2;

impl Message {
    /// Adds an integer or an enumeration.
    pub fn integer(&mut self, field: u32, value: i64) -> &mut Self {
        self.varint(u64::from(field << 3 | VARINT));
        self.varint(value as u64);
        self
    }

    /// Adds text or bytes.
    pub fn bytes(&mut self, field: u32, value: impl AsRef<[u8]>) -> &mut Self {
        let value = value.as_ref();
        self.varint(u64::from(field << 3 | LENGTH));
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// Adds a message.
    pub fn message(&mut self, field: u32, value: &Self) -> &mut Self {
        self.bytes(field, &value.0)
    }

    /// Returns the encoded message.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Appends an integer with seven bits per byte, the lowest first.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_documentation() {
        // protobuf.dev, "Encoding":
        // Test1 { a: 150 }, Test2 { b: "testing" }, Test3 { c: Test1 { a: 150 } }.
        let mut first = Message::default();
        first.integer(1, 150);
        assert_eq!(first.0, [0x08, 0x96, 0x01]);
        let mut second = Message::default();
        second.bytes(2, "testing");
        assert_eq!(second.0, [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]);
        let mut third = Message::default();
        third.message(3, &first);
        assert_eq!(third.into_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let mut negative = Message::default();
        negative.integer(1, -2);
        let ones = [0xff_u8; 8];
        assert_eq!(negative.0, [&[0x08, 0xfe], &ones[..], &[0x01]].concat());
    }
}
