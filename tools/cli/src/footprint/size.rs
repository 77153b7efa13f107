//! Sizes of memories on the command line.

/// Parses a size in bytes. The suffix `K`, `M` or `G` stands for 2^10, 2^20 or 2^30 bytes; `B` or
/// `iB` may follow it.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(['B', 'b']).trim_end_matches(['i']);
    let (number, unit) = match digits.char_indices().last() {
        Some((at, 'K' | 'k')) => (&digits[..at], 1 << 10),
        Some((at, 'M' | 'm')) => (&digits[..at], 1 << 20),
        Some((at, 'G' | 'g')) => (&digits[..at], 1 << 30),
        _ => (digits, 1),
    };
    let size = number.trim().parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    size.ok_or_else(|| "expected bytes, for example 524288, 512K or 16M".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, size) in [("524288", 524_288), ("512K", 524_288), ("512KiB", 524_288), ("16M", 1 << 24)] {
            assert_eq!(parse_size(text), Ok(size));
        }
        for text in ["", "K", "-1", "1.5M", "99999999999999G", "16X"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
